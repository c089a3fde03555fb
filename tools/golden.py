"""What Python says, for the modules of the thinking page to agree with.

python tools/golden.py FOLDER            all parts
python tools/golden.py FOLDER chains     only those named: chains refused pictures questions
"""

import gzip
import json
import random
import re
import sys
from pathlib import Path

from minivlm_cot.core import InputError
from minivlm_cot.scenes import (
    CELLS,
    check_chain,
    COLOURS,
    describe_scene,
    draw_scene,
    families_of,
    jitter,
    make_example,
    ORDINALS,
    run_program,
    sample_scene,
    Scene,
    scene_bucket,
    SHAPES,
    SIZES,
    SPLITS,
)
from minivlm_cot.scenes.programs import _count_list, _shape_list

CHAINS, PICTURES, REFUSED, QUESTIONS = 10_000, 2_000, 400, 2_000
WORDS = (
    *COLOURS,
    *SHAPES,
    *SIZES,
    "object",
    "none",
    "empty",
    "Right",
    "left",
    "DOWN",
    "First",
    "second",
)


def save(path, rows):
    "One JSON object a line, packed"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=4) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def examples(n, rng):
    "Rows of all families and splits in turn, their pictures left small"
    asked = [(split, family) for split in SPLITS for family in families_of(split)]
    for i in range(n):
        split, family = asked[i % len(asked)]
        yield make_example(rng.randrange(10**6), split, family, image_size=8)


def replaced(pattern, values, chain, rng):
    "The chain with one place that the pattern fits changed"
    found = list(re.finditer(pattern, chain))
    if not found:
        return chain
    place = rng.choice(found)
    return chain[: place.start()] + rng.choice(values) + chain[place.end() :]


def rearranged(chain, rng):
    "A step dropped, doubled, or two of them swapped"
    steps = chain.split(". ")
    i, j = rng.randrange(len(steps)), rng.randrange(len(steps))
    way = rng.choice(("drop", "double", "swap"))
    if way == "drop":
        del steps[i]
    elif way == "double":
        steps.insert(j, steps[i])
    else:
        steps[i], steps[j] = steps[j], steps[i]
    return ". ".join(steps)


def spaced(chain, rng):
    "Other white space, case or punctuation in one place"
    odd = ("", " ", "  ", "\n", "\t", "\x85", "\xa0", "\ufeff", "\x1c", "\u200b", ".", "..", ". ")
    place = rng.randrange(len(chain) + 1)
    if rng.random() < 0.3:
        return chain.swapcase() if rng.random() < 0.2 else replaced("[A-Z]", "frlud", chain, rng)
    return chain[:place] + rng.choice(odd) + chain[place:]


def inserted(chain, scene, rng):
    "True sentences that another question would ask for, somewhere in a chain"
    word, attribute = rng.choice((*COLOURS, *SHAPES)), rng.choice(("colour", "shape"))
    said = [_count_list(scene, word), _shape_list(scene, word)]
    said.append(run_program(scene, [["most", attribute]])[1].rpartition(". ")[2])
    steps = chain.split(". ")
    for sentence in rng.sample(said, rng.randint(1, len(said))):
        steps.insert(rng.randint(0, len(steps)), sentence.removesuffix("."))
    return ". ".join(steps)


def mutated(chain, rng):
    "A chain with one to three things changed"
    ways = (
        lambda c: replaced(r"\b[A-Za-z]{3,}\b", WORDS, c, rng),
        lambda c: replaced(r"\b\d+\b", [*map(str, range(8)), "01", "10", "٣", "12345"], c, rng),
        lambda c: replaced(r"\b[a-d][1-4]\b", (*CELLS, "e1", "a5"), c, rng),
        lambda c: replaced("|".join(COLOURS), tuple(COLOURS), c, rng),
        lambda c: replaced("|".join(SHAPES), SHAPES, c, rng),
        lambda c: replaced("[<=>+]", "<=>+", c, rng),
        lambda c: replaced(r"First |Second |Third |, [a-d]\d empty", ("", "Second "), c, rng),
        lambda c: rearranged(c, rng),
        lambda c: spaced(c, rng),
    )
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        chain = rng.choice(ways)(chain)
    return chain


HOSTILE = (
    "",
    " ",
    ".",
    "...",
    ". . .",
    "\n\n",
    "<img src=x onerror=alert(1)>. <b>Look</b>: red ball a1.",
    "&lt;script&gt;. It is red.",
    "constructor. __proto__. toString: none, so 0.",
    "It is constructor. Most: __proto__. hasOwnProperty: none.",
    "Look: object a1. It is a object.",
    "Most: ball. ball 1, cube 1.",
    "1 + 1 = 2. 1 > 0. 0 = 0.",
    "Ｌｏｏｋ: red ball a1. It is réd. 😀😀. 红色. أحمر.",
    "\ud800. It is red.",
    "ball " * 2000,
    "1 red a1, " * 1000 + "so 3.",
    "red: " + ", ".join("1 red a1" for _ in range(1111)) + ", so 1.",
    "red: " + ", ".join("1 red a1" for _ in range(1111)) + "!",
    "Right: " + "a1 empty, " * 990 + "a1 red ball.",
    "Right: " + "a1 empty, " * 990 + "a1 red bal.",
    "a" + " " * 9998 + "b",
    "." * 10_000,
    ". " * 5_000,
    "It is red. " * 900,
    "Look: ball a1. Right: b1 red ball. " * 280,
)


def nonsense(rng):
    "Text that nobody would call a chain"
    if rng.random() < 0.3:
        return rng.choice(HOSTILE)
    if rng.random() < 0.4:
        words = rng.choices((*WORDS, *CELLS, *"0123456789.,:+<=>", "so", "It is", "Look:"), k=30)
        return " ".join(words)
    letters = "abcd1234 .,:<>&\"'\\/()[]{}*+?|^$\n\r\t\x00\x1f\x85\u2028\u3000éß😀"
    return "".join(rng.choices(letters, k=rng.randrange(80)))


def chain_of(example, other, kind, rng):
    "A chain of a kind about an example, of which `other` is another one"
    truth, scene = example["rationales"][0], Scene.from_dict(example["scene"])
    if kind == "true":
        return truth
    if kind == "mutated":
        return mutated(truth, rng)
    if kind == "stranger":  # true or not of this picture, and asked for by another question
        return mutated(other["rationales"][0], rng) if rng.random() < 0.5 else truth
    if kind == "inserted":
        return inserted(truth, scene, rng)
    if kind == "beside":  # two chains in one, or a look around on the way
        whole = [*truth.split(". "), *other["rationales"][0].split(". "), describe_scene(scene)]
        return ". ".join(rng.sample(whole, rng.randint(1, len(whole))))
    return nonsense(rng)


KINDS = ("true",) * 6 + ("mutated",) * 9 + ("stranger", "beside", "inserted") + ("nonsense",) * 2


def varied(program, rng):
    "A program with an argument of one operation changed or left out, where that makes sense"
    other = json.loads(json.dumps(program))
    step = rng.choice(other)
    if step[0] == "move":
        step[2:] = rng.choice(([], [rng.choice(ORDINALS)]))
    elif step[0] in ("query", "take", "most"):
        step[1] = rng.choice(("colour", "shape"))
    elif step[0] == "count" and len(step) == 2:
        step[1] = rng.choice((*COLOURS, *SHAPES))
    elif step[0] == "inspect":
        step[0] = "find"
    elif step[0] == "add":
        step[0] = "more" if step is other[-1] else "add"
    return other


def chains(folder):
    "Chains, true, mutated and nonsense, with Python's marks"
    rng, rows = random.Random("chains"), []
    made = list(examples(CHAINS // 4, rng))
    for i in range(CHAINS):
        kind, example, other = KINDS[i % len(KINDS)], rng.choice(made), rng.choice(made)
        if kind == "true":
            example = made[i % len(made)]
        chain = chain_of(example, other, kind, rng)
        asked = rng.choice((example, example, example, other, {}))
        program = asked.get("program")
        if program and rng.random() < 0.15:
            program = varied(program, rng)
        if kind == "true":
            program = example["program"]
        row = dict(scene=example["scene"], program=program)
        check = check_chain(chain, row)
        steps = [[s.text, s.ok, s.why, s.verdict] for s in check.steps]
        marks = (check.parsed, check.implied_answer, check.complete, check.right)
        rows.append(row | dict(kind=kind, chain=chain, steps=steps, marks=marks))
    save(folder / "chains.jsonl.gz", rows)


def is_refused(chain, row):
    "Does the checker refuse the scene or the program?"
    try:
        check_chain(chain, row)
    except InputError:
        return True
    return False


def made_up(example, rng):
    "A scene and a program in which something may be wrong"
    scene, program = json.loads(json.dumps((example["scene"], example["program"])))
    if rng.random() < 0.5:
        thing = rng.choice(scene["things"])
        field = rng.choice((*thing, "extra"))
        thing[field] = rng.choice((None, "red", "ball", "big", "constructor", 3, 16, -1, 0.5, [1]))
        if rng.random() < 0.2:
            del thing[field]
        return dict(scene=rng.choice((scene, scene, scene, scene["things"], {})), program=program)
    i = rng.randrange(len(program))
    step = rng.choice((["add"], ["count"], ["more"], ["constructor"], [], ["find"], None, "find"))
    step = rng.choice((step, ["find", "red ball object"], ["move", "right", "sixth"], [1]))
    program[i] = rng.choice((step, program[i][:1], program[i] + ["red"], program[i - 1]))
    return dict(scene=scene, program=program)


def refused(folder):
    "Scenes and programs that were made up: which of them does Python refuse?"
    rng, rows = random.Random("refused"), []
    for example in examples(REFUSED, rng):
        row = made_up(example, rng)
        rows.append(row | dict(refused=is_refused(example["rationales"][0], row)))
    save(folder / "refused.jsonl.gz", rows)


def pictures(folder):
    "Scenes of several splits, and their pictures as Python draws them: raw bytes, one by one"
    rng, rows = random.Random("pictures"), []
    with gzip.open(folder / "pictures.rgb.gz", "wb", compresslevel=1) as file:
        for i in range(PICTURES):
            scene = jitter(sample_scene(rng, SPLITS[i % len(SPLITS)]), rng)
            file.write(draw_scene(scene).tobytes())
            rows.append(scene.to_dict() | dict(bucket=scene_bucket(scene)))
    save(folder / "scenes.jsonl.gz", rows)


def questions(folder):
    "Questions of all families and splits, with their programs, answers and chains"
    kept, rows = ("scene", "family", "question", "program"), []
    for example in examples(QUESTIONS, random.Random("questions")):
        answer, chain = run_program(Scene.from_dict(example["scene"]), example["program"])
        rows.append({k: example[k] for k in kept} | dict(answer=answer, chain=chain))
    save(folder / "questions.jsonl.gz", rows)


PARTS = dict(chains=chains, refused=refused, pictures=pictures, questions=questions)


def main(folder, *names):
    "Write the parts named, or all"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or PARTS:
        PARTS[name](folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
