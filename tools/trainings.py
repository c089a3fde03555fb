"""Train the demo's base model in ways that two chapters compare: a step of `make everything`.

python tools/trainings.py FOLDER    keep each finished run in FOLDER, and go on from there

Each way is one short run over exercises that are all new, on the ready model's frozen encoder.
When all are done, nbs/benchmarks/optimisers.json and alignment.json are written; an interrupted
run goes on from its checkpoint. `IN_TEST=1` makes the runs tiny and writes into FOLDER only.
"""

import json
import os
import sys
import time
from pathlib import Path

from minivlm_cot import load_minivlm
from minivlm_cot.core import load_json, save_json, set_seed
from minivlm_cot.dataset import CoTReasoningDataset
from minivlm_cot.training import cache_features, draw_world, TrainConfig, train_cot_vlm
from minivlm_cot.training.stages import _with_tasks, align_words, build_model, Pace

ROOT = Path(__file__).resolve().parent.parent
SMALL = bool(os.environ.get("IN_TEST"))
STEPS, BATCH = (4, 8) if SMALL else (400, 32)
MUON = dict(optimizer="muon", rate=3e-3, align=True)
ADAMW = dict(optimizer="adamw", rate=1e-3, align=True)
WAYS = {
    "optimisers": {
        "Muon, 3e-3": MUON,
        "AdamW, 3e-3": MUON | dict(optimizer="adamw"),
        "AdamW, 1e-3": ADAMW,
        "AdamW, 3e-4": MUON | dict(optimizer="adamw", rate=3e-4),
    },
    "alignment": {
        "Muon, aligned": MUON,
        "Muon, not aligned": MUON | dict(align=False),
        "AdamW, aligned": ADAMW,
        "AdamW, not aligned": ADAMW | dict(align=False),
    },
}


def world():
    "Pictures, their exercises, and what the ready model's encoder sees in them"
    ready, processor = load_minivlm(device="cpu")
    rows, pictures = draw_world(STEPS * BATCH, "train", progress=False)
    return ready.vision_encoder, rows, cache_features(ready, processor, pictures, progress=False)


def one_run(way, out, encoder, rows, features):
    "Train one way; the losses of its steps and what they cost"
    begin, seconds = time.perf_counter(), 0.0
    model, processor = build_model(encoder, rows, seed=0, device="cpu", summary=False)
    if way["align"]:
        align_words(model, processor, features, rows, Pace(300, 128, 3e-3), progress=False)
        seconds = time.perf_counter() - begin
    exercises = _with_tasks(rows, 0)
    data = CoTReasoningDataset(exercises, processor, arms=("base",), image_features=features)
    rate = dict(lr_language=way["rate"], lr_projector=way["rate"])
    shape = dict(warmup=50, schedule="linear", decay=0.6, weight_decay=0.0, compile="")
    config = TrainConfig(str(out), 1, BATCH, optimizer=way["optimizer"], **rate, **shape)
    set_seed(0)
    history = train_cot_vlm(model, processor, data, config, progress=False)
    steps = [r["seconds"] for r in history.rows]
    kept = dict(losses=[round(x, 4) for x in history.losses], seconds=round(sum(steps), 1))
    return dict(way, **kept, align_seconds=round(seconds, 1), step_seconds=steps)


def main(folder):
    "Make the runs that are missing, each kept as soon as it is done; then the results files"
    made, known = {}, None
    folder.mkdir(parents=True, exist_ok=True)
    for way in (way for ways in WAYS.values() for way in ways.values()):
        key = "-".join(str(v) for v in way.values())
        place = folder / f"{key}.json"
        if not place.exists():
            known = known or world()
            save_json(one_run(way, folder / key, *known), place)
        made[key] = load_json(place)
        print(f"{key}: loss {made[key]['losses'][-1]} in {made[key]['seconds']} s")
    for name, ways in WAYS.items():
        runs = {label: made["-".join(str(v) for v in w.values())] for label, w in ways.items()}
        runs = {k: {n: v for n, v in r.items() if n != "step_seconds"} for k, r in runs.items()}
        whole = dict(steps=STEPS, batch_size=BATCH, runs=runs)
        text = json.dumps(whole, indent=None, sort_keys=True)
        place = (folder if SMALL else ROOT / "nbs/benchmarks") / f"{name}.json"
        place.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
