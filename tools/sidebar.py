"""Write the sidebar of _quarto.yml, a section for each room: `make sidebar`."""

import re
from pathlib import Path

from site_checks import notebooks_in

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
}
FIRST = "01_start"  # a visitor begins with the story, not with the ground rules


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
        yield from (f"          - {page}" for page in rooms[room])


if __name__ == "__main__":
    config = ROOT / "_quarto.yml"
    text = config.read_text(encoding="utf-8")
    head = re.match(r".*?^  sidebar:\n.*?^    contents:\n", text, re.M | re.S)[0]
    config.write_text(head + "\n".join(lines()) + "\n", encoding="utf-8")
