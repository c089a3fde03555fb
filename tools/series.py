"""Teach and examine every task of the drawn world, one after the other: `make series`.

python tools/series.py                      what has no results in nbs/benchmarks yet
python tools/series.py captions one_query   these alone, and anew what has results

captions    describe the picture: minutes                     → captions.json
detection   find the objects, as JSON                         → detection.json
questions   several questions about each picture              → questions.json
several     what changed between pictures                     → several.json
multitask   three specialists, a generalist, chains behind it → multitask.json
one_query   from the sentence to the score, by the generalist → one_query.json

The models stay in runs/series, so that an interrupted one goes on where it stopped.
"""

import sys
import time
from pathlib import Path

from everything import KEPT, read, stamp, write
from minivlm_cot.core import save_json
from minivlm_cot.model import load_minivlm
from minivlm_cot.tasks import measure_detector, measure_multitask, measure_queries, train_captions
from minivlm_cot.tasks import train_questions, train_several

RUNS = Path("runs/series")


def measure_one_query(out, results):
    "Ask the generalist of the study by sentences"
    base = RUNS / "multitask/all/model"
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
)  # name → a function of out and results


def main(wanted):
    "Do the steps that have no results, or those that are wanted"
    if unknown := [name for name in wanted if name not in STEPS]:
        sys.exit(f"There is no step {', '.join(unknown)}: use {', '.join(STEPS)}.")
    for name in wanted or STEPS:
        place, began = KEPT / f"{name}.json", time.time()
        if not wanted and place.exists():
            continue
        print(name)
        STEPS[name](out=RUNS / name, results=place)
        write(read(place) | dict(made=stamp(time.time() - began)), place)


if __name__ == "__main__":
    main(sys.argv[1:])
