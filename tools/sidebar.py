"""Write the site's sidebar and the foot of each chapter of the reading path: `make sidebar`."""

import json
import os
import re
from pathlib import Path

from site_checks import cells_of, notebooks_in

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "00_core": "Ground rules and contracts",
    "01_start": "Start here",
    "02_scenes": "A drawn world",
    "03_model": "The model",
    "04_dataset": "Questions and rationales",
    "05_training": "Training",
    "06_generation": "Asking",
    "07_evaluation": "Evaluation",
    "08_visualization": "Figures and pages",
    "09_tasks": "Tasks",
    "10_reasoning": "Ways to think",
    "11_real": "Real models",
    "12_engine": "Where the time goes",
    "13_commands": "Commands",
    "solutions": "Solutions",
}
FIRST = "01_start"  # a visitor begins with the story, not with the ground rules
PATH = [  # the chapters to read first, in this order: two evenings
    "01_start/01_ask_twice",
    "01_start/02_chain_of_thought",
    "02_scenes/01_world",
    "02_scenes/02_programs",
    "02_scenes/06_checking",
    "03_model/01_parts",
    "04_dataset/03_labels",
    "05_training/11_loop",
    "06_generation/01_writing",
    "07_evaluation/02_pairs",
    "07_evaluation/07_report",
]
FOOT = "**The reading path, "  # how the line begins that leads on


def texts_of(page):
    "A chapter's prose, cell by cell"
    return [text for kind, text, _ in cells_of(ROOT / f"nbs/{page}.ipynb") if kind == "markdown"]


def title(page):
    "A chapter's title"
    texts = texts_of(page)
    return next(re.match(r"# (.*)", text)[1] for text in texts if text.startswith("# "))


def foot(page):
    "What stands at the end of a chapter of the path: where one came from, and where it goes on"
    k, links = PATH.index(page), []
    for step, arrow in ((k - 1, "← {}"), (k + 1, "{} →")):
        if 0 <= step < len(PATH):
            where = os.path.relpath(PATH[step], Path(page).parent)
            links.append(f"[{arrow.format(title(PATH[step]))}]({where}.ipynb)")
    return f"{FOOT}{k + 1} of {len(PATH)}:** " + " · ".join(links)


def write_foot(page):
    "Put the foot at the end of the last text, or renew it there"
    path = ROOT / f"nbs/{page}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    last = [c for c in notebook["cells"] if c["cell_type"] == "markdown"][-1]
    text = "".join(last["source"]).partition(FOOT)[0].rstrip() + "\n\n" + foot(page)
    last["source"] = text.splitlines(keepends=True)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def lines():
    "The sidebar's entries as YAML"
    rooms = {}
    for path in notebooks_in(ROOT / "nbs"):
        place = path.relative_to(ROOT / "nbs")
        rooms.setdefault(place.parent.as_posix(), []).append(place.as_posix())
    yield from (f"      - {page}" for page in rooms.pop("."))
    for room in sorted(rooms, key=lambda name: (name != FIRST, name)):
        yield f'      - section: "{ROOMS[room]}"'
        yield "        contents:"
        for page in rooms[room]:
            if page.removesuffix(".ipynb") in PATH:
                yield f'          - text: "★ {title(page.removesuffix(".ipynb"))}"'
                yield f"            href: {page}"
            else:
                yield f"          - {page}"


if __name__ == "__main__":
    for chapter in PATH:
        write_foot(chapter)
    config = ROOT / "_quarto.yml"
    text = config.read_text(encoding="utf-8")
    head = re.match(r".*?^  sidebar:\n.*?^    contents:\n", text, re.M | re.S)[0]
    config.write_text(head + "\n".join(lines()) + "\n", encoding="utf-8")
