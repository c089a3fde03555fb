"""Measure what it saves to read a picture once for all its questions: `make pictures`.

Eight questions of 20 tokens behind 49 image tokens, learned and answered, each way in turn, with
random weights of the real shape. The result is nbs/benchmarks/pictures.json.
"""

from pathlib import Path

from minivlm_cot.core import save_json
from minivlm_cot.engine import picture_speeds, ratios

PLACE = Path(__file__).resolve().parent.parent / "nbs/benchmarks/pictures.json"


def main():
    "Both gains, three rounds"
    found = picture_speeds()
    save_json(found, PLACE)
    for part in ("training", "answering"):
        first = next(iter(found[part]))
        for name, (middle, low, high) in ratios(found[part], first).items():
            print(f"{part}: {name:30} {middle:5.2f} times {first} ({low:.2f} … {high:.2f})")


if __name__ == "__main__":
    main()
