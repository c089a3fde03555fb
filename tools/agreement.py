"""Do the pictures that the thinking page draws get the answers that Python's pictures get?

python tools/agreement.py 2000

Draws so many questions' scenes in both languages, puts each question to the ready model about
both pictures, step by step and directly, and counts the words and the pictures that are equal.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from minivlm_cot.generation import generate_answers
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import families_of, make_example, SPLITS

ROOT = Path(__file__).resolve().parent.parent
DRAW = ROOT / "tests" / "thinking" / "draw_scenes.mjs"
SIDE = 80  # pixels
FIRST = 700_000  # number of the first example: neither the exam nor the chapters come so far


def questions(n):
    "So many rows, of all families and splits in turn"
    asked = [(split, family) for split in SPLITS for family in families_of(split)]
    return [make_example(FIRST + i, *asked[i % len(asked)]) for i in range(n)]


def drawn_by_node(scenes):
    "The pictures of the page's own module"
    given = json.dumps(scenes).encode()
    done = subprocess.run(["node", str(DRAW)], input=given, capture_output=True, check=True)
    pixels = np.frombuffer(done.stdout, np.uint8).reshape(len(scenes), SIDE, SIDE, 3)
    return [Image.fromarray(picture) for picture in pixels]


def agreement(n):
    "Counts: pictures that are identical; texts, and answers, that are equal in each arm"
    rows = questions(n)
    pictures = dict(python=[r["image"] for r in rows])
    pictures["page"] = drawn_by_node([r["scene"] for r in rows])
    same = sum(a.tobytes() == b.tobytes() for a, b in zip(*pictures.values()))
    found, vlm = dict(questions=n, identical_pictures=same), load_minivlm()
    for arm in ("cot", "direct"):
        asked = [r["question"] for r in rows]
        said = [generate_answers(*vlm, p, asked, arm) for p in pictures.values()]
        found[f"{arm}_texts"] = sum(a.text == b.text for a, b in zip(*said))
        found[f"{arm}_answers"] = sum(a.answer == b.answer for a, b in zip(*said))
    return found


if __name__ == "__main__":
    print(json.dumps(agreement(int(sys.argv[1]))))
