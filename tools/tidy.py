"""What makes notebooks pleasant in JupyterLab: `make tidy` writes it, the check `sources` holds it.

- What the site folds or hides is collapsed there too: imports, drawing, fixtures.
- A link to another chapter names its notebook; `make docs` lets it lead to the page.
- A stored picture has at most 256 colours: sharp on any screen, and a third of the bytes.
"""

import base64
import io
import json
import re
from pathlib import Path

from PIL import Image

from docs import only_imports
from site_checks import directives, notebooks_in, out_of_sight

NBS = Path(__file__).resolve().parent.parent / "nbs"
PAGE = re.compile(r"\]\((?!https?:)([\w./-]+)\.html(#[^)\s]*)?\)")


def collapsed(kind, source):
    "Is the cell one that a reader skips at first?"
    if kind == "raw":
        return True
    words = directives(source)
    quiet = out_of_sight(words) or "code-fold:" in words
    return kind == "code" and (quiet or only_imports(source))


def to_notebooks(text, folder):
    "Links to pages that have a notebook, as links to the notebook"

    def link(found):
        notebook = folder / f"{found[1]}.ipynb"
        return f"]({found[1]}.ipynb{found[2] or ''})" if notebook.exists() else found[0]

    return PAGE.sub(link, text)


def named(source):
    "A folded cell that begins with its name: JupyterLab shows the first line of what it collapses"
    lines = source.splitlines(keepends=True)
    names = [line for line in lines if line.startswith("#| code-summary:")]
    return "".join(names + [line for line in lines if line not in names])


def lighter(data):
    "A PNG in base64, with a palette of at most 256 colours"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    if picture.mode == "P":
        return data
    whole = picture.convert("RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    few = whole.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file := io.BytesIO(), "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def tidy(path):
    "The notebook's text as it should be"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        cell["metadata"].pop("jupyter", None)
        if collapsed(cell["cell_type"], source):
            cell["metadata"]["jupyter"] = {"source_hidden": True}
            if "hide" in directives(source):
                cell["metadata"]["jupyter"]["outputs_hidden"] = True
        if cell["cell_type"] == "markdown":
            source = to_notebooks(source, path.parent)
        elif cell["cell_type"] == "code":
            source = named(source)
        for shown in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "image/png" in shown:
                shown["image/png"] = lighter("".join(shown["image/png"]))
        cell["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def faults():
    "Notebooks that are not tidy"
    for path in notebooks_in(NBS):
        if path.read_text(encoding="utf-8") != tidy(path):
            yield f"{path.relative_to(NBS)} is not folded, linked or packed well: run `make tidy`"


def write(path):
    "Make one notebook tidy"
    path.write_text(tidy(path), encoding="utf-8")


if __name__ == "__main__":
    for notebook in notebooks_in(NBS):
        write(notebook)
