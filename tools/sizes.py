"""How large the repository and its stored outputs may become: `python tools/sizes.py`.

Who clones the project waits for every byte of it, and a notebook of a few megabytes opens slowly in
JupyterLab. A stored picture is drawn anew by each `make figures` and stays in the history for good.
"""

import subprocess
import sys
from pathlib import Path

from site_checks import cells_of, notebooks_in

ROOT = Path(__file__).resolve().parent.parent
MB = 1_000_000
OUTPUT, NOTEBOOK, NOTEBOOKS = 0.3 * MB, 0.6 * MB, 16 * MB  # of one cell, one notebook, all of them
FILE, REPOSITORY = 1 * MB, 28 * MB  # any other tracked file, all tracked files together
LARGE = {"minivlm_cot/ready/model.safetensors": 7 * MB}  # the ready model comes with the package


def weight(outputs):
    "Bytes of a cell's stored outputs"
    texts = [output.get("text", "") for output in outputs]
    texts += [text for output in outputs for text in output.get("data", {}).values()]
    return sum(len("".join(map(str, text)).encode()) for text in texts)


def tracked():
    "Files that git knows, or all that lie here where there is no git"
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        skip = {".venv", "runs", "_docs", "_proc", ".git", "build", "dist", "__pycache__"}
        paths = (p for p in ROOT.rglob("*") if not skip & set(p.relative_to(ROOT).parts))
        return [p for p in paths if p.is_file()]
    return [p for name in done.stdout.split("\0") if (p := ROOT / name).is_file()]


def too_large(what, size, allowed):
    "The sentence that says so, if it is"
    if size > allowed:
        yield f"{what} has {size / MB:.2f} MB; {allowed / MB:.1f} MB are allowed"


def sizes():
    "Bytes of all tracked files and of the notebooks among them"
    files = {p.relative_to(ROOT).as_posix(): p.stat().st_size for p in tracked()}
    return files, {name: size for name, size in files.items() if name.endswith(".ipynb")}


def faults():
    "What is larger than it may be"
    files, notebooks = sizes()
    yield from too_large("The repository", sum(files.values()), REPOSITORY)
    yield from too_large("The notebooks together", sum(notebooks.values()), NOTEBOOKS)
    for name, size in files.items():
        allowed = NOTEBOOK if name in notebooks else LARGE.get(name, FILE)
        yield from too_large(name, size, allowed)
    for path in notebooks_in(ROOT / "nbs"):
        for _, source, outputs in cells_of(path):
            first = next((t for t in source.splitlines() if not t.startswith("#|")), "")
            what = f"{path.relative_to(ROOT)}: what the cell “{first}” shows"
            yield from too_large(what, weight(outputs), OUTPUT)


if __name__ == "__main__":
    files, notebooks = sizes()
    print(f"{sum(files.values()) / MB:.1f} MB in {len(files)} files, of them", end=" ")
    print(f"{sum(notebooks.values()) / MB:.1f} MB in {len(notebooks)} notebooks")
    sys.exit("\n".join(faults()) or None)
