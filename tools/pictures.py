"""Measure what it saves to read a picture once for all its questions: `make pictures`.

Eight questions of 20 tokens behind 49 image tokens, learned and answered, each way in turn, with
random weights of the real shape. One thread, and the processor's own seconds instead of the clock
on the wall: other programs may run beside it. The result is nbs/benchmarks/pictures.json.
"""

import time
from pathlib import Path

import torch

from minivlm_cot.core import save_json
from minivlm_cot.engine import picture_speeds, ratios

PLACE = Path(__file__).resolve().parent.parent / "nbs/benchmarks/pictures.json"


def main():
    "Both gains, three rounds"
    torch.set_num_threads(1)
    found = picture_speeds(clock=time.process_time)
    save_json(found | dict(threads=1, clock="processor"), PLACE)
    for part in ("training", "answering"):
        first = next(iter(found[part]))
        for name, (middle, low, high) in ratios(found[part], first).items():
            print(f"{part}: {name:30} {middle:5.2f} times {first} ({low:.2f} … {high:.2f})")


if __name__ == "__main__":
    main()
