"""An arm keeps its colour, and nothing else wears it."""

import matplotlib

matplotlib.use("agg")
from matplotlib.colors import to_hex

from minivlm_cot.visualization import _CARD_CSS, ARM_COLOURS, plot_losses


def colours(figure):
    return {
        line.get_label(): to_hex(line.get_color()).upper()
        for line in figure.axes[0].lines
        if not line.get_label().startswith("_")
    }


def test_a_stage_does_not_look_like_an_arm():
    losses = [3.0, 2.0, 1.0]
    stages = [
        "base: exercises",
        "cot: reason, and answer directly",
        "a third",
        "a fourth",
        "a fifth",
    ]
    drawn = colours(plot_losses({name: losses for name in stages}))
    taken = {c.upper() for c in ARM_COLOURS.values()} | {
        "#1F77B4",
        "#FF7F0E",
    }  # matplotlib's first two look like them
    assert not set(drawn.values()) & taken
    assert len({drawn[s] for s in stages[:4]}) == 4


def test_an_arm_keeps_its_colour():
    assert colours(plot_losses({"direct": [2.0, 1.0], "cot": [2.0, 1.0]})) == {
        "direct": ARM_COLOURS["direct"],
        "cot": ARM_COLOURS["cot"],
    }


def test_cards_follow_the_sites_switch_and_have_no_highlighter():
    rules = _CARD_CSS.replace("\n", "")
    assert ".quarto-dark .cot-card{" in rules and ".quarto-light .cot-card{" in rules
    order = [
        rules.index(s) for s in ("@media (prefers-color-scheme:dark)", ".quarto-light .cot-card{")
    ]
    assert order == sorted(order)  # the switch has the last word over the system
    mark = rules[rules.index(".cot-card .mark{") :]
    assert "background:none" in mark[: mark.index("}")]
