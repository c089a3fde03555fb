"""What is wrong with the rendered site? Each function finds one kind of fault and says where it is.

`tools/docs.py` asks them all, whoever rendered the pages.
"""

import ast
import hashlib
import json
import re
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

FIGURE = re.compile(
    r"\bplt\.show\(\)|^(show_images|show_sample|plot_\w+|draw_\w+|report\.figure)\("
    r"|^Image\.open\((?!.*\.save)",
    re.M,
)
PICTURES = {"image/png", "image/jpeg", "text/html"}
LINE, COLUMNS, DUMP = 90, 5, 1000  # letters and columns that a page has room for; letters of a dump


def directives(source):
    "What the cell's #| lines say"
    return dict(re.findall(r"^#\|\s*(\S+)[ \t]*(.*)$", source, re.M))


def cells_of(path):
    "A notebook's cells, as (kind, source, outputs)"
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        yield cell["cell_type"], "".join(cell["source"]), cell.get("outputs", [])


def out_of_sight(words):
    "Do a cell's directives hide it from visitors?"
    return bool({"hide", "default_exp"} & set(words)) or words.get("include:") == "false"


def shown_code(path):
    "Code cells that a visitor sees something of, as (their first line, source, outputs)"
    for kind, source, outputs in cells_of(path):
        words = directives(source)
        if kind != "code" or out_of_sight(words):
            continue
        lines = (line for line in source.splitlines() if line and not line.startswith("#"))
        yield next(lines, ""), source, outputs


def printed(output):
    "The text that an output shows as text: nothing where a picture or a page stands in its stead"
    data = output.get("data", {})
    if output["output_type"] == "stream":
        return "".join(output["text"])
    if set(data) & (PICTURES | {"text/markdown"}):
        return ""
    return "".join(data.get("text/plain", ""))


def stored_errors(notebooks):
    "No notebook holds an error"
    return [
        f"{p.name}: a stored error in the cell “{source.splitlines()[0]}”"
        for p in notebooks
        for kind, source, outputs in cells_of(p)
        if kind == "code"
        if any(o["output_type"] == "error" for o in outputs)
    ]


def missing_figures(notebooks):
    "No cell that should show a figure shows none"
    faults = []
    for path in notebooks:
        for first, source, outputs in shown_code(path):
            words, kinds = directives(source), {k for o in outputs for k in o.get("data", {})}
            quiet = source.rstrip().endswith(";") or words.get("eval:") == "false"
            quiet = quiet or {"export", "exports"} & set(words)
            if FIGURE.search(source) and not quiet and not kinds & PICTURES:
                faults.append(f"{path.name}: no figure is stored in “{first}”: run `make figures`")
    return faults


def is_dump(text):
    "Is it a long list or dict, as JSON or as Python prints it?"
    text = text.strip()
    if len(text) < DUMP:
        return False
    try:
        value = ast.literal_eval(text)
        value = json.loads(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        try:
            value = json.loads(text)
        except ValueError:
            return False
    return isinstance(value, (dict, list, tuple))


def bad_prints(notebooks, is_bad):
    "Where a cell shows a text that is bad, as (notebook and cell, the text)"
    for path in notebooks:
        for first, _, outputs in shown_code(path):
            for text in filter(is_bad, map(printed, outputs)):
                yield f"{path.name}: the cell “{first}”", text


def data_dumps(notebooks):
    "No cell shows data that only a program reads"
    found = bad_prints(notebooks, is_dump)
    return [f"{where} shows {len(text):,} letters of raw data" for where, text in found]


def raw_tables(notebooks):
    "No cell prints the source of a Markdown table"
    ruler = re.compile(r"\|\s*:?-+:?\s*\|")
    cells = dict(bad_prints(notebooks, ruler.search))
    return [f"{where} prints a table's source: show it with Markdown()" for where in cells]


def long_digits(notebooks):
    "No cell prints a list of numbers with more digits than anybody reads"
    cells = dict(bad_prints(notebooks, lambda text: len(re.findall(r"\d\.\d{11}", text)) > 1))
    return [f"{where} prints numbers with more than ten decimals" for where in cells]


class Page(HTMLParser):
    "A page's anchors, targets, title, text, and how wide its outputs and tables are"

    VOID = {
        "img",
        "br",
        "hr",
        "meta",
        "link",
        "input",
        "source",
        "wbr",
        "col",
        "area",
        "base",
        "embed",
    }

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.pictures, self.stack = set(), [], [], []
        self.title, self.heading, self.text, self.longest, self.columns = "", "", [], 0, 0
        self.line = self.row = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = {k: v or "" for k, v in attributes}
        self.ids |= {a[k] for k in ("id", "name") if a.get(k)}
        if a.get("href") and tag != "link":
            self.links.append(a["href"])
        if a.get("src"):
            (self.pictures if tag == "img" else self.links).append(a["src"])
        if tag not in self.VOID:
            self.stack.append((tag, a.get("class", "")))
        if tag == "tr":
            self.row = 0
        if tag in ("td", "th"):
            self.row += 1
            self.columns = max(self.columns, self.row)

    def handle_endtag(self, tag):
        while any(t == tag for t, _ in self.stack):
            if self.stack.pop()[0] == tag:
                break
        if tag == "pre":
            self.line = 0

    def handle_data(self, data):
        tags = [t for t, _ in self.stack]
        if "script" in tags or "style" in tags:
            return
        if "title" in tags:
            self.title += data
        if tags and "h1" in tags:
            self.heading += data
        if "main" in tags:
            self.text.append(data)
        if "pre" in tags and any("cell-output" in c for _, c in self.stack):
            for i, part in enumerate(data.split("\n")):
                self.line = len(part) + (0 if i else self.line)
                self.longest = max(self.longest, self.line)


def read_pages(folder):
    "Every page of the site"
    return {
        p.resolve(): Page(p.read_text(encoding="utf-8"))
        for p in sorted(Path(folder).rglob("*.html"))
    }


def letters(text):
    "What is left of a text when marks and spaces are gone: the same in Markdown and on the page"
    return re.sub(r"[\W_]+", "", text)


def opening(path):
    "A notebook's first paragraph of prose, as letters"
    for kind, source, _ in cells_of(path):
        if kind != "markdown":
            continue
        for block in re.split(r"\n\s*\n", re.sub(r"^(#|>).*$", "\n", source, flags=re.M)):
            block = block.strip()
            if block and not re.match(r"[!|<:`$-]|\d+\.|\*\s|\[[^]]*\]\([^)]*\)\{", block):
                text = re.sub(r"\]\([^)]*\)", "]", block)
                return letters(unescape(re.sub(r"\{[.#][^}]*\}", "", text)))
    return ""


def lost_openings(notebooks, pages, page_of):
    "No page has lost the paragraph that its notebook begins with"
    faults = []
    for path in notebooks:
        page = pages.get(page_of[path.stem])
        if page and opening(path) not in letters("".join(page.text)):
            faults.append(
                f"{page_of[path.stem].name}: the opening paragraph of {path.name} is lost"
            )
    return faults


def lost_titles(notebooks, pages, page_of):
    "Every page bears its notebook's title"
    faults = []
    for path in notebooks:
        page, text = (
            pages.get(page_of[path.stem]),
            "\n".join(s for k, s, _ in cells_of(path) if k == "markdown"),
        )
        title = re.search(r"^# +(.*)$", text, re.M)
        if page and title and not letters(page.title).startswith(letters(title.group(1))):
            faults.append(
                f"{path.stem}: the page's title is “{page.title}”, not “{title.group(1)}”"
            )
    return faults


def notebooks_in(folder):
    "Every notebook of the series, in the order of rooms and chapters"
    paths = (p.relative_to(folder) for p in Path(folder).rglob("*.ipynb"))
    kept = [p for p in paths if not any(part.startswith((".", "_")) for part in p.parts)]
    return [Path(folder) / p for p in sorted(kept, key=lambda p: (len(p.parts) > 1, p))]


def unrendered(notebooks, page_of):
    "Every notebook has its page under its own name, which README and other sites link to"
    return [
        f"{p.parent.name}/{p.stem}.html was not rendered"
        for p in notebooks
        if page_of[p.stem].stem != p.stem or not page_of[p.stem].exists()
    ]


def not_in_sidebar(notebooks, folder, config):
    "The sidebar names every notebook once, and no other file"
    text = Path(config).read_text(encoding="utf-8")
    listed = re.findall(r"^\s*(?:-|href:)\s+([\w/]+\.ipynb)\s*$", text, re.M)
    wanted = [str(p.relative_to(folder)) for p in notebooks]
    faults = [f"{p} is not in the sidebar: run `make sidebar`" for p in wanted if p not in listed]
    faults += [f"the sidebar names {p}, which is not there" for p in listed if p not in wanted]
    return faults + [f"the sidebar names {p} twice" for p in set(listed) if listed.count(p) > 1]


def dead_aliases(notebooks, folder):
    "Every older address that a notebook names leads to it"
    faults = []
    for path in notebooks:
        kind, source, _ = next(cells_of(path))
        for alias in re.findall(r"^\s*-\s+/?(\S+\.html)$", source, re.M) if kind == "raw" else ():
            page = Path(folder) / alias
            if not page.exists() or path.stem not in page.read_text(encoding="utf-8"):
                faults.append(f"the older address {alias} does not lead to {path.stem}.html")
    return faults


def local_target(target, page, folder, site):
    "File and anchor that a link means; None where it leads out of the site"
    if target.startswith(site.rstrip("/")):
        rest = target[len(site.rstrip("/")) :].lstrip("/") or "index.html"
        page, target = Path(folder).resolve() / "index.html", rest
    if urlparse(target).scheme or target.startswith("//"):
        return None
    file, _, anchor = unquote(target).partition("#")
    goal = (page.parent / file.partition("?")[0]).resolve() if file else page
    return (goal / "index.html" if goal.is_dir() else goal), anchor


def dead_links(pages, folder, site):
    "Every link to a page, an anchor or a file of the site finds it, absolute addresses included"
    faults = []
    for path, page in pages.items():
        for target in dict.fromkeys(page.links):
            found = local_target(target, path, folder, site)
            if found is None:
                continue
            goal, anchor = found
            if not goal.exists() or goal in pages and anchor and anchor not in pages[goal].ids:
                faults.append(f"{path.name}: the link {target} leads nowhere")
    return faults


def missing_pictures(pages, folder, site):
    "Every picture is there"
    faults = []
    for path, page in pages.items():
        for target in dict.fromkeys(page.pictures):
            found = local_target(target, path, folder, site)
            if found and not found[0].exists():
                faults.append(f"{path.name}: the picture {target} is missing")
    return faults


def says(css, selector, rule):
    "Does a style sheet give a selector this rule?"
    blocks = re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", css, flags=re.S))
    return any(
        selector in [s.strip() for s in names.split(",")] and rule in re.sub(r"\s+", " ", body)
        for names, body in blocks
    )


def wide_outputs(pages, css):
    "No output or table is wider than its page, unless the style wraps it or lets it scroll"
    wraps = says(css, ".cell-output pre", "white-space: pre-wrap")
    scrolls = says(css, "main table", "overflow-x: auto")
    faults = []
    for path, page in pages.items():
        if page.longest > LINE and not wraps:
            faults.append(
                f"{path.name}: an output is {page.longest:,} letters wide and does not wrap"
            )
        if page.columns > COLUMNS and not scrolls:
            faults.append(
                f"{path.name}: a table of {page.columns} columns does not scroll by itself"
            )
    return faults


def dead_readme_links(readme, root, folder, pages, site):
    "Every link and picture of README leads to a file of the project or a page of the site"
    text, faults = Path(readme).read_text(encoding="utf-8"), []
    for target in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text)):
        target = target[0] or target[1]
        found = local_target(target, Path(root).resolve() / "README.md", folder, site)
        if found is None:
            continue
        goal, anchor = found
        if not goal.exists() or goal in pages and anchor and anchor not in pages[goal].ids:
            faults.append(f"README.md: the link {target} leads nowhere")
    return faults


def stale_demo(root):
    "The demo's page was made from the ready model that is in the package"
    page = Path(root) / "nbs/demo/index.html"
    weights = (Path(root) / "minivlm_cot/ready/model.safetensors").read_bytes()
    if page.exists() and hashlib.sha256(weights).hexdigest()[:16] not in page.read_text(
        encoding="utf-8"
    ):
        return [
            "nbs/demo/index.html was made from another model: run `make home`, then `make figures`"
        ]
    return []


def project_state(root):
    "Every file of the project with a sum of what it holds; ignored files left out"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True
    )
    files = listed.stdout.splitlines() if listed.returncode == 0 else ["README.md", "settings.ini"]
    paths = {name: Path(root) / name for name in files}
    return {
        name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in paths.items() if p.is_file()
    }


def changed_files(before, after):
    "Rendering leaves the project as it was"
    return [
        f"rendering the site changed {name}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
