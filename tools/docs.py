"""Render the site into _docs and check it: `make docs`.

nbdev prepares the notebooks; Quarto renders them where it is installed. Where it is not,
tools/preview.py makes plain pages of the same prepared notebooks. Either way every fault that
tools/site_checks.py finds is a failure.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import site_checks as checks

ROOT = Path(__file__).resolve().parent.parent
NBS, OUT = ROOT / "nbs", ROOT / "_docs"


def site_address(root):
    "Where the site will stand, from settings.ini"
    config = ConfigParser(delimiters=["="], interpolation=None)
    config.read(Path(root) / "settings.ini", encoding="utf-8")
    return config["DEFAULT"]["doc_host"] + config["DEFAULT"]["doc_baseurl"]


def prepare():
    "nbdev's part: the notebooks as Quarto gets them, in _proc"
    from nbdev.serve import proc_nbs

    staged = Path(proc_nbs(n_workers=1, force=True))
    for path in checks.notebooks_in(staged):
        for_visitors(path)
    return staged


def for_visitors(path):
    "Imports are folded, a link to a notebook leads to its page; JupyterLab's own marks go"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        cell["metadata"].pop("jupyter", None)
        if cell["cell_type"] == "markdown":
            cell["source"] = to_pages(source)
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "text/markdown" in data:
                data["text/markdown"] = to_pages("".join(data["text/markdown"]))
        if cell["cell_type"] == "code" and only_imports(source) and "code-fold" not in source:
            cell["source"] = f'#| code-fold: true\n#| code-summary: "Imports"\n{source}'
    path.write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")


def to_pages(text):
    "Links to notebooks of the book, as links to their pages"
    return re.sub(r"(\]\((?!https?:)[\w./-]+)\.ipynb\b", r"\1.html", text)


def only_imports(source):
    "Does a cell of Python only import?"
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return bool(body) and all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in body)


def with_quarto(staged):
    "Quarto itself, on what nbdev has prepared; `nbdev_docs` would also write README"
    subprocess.run(["quarto", "render", "--no-cache"], cwd=staged, check=True)
    shutil.rmtree(OUT, ignore_errors=True)
    shutil.move(staged / "_docs", OUT)


def with_preview(staged):
    "Plain pages"
    import preview

    shutil.rmtree(OUT, ignore_errors=True)
    preview.render(staged, OUT)


def page_names(notebooks, staged):
    "The page of each notebook: its own name, or what its front matter says"
    names = {}
    for path in notebooks:
        place = path.relative_to(NBS)
        kind, source, _ = next(checks.cells_of(staged / place))
        said = re.search(r"^output-file:\s*(\S+)", source, re.M) if kind == "raw" else None
        names[path.stem] = (
            OUT / place.parent / (said[1] if said else f"{path.stem}.html")
        ).resolve()
    return names


def find_faults(notebooks, staged):
    "All that is wrong with notebooks and pages"
    pages, page_of, site = checks.read_pages(OUT), page_names(notebooks, staged), site_address(ROOT)
    css = "\n".join(p.read_text(encoding="utf-8") for p in OUT.glob("*.css"))
    on_notebooks = (
        checks.stored_errors,
        checks.missing_figures,
        checks.data_dumps,
        checks.raw_tables,
        checks.long_digits,
    )
    faults = [fault for check in on_notebooks for fault in check(notebooks)]
    faults += checks.unrendered(notebooks, page_of)
    faults += checks.not_in_sidebar(notebooks, NBS, ROOT / "_quarto.yml")
    faults += checks.dead_aliases(notebooks, OUT)
    faults += checks.lost_titles(notebooks, pages, page_of) + checks.lost_openings(
        notebooks, pages, page_of
    )
    faults += checks.dead_links(pages, OUT, site) + checks.missing_pictures(pages, OUT, site)
    faults += checks.dead_readme_links(ROOT / "README.md", ROOT, OUT, pages, site)
    return faults + checks.wide_outputs(pages, css) + checks.stale_demo(ROOT)


def main():
    "Render, check, report"
    os.chdir(ROOT)
    notebooks, before = checks.notebooks_in(NBS), checks.project_state(ROOT)
    staged, quarto = prepare(), shutil.which("quarto")
    (with_quarto if quarto else with_preview)(staged)
    faults = find_faults(notebooks, staged) + checks.changed_files(
        before, checks.project_state(ROOT)
    )
    if faults:
        sys.exit("\n".join(faults) + f"\n{len(faults)} faults")
    print(f"{len(notebooks)} pages in _docs, by {'Quarto' if quarto else 'the preview'}; no fault")


if __name__ == "__main__":
    main()
