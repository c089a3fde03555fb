"""Draw which module imports which into nbs/images/structure.png: `make structure`.

Modules stand in the order of their chapters. A dot says that the module of its row imports the
module of its column; all dots lie below the diagonal, since imports point to earlier chapters only.
"""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

import rules

PICTURE = Path(__file__).resolve().parent.parent / "nbs/images/structure.png"
DOT, BAND = "#0072B2", ("#f2f2f0", "#ffffff")


def rooms_of(order):
    "Room, its first module's number, and how many modules it has"
    names = [module.split(".")[0] for module in order]
    return [(room, names.index(room), names.count(room)) for room in dict.fromkeys(names)]


def draw(order, arrows):
    "The matrix of imports"
    n = len(order)
    fig, ax = plt.subplots(figsize=(9, 9), dpi=110)
    for i, (room, first, count) in enumerate(rooms_of(order)):
        ax.axhspan(first - 0.5, first + count - 0.5, color=BAND[i % 2], zorder=0)
        ax.plot([first - 0.5, first + count - 0.5], [-0.5, -0.5], color="#888", lw=2)
        ax.text(first + count / 2 - 0.5, -1.2, room, rotation=55, fontsize=9, va="bottom")
    ax.plot([-0.5, n - 0.5], [-0.5, n - 0.5], color="#888", lw=0.8)
    ax.scatter([b for _, b in arrows], [a for a, _ in arrows], s=14, color=DOT, zorder=2)
    ax.set_yticks(range(n), list(order), fontsize=7)
    ax.set_xticks([])
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), ylabel="this module imports …")
    ax.text(
        n * 0.97,
        n * 0.06,
        "no dot above the line:\nno import points\nto a later chapter",
        ha="right",
    )
    for side in ("top", "right", "bottom"):
        ax.spines[side].set_visible(False)
    return fig


if __name__ == "__main__":
    order = rules.rooms_in_order()
    arrows = [(order[a], order[b]) for a in order for b in set(rules.imports_of(a)) if b in order]
    draw(order, arrows).savefig(PICTURE, bbox_inches="tight", facecolor="white")
    print(f"{len(order)} modules, {len(arrows)} imports, in {PICTURE.name}")
