"""Make every stored number, picture and page anew: `make everything`.

python tools/everything.py                     all steps that are not yet done with this code
python tools/everything.py ready seeds         these steps alone, in this order
python tools/everything.py --list              what is done, and what is to do

ready      train the ready model                           → minivlm_cot/ready
seeds      train it with two more seeds                    → nbs/benchmarks/seeds.json
trainings  the short runs that two chapters compare        → optimisers.json, alignment.json there
benchmark  training and answering against the plain way    → nbs/benchmarks/cpu.json
waiting    a training step alone and beside a busy process → waiting.json there
pictures   eight questions a picture, learned and answered → pictures.json there
series     each task of the drawn world, taught and examined → captions.json … there
study      pretrained parts on photographs: hours, and DAQUAR → real.json there
costs      what each part of a training step costs         → parts.json there
home       the front page's picture and the demo's report  → nbs/images, nbs/demo
structure  which module imports which                      → nbs/images
NOTEBOOK   the outputs of each notebook, one by one        → nbs
readme     README.md from the front page

What is done is kept in runs/everything for each state of the code (library and tools), so an
interrupted run goes on where it stopped, and changed code makes all of it anew. Every results file
gets the key `made`: commit, machine, day and seconds; nbs/benchmarks/made.json keeps the same of
what is not JSON.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from tqdm import tqdm

from site_checks import notebooks_in

ROOT = Path(__file__).resolve().parent.parent
KEPT, READY = ROOT / "nbs/benchmarks", ROOT / "minivlm_cot/ready"
BIN = Path(sys.executable).parent
RESULTS = {  # step → the results files that it writes
    "ready": [READY / "results.json"],
    "seeds": [KEPT / "seeds.json"],
    "trainings": [KEPT / "optimisers.json", KEPT / "alignment.json"],
    "benchmark": [KEPT / "cpu.json"],
    "costs": [KEPT / "parts.json"],
    "waiting": [KEPT / "waiting.json"],
    "pictures": [KEPT / "pictures.json"],
    "study": [KEPT / "real.json"],
}
SAVE = "from minivlm_cot.commands import save_ready; import sys; save_ready(*sys.argv[1:])"
STORY = "01_start/02_chain_of_thought"
COPY = (
    "import shutil, sys; shutil.rmtree(sys.argv[2], ignore_errors=True); "
    "shutil.copytree(*sys.argv[1:])"
)


def code():
    "A name for this state of the code: what changes a number changes it"
    files = sorted([*(ROOT / "minivlm_cot").rglob("*.py"), *(ROOT / "tools").glob("*.py")])
    files = [f for f in files if f.name != "_modidx.py"]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:10]


def commands(runs):
    "Step → the commands that do it; `runs` is the folder of the trainings"
    python, demo = BIN / "python", BIN / "minivlm_demo"
    seeds = [runs / f"seed{seed}" for seed in range(3)]
    train = [[demo, "--out", seeds[seed], "--seed", str(seed)] for seed in range(3)]
    tool = {name: [python, ROOT / f"tools/{name}.py"] for name in ("home", "structure", "readme")}
    trainings = [python, ROOT / "tools/trainings.py", runs / "trainings"]
    measure = [BIN / "minivlm_benchmark", "--device", "cpu", "--json", KEPT / "cpu.json"]
    steps = {
        "ready": [train[0], [python, "-c", SAVE, seeds[0], READY]],
        "seeds": [*train[1:], [python, ROOT / "tools/seeds.py", *seeds]],
        "trainings": [trainings],
        "benchmark": [measure],
        "costs": [[python, ROOT / "tools/step_parts.py"]],
        "waiting": [[python, ROOT / "tools/waiting.py"]],
        "pictures": [[python, ROOT / "tools/pictures.py"]],
        "series": [[python, ROOT / "tools/series.py", "--runs", runs / "series"]],
        "study": [[python, ROOT / "tools/study.py"]],  # keeps what it once trained
        "home": [tool["home"]],
        "structure": [tool["structure"]],
    }
    for path in notebooks_in(ROOT / "nbs"):
        place = path.relative_to(ROOT / "nbs").with_suffix("").as_posix()
        steps[place] = [[python, ROOT / "tools/figures.py", place]]
    # the story trains what `ready` has trained: only its control is trained there
    steps[STORY].insert(0, [python, "-c", COPY, seeds[0], ROOT / "runs/chapter"])
    return steps | {"readme": [tool["readme"]]}


def stamp(seconds):
    "Where, when and from what it was made"
    from minivlm_cot.engine import machine  # not before it is needed: torch takes seconds

    ask = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return dict(
        commit=commit or "unknown",
        machine=machine("cpu") | dict(cores=os.cpu_count()),
        day=str(date.today()),
        seconds=round(seconds),
    )


def write(value, place):
    "JSON, whole or not at all; a file on one line stays on one line"
    one_line = place.exists() and "\n" not in place.read_text(encoding="utf-8").strip()
    text = json.dumps(value, indent=None if one_line else 1, sort_keys=True)
    temporary = place.with_suffix(".part")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(place)


def read(place):
    "JSON, or nothing where there is no file"
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}


def put_stamps(step, made):
    "Into the step's results files, or into the list of what is not JSON"
    for place in (p for p in RESULTS.get(step, []) if p.exists()):  # no data, no results
        write(read(place) | {"made": made}, place)
    if step not in RESULTS:
        listed = KEPT / "made.json"
        write(read(listed) | {step: made}, listed)


def do(step, todo, runs):
    "Do one step; what it took so far counts too if it is stopped"
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "agg"}
    spent, began = read(runs / "spent.json"), time.time()
    try:
        for command in todo:
            if subprocess.run(list(map(str, command)), cwd=ROOT, env=env).returncode:
                sys.exit(f"The step {step} failed. Mend it and run this again: it goes on here.")
    finally:
        spent[step] = spent.get(step, 0) + time.time() - began
        write(spent, runs / "spent.json")
    made = stamp(spent[step])
    put_stamps(step, made)
    write(read(runs / "done.json") | {step: made}, runs / "done.json")


def main(wanted):
    "Do the steps that are not done, each kept as soon as it is done"
    runs = ROOT / "runs/everything" / code()
    steps, done = commands(runs), read(runs / "done.json")
    listing = "--list" in wanted
    wanted = [w for w in wanted if w != "--list"] or list(steps)
    if unknown := [w for w in wanted if w not in steps]:
        sys.exit(f"There is no step {', '.join(unknown)}: see python tools/everything.py --list")
    if listing:
        print("\n".join(f"{'done ' if w in done else 'to do'}  {w}" for w in wanted))
        return
    runs.mkdir(parents=True, exist_ok=True)
    for step in (bar := tqdm([w for w in wanted if w not in done], disable=None)):
        bar.set_description(step)
        do(step, steps[step], runs)


if __name__ == "__main__":
    main(sys.argv[1:])
