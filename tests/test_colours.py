"""A strategy keeps its colour, nothing else wears it, and what is written can be read."""

import itertools
import re

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb

from minivlm_cot.core import package_file
from minivlm_cot.visualization import ARM_COLOURS, RIGHT, STYLE, WRONG, looks, plot_losses
from minivlm_cot.visualization.cards import _CARD_CSS, _MARKS

MANY = [*ARM_COLOURS, "vote", "search", "refine", "route"]
# how eyes without one kind of cone see linear RGB (Machado et al. 2009)
EYES = dict(
    all_cones=np.eye(3),
    no_red=[[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    no_green=[[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    no_blue=[[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    "A colour's three parts as light, not as they are stored"
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    "As the web's accessibility guidelines define it: 1 to 21"
    dark, light = sorted(TO_XYZ[1] @ linear(c) for c in (a, b))
    return (light + 0.05) / (dark + 0.05)


def lab(light):
    "Lightness and two hues, in which equal distances look about equal"
    xyz = TO_XYZ @ np.clip(light, 0, 1) / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def palettes():
    "The colours of the style sheet: by day, by night, and by night on the site"
    css = package_file("styles/colours.css").read_text(encoding="utf-8")
    blocks = re.findall(r"\{\s*(--ink.*?)\}", css, re.S)
    return [dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in blocks]


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
    alike = {"#1F77B4", "#FF7F0E"}  # matplotlib's first two look like them
    taken = {c.upper() for c in ARM_COLOURS.values()} | alike
    assert not set(drawn.values()) & taken
    assert len({drawn[s] for s in stages[:4]}) == 4


def test_an_arm_keeps_its_colour():
    assert colours(plot_losses({"direct": [2.0, 1.0], "cot": [2.0, 1.0]})) == {
        "direct": ARM_COLOURS["direct"],
        "cot": ARM_COLOURS["cot"],
    }


def test_a_line_without_a_colour_takes_none_of_a_strategy():
    with plt.style.context(STYLE):
        drawn = {to_hex(c["color"]).upper() for c in plt.rcParams["axes.prop_cycle"]}
        assert not drawn & {look.colour.upper() for look in looks(MANY).values()}


def test_cards_follow_the_sites_switch_and_have_no_highlighter():
    rules = re.sub(r"\s*([{}:;,>()])\s*", r"\1", _CARD_CSS)
    assert ".quarto-dark .cot-card{" in rules and ".quarto-light .cot-card{" in rules
    # the switch has the last word over the system: two classes weigh more than one
    system = rules[rules.index("@media(prefers-color-scheme:dark)") :]
    assert system.startswith("@media(prefers-color-scheme:dark){.cot-page,.cot-card{")
    mark = rules[rules.index(".cot-card .mark{") :]
    assert "background:none" in mark[: mark.index("}")]


def test_seven_strategies_are_told_apart_by_every_eye():
    shown = list(looks(MANY).values())
    assert len({(look.colour, look.mark) for look in shown}) == len(MANY)
    for sight in EYES.values():
        seen = [lab(sight @ linear(look.colour)) for look in shown]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12


@pytest.mark.parametrize("palette", palettes())
def test_text_can_be_read(palette):
    for name in ("ink", "soft", "good", "bad", "aside", "cot"):
        grounds = ("panel", "paper")
        assert min(contrast(palette[name], palette[g]) for g in grounds) >= 4.5, name
    on_bars = [look.css for look in looks(MANY).values()]
    assert {n.removeprefix("on-") for n in palette if n.startswith("on-")} == set(on_bars)
    for name in on_bars:
        assert contrast(palette[name], palette[f"on-{name}"]) >= 4.5, name
    assert contrast(palette["ink"], palette["line"]) >= 4.5  # beside a short bar


def test_a_figures_text_can_be_read():
    for colour in (RIGHT, WRONG, *(m.colour for m in _MARKS.values())):
        assert contrast(colour, "white") >= 4.5


def test_pages_wear_the_figures_colours():
    light = palettes()[0]
    for look in looks(MANY).values():
        assert light[look.css].lower() == look.colour.lower()
