"""Train and ask every trial of the study on photographs, and count: `make study`.

python tools/study.py                                  what nbs/benchmarks/real.json does not hold
python tools/study.py --trials "photographs,lite0"     these trials alone
python tools/study.py --together 1                     one at a time, with all threads
python tools/study.py --fresh                          all of them anew
python tools/study.py --trials none                    no training: count anew what is kept

A full trial takes about half an hour on one core. Each runs in a process of its own, so that its
memory is freed, two at a time where there are two cores and 10 GB are free for the second. The
model and its blind twin are trained with three seeds, all others with one. What a trial
answered stays in runs/study/NAME-SEED, and nbs/benchmarks/real.json is written after each: an
interrupted study goes on where it stopped, also on another machine, where the file alone tells
what is done.
"""

import os
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from fastcore.script import call_parse

from everything import KEPT, read, ROOT, stamp, write
from minivlm_cot.core import free_memory, load_json, save_json
from minivlm_cot.dataset import real_data
from minivlm_cot.engine import machine
from minivlm_cot.real.rooms import drawn_examples
from minivlm_cot.real.study import kept_tallies, study_numbers, tally, word_closeness
from minivlm_cot.real.thinking import check_scene_chains
from minivlm_cot.real.trials import Exam, folder_of, made_from, recipe_of, run_trial, TRIALS

ROOM = 10  # GB that must be free before a second one begins: training takes 5 to 8
SEEDS = {"photographs": (0, 1, 2), "blind twin": (0, 1, 2)}  # of all others: 0


def jobs(trials):
    "Names and seeds of what the study needs, first all that is needed of the first seed"
    names = list(TRIALS) if trials == "all" else [name.strip() for name in trials.split(",")]
    if unknown := [name for name in names if name not in TRIALS]:
        sys.exit(f"There is no trial {', '.join(unknown)}: use {', '.join(TRIALS)}.")
    needed = [(name, seed) for name in names for seed in SEEDS.get(name, (0,))]
    return sorted(needed, key=lambda job: job[1])


def is_done(kept, recipe, exam):
    "Do the kept numbers come from this recipe and these questions?"
    told = made_from(recipe, exam)
    return kept is not None and {k: kept[k] for k in told} == told


def run_one(name, seed, exam, out, epochs):
    "One trial, in this process"
    place = folder_of(out, name, seed)
    keep = (name, seed) == ("photographs", 0)
    run_trial(recipe_of(name, seed, epochs), exam, place, keep=keep)
    if not (place / "machine.json").exists():
        known = machine("cpu") | dict(cores=os.cpu_count(), day=str(date.today()))
        save_json(known, place / "machine.json")


def begin(name, seed, given, out, threads):
    "Start one trial in a process of its own; what it says goes into its folder"
    place = folder_of(out, name, seed)
    place.mkdir(parents=True, exist_ok=True)
    call = [sys.executable, __file__, "--one", f"{name}:{seed}", "--out", out, *given]
    env = os.environ | dict(OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
    with open(place / "log.txt", "w") as log:
        how = dict(stdout=log, stderr=subprocess.STDOUT, env=env)
        return subprocess.Popen(list(map(str, call)), **how)


def has_room():
    "Is there memory for one more training?"
    return free_memory() >= ROOM * 1e9


def run_all(todo, start, together, finished):
    "Several at a time; what fails is told, and the others go on"
    todo, running, failed = list(todo), {}, []
    try:
        while todo or running:
            while todo and len(running) < together and (not running or has_room()):
                job = todo.pop(0)
                print(f"{time.strftime('%H:%M')} begins: {job[0]}, seed {job[1]}")
                running[job] = start(*job)
            time.sleep(0.2)
            for job in [job for job, process in running.items() if process.poll() is not None]:
                if running.pop(job).returncode:
                    failed.append(job)
                else:
                    finished(job)
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return failed


def found_in(place):
    "What a finished trial left, with its machine"
    return load_json(place / "trial.json") | dict(machine=load_json(place / "machine.json"))


class Numbers:
    "The file that grows by each trial"

    def __init__(self, place, exam, out):
        self.place, self.exam, self.out, self.similarity = place, exam, out, word_closeness()
        self.asked, self.rows = exam.rows(exam.asked), exam.rows(exam.learned)
        self.known, self.began = kept_tallies(read(place)), time.time()

    def add(self, job):
        "Count one more trial, and write the file"
        name, seed = job
        found = found_in(folder_of(self.out, name, seed))
        one = tally(found, self.asked, self.exam.task, self.similarity)
        by_seed = self.known.get(name, {})
        same = {s: k for s, k in by_seed.items() if _seedless(k) == _seedless(one)}
        self.known[name] = dict(sorted((same | {seed: one}).items()))
        numbers = self.count(job)
        share = numbers[name]["direct"]["all"]["share"]
        print(f"{time.strftime('%H:%M')} done: {name}, seed {seed}; {100 * share:.1f}% right")

    def count(self, job=(None, 0)):
        "Count what is known, and write the file"
        numbers = study_numbers(self.known, self.asked, self.exam.task, self.rows)
        numbers |= dict(examples=self.examples(), checked=self.checked(job))
        if not self.place.exists():
            self.place.write_text("{}\n")  # on one line, and so it stays
        write(_rounded(numbers) | dict(made=stamp(time.time() - self.began)), self.place)
        return numbers

    def checked(self, job):
        "What the written chains of the scene trial name; or what the file has"
        if job[0] != "scene rationales":
            return read(self.place).get("checked", {})
        said = found_in(folder_of(self.out, *job))["answers"]["cot"]
        return check_scene_chains([one["chain"] for one in said], self.asked)

    def examples(self):
        "Drawn anew where the answers of model and twin are at hand; else those that the file has"
        found = []
        for name in ("photographs", "blind twin"):
            file, kept = folder_of(self.out, name, 0) / "trial.json", self.known.get(name, {})
            one = load_json(file) if file.exists() and 0 in kept else {}
            if not one or one["recipe"] != kept[0]["recipe"]:
                return read(self.place).get("examples", [])
            found.append(one)
        return drawn_examples(*found, self.asked, self.exam.task)


def _seedless(one):
    return one["recipe"] | {"seed": 0}, one["exam"]


def _rounded(value):
    "Five digits, so that the file stays small"
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


@call_parse
def main(
    trials: str = "all",  # names, with commas between; none: count anew what the file holds
    out: str = "runs/study",  # folder of the runs
    together: int = None,  # trials at a time; left out: two where there are two cores
    fresh: bool = False,  # also what nbs/benchmarks/real.json holds
    pictures: int = None,  # of training and of the exam, for a quick look; then OUT/real.json
    epochs: int = None,  # for a quick look; then OUT/real.json
    one: str = None,  # NAME:SEED, in this process
):
    "Run the study on photographs"
    folder = (real_data() or ROOT / "nowhere") / "daquar"
    if not folder.exists():
        print("There is no DAQUAR here: set MINIVLM_DATA to a folder that holds daquar.")
        return
    exam, out = Exam(str(folder), pictures=pictures), Path(out)
    if one:
        name, seed = one.rsplit(":", 1)
        return run_one(name, int(seed), exam, out, epochs)
    place = out / "real.json" if pictures or epochs else KEPT / "real.json"
    numbers, cores = Numbers(place, exam, out), os.cpu_count() or 1
    if trials == "none":
        return numbers.count()
    recipes = {job: recipe_of(*job, epochs) for job in jobs(trials)}
    kept = {job: numbers.known.get(job[0], {}).get(job[1]) for job in recipes}
    todo = [job for job in recipes if fresh or not is_done(kept[job], recipes[job], exam)]
    print(f"{len(recipes) - len(todo)} trainings are kept, {len(todo)} to do")
    together = together or min(2, cores)
    small = {"--pictures": pictures, "--epochs": epochs}
    given = [text for name, value in small.items() if value for text in (name, value)]

    def start(name, seed):
        if fresh:
            shutil.rmtree(folder_of(out, name, seed), ignore_errors=True)
        return begin(name, seed, given, out, max(1, cores // together))

    failed = run_all(todo, start, together, numbers.add)
    if failed:
        logs = [f"{folder_of(out, *job)}/log.txt" for job in failed]
        sys.exit(f"{len(failed)} failed, see {', '.join(logs)}. Run this again: it goes on.")
