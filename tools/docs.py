"""Render the site into _docs and check it: `make docs`.

Quarto renders it where it is installed. Where it is not, each notebook becomes a plain page by nbconvert (which comes with
JupyterLab): the same content and links, without search and themes. Either way a broken link, a stored error or a missing figure is a failure.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
NBS, OUT = ROOT / "nbs", ROOT / "_docs"
FIGURE = re.compile(r"\bplt\.show\(\)|^(show_images|show_sample|plot_\w+|draw_\w+|report\.figure)\(|^Image\.open\((?!.*\.save)", re.M)
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} – minivlm_cot</title><link rel="icon" href="data:,"><style>
body{{font:17px/1.6 system-ui,sans-serif;margin:0;color:#1d1d1f;background:#fff}} main{{max-width:46rem;margin:0 auto;padding:1rem 1.2rem 4rem}}
nav{{background:#f3f1ec;padding:.7rem 1.2rem;font-size:15px}} nav a{{margin-right:1.1rem;white-space:nowrap}} nav a.here{{font-weight:700;color:inherit;text-decoration:none}}
a{{color:#0059a3}} pre{{background:#f6f6f4;padding:.7rem .9rem;overflow-x:auto;font-size:14px;line-height:1.45;border-radius:6px}}
img{{max-width:100%;height:auto}} blockquote{{margin:0 0 1rem;color:#5c5c62;font-size:1.1em}}
table{{border-collapse:collapse;display:block;overflow-x:auto;font-size:15px}} td[style*=right]{{white-space:nowrap}} th,td{{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:left}}
code{{font-size:.92em}} h1{{line-height:1.2}} .anchor-link{{display:none}}
.jp-InputArea,.jp-OutputArea-child{{margin:.6rem 0}} .jp-OutputArea-output pre{{background:none;border-left:3px solid #ddd;border-radius:0}}
{code}
</style></head><body><nav>{nav}</nav><main>{body}</main></body></html>"""


def directives(source):
    "What the cell's #| lines say"
    return dict(re.findall(r"^#\|\s*(\S+)[ \t]*(.*)$", source, re.M))


def check_stored():
    "No notebook holds an error, and no cell that should show a figure shows none"
    faults = []
    for path in sorted(NBS.glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            source = "".join(cell["source"])
            words, kinds = directives(source), {k for o in cell["outputs"] for k in o.get("data", {})}
            first = next((line for line in source.splitlines() if line and not line.startswith("#")), "")
            if any(o["output_type"] == "error" for o in cell["outputs"]):
                faults.append(f"{path.name}: a stored error in the cell “{first}”")
            quiet = source.rstrip().endswith(";") or {"hide", "export", "exports", "default_exp"} & set(words) or words.get("eval:") == "false"
            if FIGURE.search(source) and not quiet and not kinds & {"image/png", "image/jpeg", "text/html"}:
                faults.append(f"{path.name}: no figure is stored in the cell “{first}”: run `make figures`")
    return faults


def stage(path, folder):
    "A copy of a notebook as the site shows it: without hidden cells and directives"
    nb, cells = json.loads(path.read_text(encoding="utf-8")), []
    for cell in nb["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            words = directives(source)
            if {"hide", "default_exp"} & set(words) or not source.strip():
                continue
            source = "\n".join(line for line in source.splitlines() if not line.startswith("#|"))
            cell["source"] = source
            cell["metadata"] = {"tags": ["hide_input"]} if words.get("echo:") == "false" or "hide_input" in words else {}
        cells.append(cell)
    nb["cells"] = cells
    (folder / path.name).write_text(json.dumps(nb), encoding="utf-8")
    return folder / path.name


def with_nbconvert():
    "One plain page for each notebook"
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter
    OUT.mkdir()
    order = re.findall(r"- (\w+)\.ipynb", (ROOT / "_quarto.yml").read_text(encoding="utf-8"))
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True,
                            config={"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": {"hide_input"}}})
    with tempfile.TemporaryDirectory() as folder:
        bodies = {name: exporter.from_filename(str(stage(NBS / f"{name}.ipynb", Path(folder))))[0] for name in order}
    shutil.copytree(NBS / "images", OUT / "images")
    titles = {name: unescape(re.sub(r"<[^>]+>|¶", "", re.search(r"<h1[^>]*>(.*?)</h1>", body, re.S).group(1))).strip() for name, body in bodies.items()}
    for name, body in bodies.items():
        nav = "".join(f'<a href="{n}.html"{" class=here" if n == name else ""}>{escape(t)}</a> ' for n, t in titles.items())
        (OUT / f"{name}.html").write_text(PAGE.format(title=escape(titles[name]), nav=nav, body=body, code=HtmlFormatter().get_style_defs(".highlight")), encoding="utf-8")


class Links(HTMLParser):
    "Collects a page's anchors, and what it links to or shows"
    def __init__(self, text):
        super().__init__()
        self.ids, self.targets = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids |= {a[k] for k in ("id", "name") if a.get(k)}
        self.targets += [a[k] for k in ("href", "src") if a.get(k) and (k, tag) != ("href", "link")]


def check_links():
    "Every link to a page, an anchor or a file of the site finds it"
    pages, faults = {p: Links(p.read_text(encoding="utf-8")) for p in sorted(OUT.rglob("*.html"))}, []
    for page, links in pages.items():
        for target in links.targets:
            if re.match(r"[a-z][a-z0-9+.-]*:|//", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            goal = (page.parent / file).resolve() if file else page
            if not goal.exists() or goal in pages and anchor and anchor not in pages[goal].ids:
                faults.append(f"{page.name}: the link {target} leads nowhere")
    return faults


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    quarto = shutil.which("quarto")
    if quarto:
        subprocess.run([Path(sys.executable).parent / "nbdev_docs"], cwd=ROOT, check=True)
    else:
        with_nbconvert()
    expected = {p.stem for p in NBS.glob("*.ipynb")}
    faults = check_stored() + check_links() + [f"{name}.html was not rendered" for name in sorted(expected) if not (OUT / f"{name}.html").exists()]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(expected)} pages in _docs, by {'Quarto' if quarto else 'nbconvert'}; every link leads somewhere, every figure is there")
