"""The front page's picture and the demo's report, made from the ready model: `make home`.

The ready model sits the exam that its results come from. `nbs/demo/index.html` is the page that
`make demo` would write; `nbs/images/chain_beside_direct.png` shows the shortest walk that only the
chain got right.
"""

import hashlib
import sys
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from minivlm_cot.core import load_json
from minivlm_cot.evaluation import evaluate_cot
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import scene_examples
from minivlm_cot.visualization import (
    ARM_COLOURS,
    RIGHT,
    STYLE,
    WRONG,
    choose_cards,
    looks,
    outcome_of,
    picture_of,
    plot_accuracy,
    report_page,
)

ROOT = Path(__file__).resolve().parent.parent
READY, PAGE, HERO = (
    ROOT / "minivlm_cot/ready",
    ROOT / "nbs/demo/index.html",
    ROOT / "nbs/images/chain_beside_direct.png",
)
FACTS = (
    "train_seconds",
    "train_steps",
    "train_sequences",
    "base_sequences",
    "encoder_accuracy",
    "trainable_parameters",
    "frozen_parameters",
)
LARGEST = 1_500_000  # bytes of the page
INK, SOFT = "#1d1d1f", "#5c5c62"


def sit_exam(results):
    "The ready model's report on the exam of its results, and the exam"
    model, processor = load_minivlm(READY)
    recipe = results["recipe"]
    train = scene_examples(recipe["pictures"], "train", seed=recipe["seed"])
    exam = scene_examples(recipe["test"], "test", seed=recipe["seed"])
    report = evaluate_cot(
        model, processor, exam, train_examples=train, batch_size=130, seed=recipe["seed"]
    )
    for split in results["splits"]:
        other = scene_examples(recipe["ood"], split, seed=recipe["seed"])
        report.splits[split] = evaluate_cot(
            model,
            processor,
            other,
            train_examples=train,
            batch_size=130,
            blind=(),
            seed=recipe["seed"],
        )
    weights = hashlib.sha256((READY / "model.safetensors").read_bytes()).hexdigest()[:16]
    report.extra |= {k: results[k] for k in FACTS if k in results} | {"ready_model": weights}
    return report, exam


def disagreements(report, results):
    "Accuracies in which the exam just sat and the stored results differ by more than a point"
    found = report.to_dict()["groups"]
    pairs = [
        (g, arm, found[g]["arms"][arm]["accuracy"], s[arm])
        for g, s in results["groups"].items()
        for arm in ("cot", "direct")
    ]
    return [
        f"{g}, {arm}: {100 * now:.1f}% now, {100 * then:.1f}% in results.json"
        for g, arm, now, then in pairs
        if abs(now - then) > 0.01
    ]


def short_example(rows):
    "The row read quickest: the shortest walk that only the chain got right, by right steps alone"
    saved = [r for r in rows if outcome_of(r) == "helped" and r["group"] == "deep"]
    good = [r for r in saved if r["answers"]["cot"]["chain_right"]]
    if not good:
        sys.exit("No deep question was answered right by the chain alone: is this the ready model?")
    # a way through the picture is followed by eye
    walks = [r for r in good if str(r["family"]).startswith("walk")]

    def effort(row):
        question, chain = row["question"], row["answers"]["cot"]["chain"]
        return len(question.split()), len(question), len(chain)

    return min(walks or good, key=effort)


def hero_blocks(row):
    "The question and both arms, each a list of (text, colour, size, weight)"
    question = [(t, INK, 19, "bold") for t in textwrap.wrap(row["question"], 26)]
    blocks, shown = {"question": question}, looks(row["answers"])
    for name, mark, colour in (("direct", "✗", WRONG), ("cot", "✓", RIGHT)):
        answer = row["answers"][name]
        block = [(shown[name].asked, SOFT, 13, "normal")]
        for step in answer["steps"] or []:
            first, *more = textwrap.wrap(step["text"], 34)
            lines = [f"{mark} {first}", *(f"    {t}" for t in more)]
            block += [(t, colour, 15, "normal") for t in lines]
        said = f"{mark} {answer['answer'] or '(no answer)'}"
        blocks[name] = [*block, (said, colour, 17, "bold")]
    return blocks


def draw_hero(row, example):
    "One picture, one question, two answers"
    blocks, gap, line = hero_blocks(row), 0.16, 1.65 / 72  # inches
    tall = sum(line * size for block in blocks.values() for _, _, size, _ in block) + 2 * gap
    side, beside = 4.0, 4.8
    high = max(side, tall)
    with plt.style.context([STYLE, {"figure.constrained_layout.use": False}]):
        fig = plt.figure(figsize=(side + beside, high), dpi=150)
    left = fig.add_axes([0, 0, side / (side + beside), 1], anchor="W")
    left.imshow(picture_of(example, 480))
    left.axis("off")
    right = fig.add_axes([side / (side + beside), 0, beside / (side + beside), 1])
    right.set(xlim=(0, beside), ylim=(high, 0))
    right.axis("off")
    y = (high - tall) / 2
    for name, block in blocks.items():
        top = y
        for text, colour, size, weight in block:
            look = dict(color=colour, fontsize=size, weight=weight, parse_math=False)
            right.text(0.35, y + line * size / 2, text, va="center", **look)
            y += line * size
        if name in ARM_COLOURS:
            right.plot([0.2, 0.2], [top, y], color=ARM_COLOURS[name], lw=4, solid_capstyle="butt")
        y += gap
    return fig


def main():
    "Write both"
    results = load_json(READY / "results.json")
    report, exam = sit_exam(results)
    if wrong := disagreements(report, results):
        sys.exit("The ready model does not do what its results.json says:\n" + "\n".join(wrong))
    row = short_example(report.rows)
    draw_hero(row, next(e for e in exam if e["question_id"] == row["question_id"])).savefig(
        HERO, facecolor="white", bbox_inches="tight", pad_inches=0.2
    )
    PAGE.parent.mkdir(exist_ok=True)
    figures = {"Accuracy of both arms, by kind of question": plot_accuracy(report)}
    report_page(report, figures, choose_cards(report, exam), PAGE)
    if PAGE.stat().st_size > LARGEST:
        sys.exit(f"{PAGE} has {PAGE.stat().st_size:,} bytes; {LARGEST:,} are allowed")
    print(
        f"{row['question']}\n{HERO.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}",
        f"({PAGE.stat().st_size:,} bytes)",
    )


if __name__ == "__main__":
    main()
