"""Train the demo's base model in ways that the chapters compare: `make trainings`.

    python tools/trainings.py               what is not yet kept
    python tools/trainings.py alignment     of one comparison only

Each way is one short run over exercises that are all new, on the ready model's frozen encoder.
A finished run is kept in nbs/benchmarks/optimisers.json or alignment.json and not made again;
an interrupted one goes on from its checkpoint. `IN_TEST=1` makes them tiny, in runs/ only.
"""

import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from minivlm_cot import load_minivlm
from minivlm_cot.core import set_seed
from minivlm_cot.dataset import CoTReasoningDataset
from minivlm_cot.engine import machine
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
    spent = sum(r["seconds"] for r in history.rows)
    kept = dict(losses=[round(x, 4) for x in history.losses], seconds=round(spent, 1))
    return dict(way, **kept, align_seconds=round(seconds, 1))


def stamp():
    "Where and from what these numbers come"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return dict(commit=commit, machine=machine("cpu"), day=str(date.today()))


def main(names):
    "Make the runs that are missing, each kept as soon as it is done"
    folder = ROOT / ("runs" if SMALL else "nbs/benchmarks")
    made, known = {}, None
    for name in names or WAYS:
        place = folder / f"{name}.json"
        found = json.loads(place.read_text()) if place.exists() else dict(steps=STEPS, runs={})
        for label, way in WAYS[name].items():
            if label in found["runs"]:
                continue
            key = "-".join(str(v) for v in way.values())
            if key not in made:
                known = known or world()
                made[key] = one_run(way, ROOT / f"runs/trainings/{STEPS}-{key}", *known)
            found |= dict(batch_size=BATCH, **stamp())
            found["runs"][label] = made[key]
            place.parent.mkdir(exist_ok=True)
            place.write_text(json.dumps(found, indent=None, sort_keys=True) + "\n")
            print(f"{name}, {label}: {made[key]['losses'][-1]} in {made[key]['seconds']} s")


if __name__ == "__main__":
    main(sys.argv[1:])
