"""Teach and examine every task of the drawn world, one after the other: `make series`.

python tools/series.py                      what has no results in nbs/benchmarks yet
python tools/series.py captions one_query   these alone, and anew what has results
python tools/series.py --runs FOLDER        all that was not done in this folder yet, results or not

captions    describe the picture: minutes                     → captions.json
detection   find the objects, as JSON                         → detection.json
questions   several questions about each picture              → questions.json
several     what changed between pictures                     → several.json
multitask   three specialists, a generalist, chains behind it → multitask.json
one_query   from the sentence to the score, by the generalist → one_query.json
longer      walks of one to four moves in five forms, asked up to eight → longer.json
tools       chains that call a calculator, a look and a search, and their twins → tools.json
strategies  every way to think on 6,630 questions, hours → strategies.json
step_head   a judge of steps on hidden states                 → step_head.json
refining    check the own chain, and mend it                  → refining.json
forms       a model for each form of a chain → forms.json
examples    a model of texts behind worked examples in its prompt → examples.json

The models stay in runs/series, or in the folder that is named, so that an interrupted one goes on
where it stopped; what all of its parts took is counted.
"""

import sys
import time
from pathlib import Path

from everything import KEPT, read, stamp, write
from minivlm_cot.core import save_json
from minivlm_cot.model import load_minivlm
from minivlm_cot.reasoning import measure_examples, measure_strategies, train_forms, train_longer
from minivlm_cot.reasoning import train_refining, train_step_head, train_tools
from minivlm_cot.tasks import measure_detector, measure_multitask, measure_queries, train_captions
from minivlm_cot.tasks import train_questions, train_several

RUNS = Path("runs/series")


def measure_one_query(out, results):
    "Ask the generalist of the study by sentences"
    base = out.parent / "multitask/all/model"
    if not (base / "config.json").exists():
        sys.exit(f"There is no generalist in {base}: run python tools/series.py multitask first.")
    save_json(dict(tasks=measure_queries(*load_minivlm(base))), results)


STEPS = dict(
    captions=train_captions,
    detection=measure_detector,
    questions=train_questions,
    several=train_several,
    multitask=measure_multitask,
    one_query=measure_one_query,
    longer=train_longer,
    tools=train_tools,
    strategies=measure_strategies,
    step_head=train_step_head,
    refining=train_refining,
    forms=train_forms,
    examples=measure_examples,
)  # name → a function of out and results


def do(name, runs, place):
    "Do one step; what it took so far counts too if it was stopped"
    runs.mkdir(parents=True, exist_ok=True)
    spent, began = read(runs / "spent.json"), time.time()
    try:
        STEPS[name](out=runs / name, results=place)
    finally:
        spent[name] = spent.get(name, 0) + time.time() - began
        write(spent, runs / "spent.json")
    write(read(place) | dict(made=stamp(spent.pop(name))), place)
    write(spent, runs / "spent.json")  # done: another time counts from nothing


def main(wanted, runs=None):
    "Do the steps that have no results, or those that are wanted"
    if unknown := [name for name in wanted if name not in STEPS]:
        sys.exit(f"There is no step {', '.join(unknown)}: use {', '.join(STEPS)}.")
    for name in wanted or STEPS:
        place = KEPT / f"{name}.json"
        done = place if runs is None else runs / f"{name}.json"
        if not wanted and done.exists():
            continue
        print(name)
        do(name, runs or RUNS, place)
        if done != place:
            write(read(place), done)


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["--runs"] and len(words) > 1:
        main(words[2:], Path(words[1]))
    else:
        main(words)
