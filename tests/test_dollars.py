"""A dollar sign in data is a dollar sign: no figure takes it for a formula."""

import pytest
from matplotlib.text import Text
from PIL import Image

from minivlm_cot.dataset import show_sample
from minivlm_cot.evaluation import make_row, score_rows
from minivlm_cot.generation import Answer
from minivlm_cot.visualization import (
    plot_accuracy,
    plot_comparison,
    plot_losses,
    plot_validation,
    show_images,
)

PRICE = "$5 or $10"
ROW = dict(
    question_id="a",
    image_id=1,
    question=f"Is it {PRICE}?",
    choices=[PRICE, "free"],
    correct_choice_idx=0,
    direct_answers=None,
    rationales=[f"The tag says {PRICE}."],
    image=Image.new("RGB", (9, 9)),
    family=PRICE,
    group=PRICE,
    hops=None,
)


def answer(arm):
    return Answer(
        ROW["question"],
        arm,
        f"It says {PRICE}.\nAnswer: {PRICE}",
        PRICE,
        f"It says {PRICE}." if arm == "cot" else None,
        5,
    )


def made_row():
    return make_row(ROW, dict(cot=answer("cot"), direct=answer("direct")))


FIGURES = dict(
    images=lambda: show_images([ROW["image"]], [PRICE]),
    sample=lambda: show_sample(ROW),
    comparison=lambda: plot_comparison([ROW], [made_row()]),
    accuracy=lambda: plot_accuracy(score_rows({a: [answer("cot")] for a in ("cot", PRICE)}, [ROW])),
    losses=lambda: plot_losses({PRICE: [2.0, 1.0]}),
    validation=lambda: plot_validation({PRICE: [(1, 0.5), (2, 0.6)]}),
)


@pytest.mark.parametrize("name", FIGURES)
def test_dollars_are_no_formula(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    texts = [t for t in figure.findobj(Text) if "$5" in t.get_text() and t.get_visible()]
    assert texts and not any(t.get_parse_math() for t in texts)


def test_a_scale_keeps_its_formulas():
    figure = plot_losses({PRICE: [0.001, 1000.0]})
    figure.canvas.draw()
    assert any(
        t.get_parse_math() and "mathdefault" in t.get_text()
        for t in figure.axes[0].get_yticklabels()
    )
