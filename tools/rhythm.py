"""How the chapters read: a table of their rhythm, and what a chapter must have and lacks.

python tools/rhythm.py            the table and the faults
python tools/rhythm.py 05_training/03    of notebooks whose places begin so

A chapter asks one question in bold, puts prose after three cells of code at the latest, ends in a
summary, and leads from its exercises to their solutions. A chapter of the reading path shows at
least three pictures.
"""

import io
import re
import sys
import tokenize
from pathlib import Path
from statistics import median

from docs import only_imports
from sidebar import PATH
from site_checks import cells_of, directives, notebooks_in, out_of_sight

NBS = Path(__file__).resolve().parent.parent / "nbs"
IN_A_ROW, PICTURES = 3, 3
QUESTION = re.compile(r"\*\*[^*]+\?\*\*")
SOLUTIONS = re.compile(r"\(\.\./solutions/(\w+)\.(?:ipynb|html)\)")
SEEN = re.compile(r'<img|<svg|class="(?:card|chain)', re.I)
COLUMNS = (
    "cells", "words : code line", "code cell median / max", "line median / max", "> 100 characters",
    "semicolons", "pictures", "code cells in a row",
)  # fmt: skip


def chapters():
    "Place and path of each notebook that is a chapter: neither the front page nor solutions"
    for path in notebooks_in(NBS):
        place = path.relative_to(NBS).with_suffix("").as_posix()
        if "/" in place and not place.startswith("solutions/"):
            yield place, path


def in_sight(source):
    "Does a visitor see this code? Imports and drawing fold, fixtures hide."
    words = directives(source)
    return not (out_of_sight(words) or "code-fold:" in words or only_imports(source))


def longest_run(cells):
    "The most visible code cells without prose between them, and the first line of the last one"
    longest, run, where = 0, 0, ""
    for kind, source, _ in cells:
        if kind == "markdown":
            run = 0
        elif kind == "code" and in_sight(source):
            run += 1
            if run > longest:
                longest = run
                where = next((t for t in source.splitlines() if t and t[0] not in "#@"), "")
    return longest, where


def pictures(cells):
    "How many outputs and texts show a picture or a card"
    seen = 0
    for kind, source, outputs in cells:
        if kind == "markdown":
            seen += len(re.findall(r"!\[|<img", source))
        for output in outputs:
            data = output.get("data", {})
            html = "".join(data.get("text/html", ""))
            seen += any(k.startswith("image/") for k in data) or bool(SEEN.search(html))
    return seen


def semicolons(source):
    "Statements joined on one line"
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, IndentationError):
        return 0
    return sum(t.type == tokenize.OP and t.string == ";" for t in tokens)


def rhythm(cells):
    "The numbers of one notebook, under COLUMNS"
    words = sum(len(re.findall(r"\w+", text)) for kind, text, _ in cells if kind == "markdown")
    sources = [source for kind, source, _ in cells if kind == "code" and source.strip()]
    code = [
        [line for line in source.splitlines() if line.strip() and not line.startswith("#|")]
        for source in sources
    ]
    sizes = [len(lines) for lines in code if lines]
    widths = [len(line) for lines in code for line in lines]
    return (
        len(cells),
        round(words / len(widths), 1),
        f"{median(sizes):.0f} / {max(sizes)}",
        f"{median(widths):.0f} / {max(widths)}",
        sum(w > 100 for w in widths),
        sum(map(semicolons, sources)),
        pictures(cells),
        longest_run(cells)[0],
    )


def faults_of(place, cells):
    "What a chapter must have and lacks"
    texts = [text for kind, text, _ in cells if kind == "markdown"]
    whole = "\n".join(texts)
    if not QUESTION.search("\n".join(texts[:2])):
        yield "no question in bold in its opening"
    if "## Summary" not in whole:
        yield "no summary"
    run, where = longest_run(cells)
    if run > IN_A_ROW:
        yield f"{run} code cells in a row without prose, up to “{where}”"
    if place in PATH and pictures(cells) < PICTURES:
        yield f"{pictures(cells)} pictures; {PICTURES} are the least on the reading path"
    if place in PATH and "## Exercises" not in whole:
        yield "no exercises"
    if "## Exercises" in whole and not SOLUTIONS.search(whole):
        yield "exercises without solutions"
    for name in SOLUTIONS.findall(whole):
        if not (NBS / f"solutions/{name}.ipynb").exists():
            yield f"leads to {name}, which does not exist"


def faults():
    "All of them, and solutions that no chapter leads to"
    linked = set()
    for place, path in chapters():
        cells = list(cells_of(path))
        for kind, text, _ in cells:
            linked |= set(SOLUTIONS.findall(text)) if kind == "markdown" else set()
        yield from (f"{place}: {fault}" for fault in faults_of(place, cells))
    for path in sorted((NBS / "solutions").glob("*.ipynb")):
        if path.stem not in linked:
            yield f"solutions/{path.stem}: no chapter leads here"


if __name__ == "__main__":
    wanted = tuple(sys.argv[1:]) or ("",)
    print("| chapter | " + " | ".join(COLUMNS) + " |")
    print("|:--|" + "--:|" * len(COLUMNS))
    for place, path in chapters():
        if place.startswith(wanted):
            row = rhythm(list(cells_of(path)))
            print(f"| {'★ ' * (place in PATH)}{place} | {' | '.join(map(str, row))} |")
    found = [fault for fault in faults() if fault.startswith((*wanted, "solutions/"))]
    print("\n" + "\n".join(found) + f"\n{len(found)} faults")
