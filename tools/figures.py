"""Run notebooks from top to bottom and store their outputs; what nbdev skips is skipped here too.

python tools/figures.py            all notebooks
python tools/figures.py 02 08_visualization/03    those whose places begin so
"""

import os
import re
import sys
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from nbdev.clean import nbdev_clean
from nbdev.config import get_config

import tidy
from site_checks import notebooks_in

NBS = Path(__file__).resolve().parent.parent / "nbs"


def skipped(source, flags):
    "Is the cell not to be run: by a directive, or because it exports the library?"
    if "nbdev_export()" in source:
        return True
    words = re.findall(r"^#\|\s*(\S+)(?:\s+(\S+))?", source, re.M)
    return any(w == "eval:" and v == "false" or w in flags for w, v in words)


def run(path):
    "Execute one notebook in place; an error in a cell ends the run"
    nb, shell, flags = read_nb(path), CaptureShell(path), get_config().tst_flags.split()
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = []
        if skipped(cell.source, flags):
            continue
        shell.cell(cell)
        cell.outputs = [
            o for o in cell.outputs if not (o.get("name") == "stderr")
        ]  # progress bars and warnings are not for the page
        for o in cell.outputs:  # PIL offers a picture twice; one is enough
            if "image/png" in o.get("data", {}):
                o["data"].pop("image/jpeg", None)
        if shell.exc:
            sys.exit(f"{path.name}: a cell failed: {shell.exc!r}\n{cell.source}")
    write_nb(nb, path)
    nbdev_clean(str(path))
    tidy.write(path)


if __name__ == "__main__":
    for notebook in notebooks_in(NBS):
        place = str(notebook.relative_to(NBS))
        if not sys.argv[1:] or any(place.startswith(a) for a in sys.argv[1:]):
            print(place, flush=True)
            os.chdir(notebook.parent)
            run(notebook)
