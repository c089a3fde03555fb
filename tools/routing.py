"""Routers that read SmolLM2's states, chosen on validation and examined on the held-out queries.

The part smollm2-135m reads all queries once (a minute or two on a quiet processor); `--states FILE`
keeps what it has read, or goes on from it. The share of the states in the scores is chosen by the
area under the risk-coverage curve of validation; then the test is asked. All of it goes into
nbs/benchmarks/routing.json, from which the chapter “A router's exam” draws.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from minivlm_cot.core import has_fast_bf16, save_json
from minivlm_cot.model import gguf_tokenizer, load_gguf
from minivlm_cot.tasks.queries import load_queries
from minivlm_cot.tasks.router_exam import calibration, examine, fit_temperature, task_risk
from minivlm_cot.tasks.router_exam import train_router
from minivlm_cot.tasks.routing import label_ids, read_states

ROOT = Path(__file__).resolve().parent.parent
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the states in the scores
POINTS = 50  # of a curve that are kept


def states_of(parts, kept):
    "SmolLM2's states of each part, [N, 1152]"
    if kept and Path(kept).exists():
        return load_file(kept)
    dtype = torch.bfloat16 if has_fast_bf16("cpu") else torch.float32
    language = load_gguf("smollm2-135m", dtype=dtype), gguf_tokenizer("smollm2-135m")
    states = {n: read_states(*language, [q.query for q in p]) for n, p in parts.items()}
    if kept:
        save_file(states, kept)
    return states


def validation_area(parts, states, share):
    "The area on validation, of heads that have seen train alone"
    router = train_router(
        parts["train"],
        parts["validation"],
        share=share,
        states=(states["train"], states["validation"]),
        again=False,
    )
    asked, labels = [q.query for q in parts["validation"]], label_ids(parts["validation"])
    p = router.probabilities(asked, states["validation"])
    found = examine(router.choose(p), parts["validation"])
    return dict(share=share, area=task_risk(p, labels)[2], shares=found)


def asked_once(parts, states, share):
    "Fit on train and validation, and ask the test"
    both = states["train"], states["validation"]
    router = train_router(parts["train"], parts["validation"], share=share, states=both)
    labels = label_ids(parts["test"])
    p = router.probabilities([q.query for q in parts["test"]], states["test"])
    sure, answer = p.max(1)
    error, bins = calibration(sure, answer == labels)
    coverage, risk, area = task_risk(p, labels)
    some = [round(i * (len(risk) - 1) / (POINTS - 1)) for i in range(POINTS)]
    return dict(
        share=share,
        temperature=router.temperature,
        threshold=router.threshold,
        shares=examine(router.choose(p), parts["test"]),
        five=float((answer == labels).double().mean()),
        calibration_error=error,
        bins=[list(b) for b in bins],
        area=area,
        curve=[[round(float(coverage[i]), 4), round(float(risk[i]), 4)] for i in some],
    )


def main():
    "Choose on validation, then ask the test"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", help="a safetensors file for what SmolLM2 has read")
    parser.add_argument("--no-test", action="store_true", help="only show validation")
    options = parser.parse_args()
    began = time.monotonic()
    parts = {name: load_queries(name) for name in ("train", "validation", "test")}
    states = states_of(parts, options.states)
    tried = [validation_area(parts, states, share) for share in SHARES]
    for row in tried:
        shares = ", ".join(f"{name} {value[0]:.3f}" for name, value in row["shares"].items())
        print(f"validation, share {row['share']:.2f}: area {row['area']:.4f}, {shares}")
    if options.no_test:
        return
    chosen = min(tried, key=lambda row: row["area"])["share"]
    rows = {name: asked_once(parts, states, s) for name, s in (("states", 1.0), ("chosen", chosen))}
    facts = dict(model="smollm2-135m", validation=tried, chosen=chosen, test=rows)
    facts["seconds"] = round(time.monotonic() - began)
    save_json(facts, ROOT / "nbs/benchmarks/routing.json")
    for name, row in rows.items():
        print(name, {k: v for k, v in row.items() if k not in ("curve", "bins")})


if __name__ == "__main__":
    main()
