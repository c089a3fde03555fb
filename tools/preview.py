"""Plain pages from what nbdev hands to Quarto, for machines without Quarto.

The notebooks come through `nbdev.serve.proc_nbs`, as Quarto's do: what nbdev loses, renames or
leaves behind is lost, renamed and left behind here too. Names of classes and anchors are Quarto's,
so nbs/styles.css holds for both.
"""

import html
import json
import re
import shutil
from pathlib import Path

import yaml
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from site_checks import directives

PAGE = (Path(__file__).parent / "preview.html").read_text(encoding="utf-8")


def contents(config):
    "The sidebar's entries as (text or None, file), in order"

    def walk(items):
        for item in items:
            if isinstance(item, str):
                yield None, item
            elif "contents" in item:
                yield from walk(item["contents"])
            else:
                yield item.get("text"), item["href"]

    return list(walk(config["website"]["sidebar"]["contents"]))


def anchor(heading):
    "The anchor that pandoc gives a heading"
    text = re.sub(r"[^\w\s.-]", "", html.unescape(re.sub(r"<[^>]+>", "", heading)).lower())
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", text.strip())) or "section"


def markdown(text):
    "Markdown as HTML: headings with pandoc's anchors, links and blocks with their classes"
    text = re.sub(
        r"^:::+ *\{\.([\w. -]+)\}\s*$",
        lambda m: f'<div class="{m[1].replace(".", "")}">\n',
        text,
        flags=re.M,
    )
    text = re.sub(r"^:::+\s*$", "\n</div>\n", text, flags=re.M)
    link = r"(?<!!)\[([^]]+)\]\(([^)\s]+)\)\{([^}]*)\}"

    def button(m):
        classes = " ".join(re.findall(r"[.]([\w-]+)", m[3]))
        return f'<a href="{m[2]}" class="{classes}">{m[1]}</a>'

    text = re.sub(r"(!\[[^]]*\]\([^)]*\))\{[^}]*\}", r"\1", re.sub(link, button, text))
    body = re.sub(r'<a class="anchor-link"[^>]*>.*?</a>', "", markdown2html_mistune(text))
    body = body.replace('<div class="highlight">', '<div class="sourceCode">')

    def heading(m):
        return f'<h{m[1]} id="{anchor(m[2])}">{m[2]}</h{m[1]}>'

    return re.sub(r"<h([1-6])[^>]*>(.*?)</h\1>", heading, body, flags=re.S)


def show_output(output, words):
    "One stored output: the richest form of it"
    data = {k: "".join(v) if isinstance(v, list) else v for k, v in output.get("data", {}).items()}
    if output["output_type"] == "stream":
        data = {"text/plain": "".join(output["text"])}
    picture = next((k for k in ("image/png", "image/jpeg") if k in data), None)
    if "text/html" in data:
        inner = data["text/html"]
    elif "text/markdown" in data:
        inner = markdown(data["text/markdown"])
    elif picture:
        alt, caption = (html.escape(words.get(k, "").strip('"')) for k in ("fig-alt:", "fig-cap:"))
        note = f"<figcaption>{caption}</figcaption>" if caption else ""
        address = f"data:{picture};base64,{data[picture].strip()}"
        inner = f'<figure><img src="{address}" alt="{alt}">{note}</figure>'
    elif data.get("text/plain", "").strip():
        inner = f"<pre><code>{html.escape(data['text/plain'].rstrip())}</code></pre>"
    else:
        return ""
    return f'<div class="cell-output">{inner}</div>'


def show_code(cell):
    "A code cell: its source without directives, folded where it says so, and its outputs"
    source = "".join(cell["source"])
    words = directives(source)
    code = "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip()
    if words.get("include:") == "false":
        return ""
    shown = (
        f'<div class="sourceCode">{highlight(code, PythonLexer(), HtmlFormatter())}</div>'
        if code
        else ""
    )
    if words.get("code-fold:", "false") != "false":
        start = " open" if words["code-fold:"] == "show" else ""
        summary = words.get("code-summary:", "Code").strip('"')
        shown = f"<summary>{html.escape(summary)}</summary>{shown}"
        shown = f'<details class="code-fold"{start}>{shown}</details>'
    shown = "" if words.get("echo:") == "false" else shown
    outputs = (
        ""
        if words.get("output:") == "false"
        else "".join(show_output(o, words) for o in cell["outputs"])
    )
    return f'<div class="cell">{shown}{outputs}</div>' if shown or outputs else ""


def take_title(cells, stem):
    "Front matter and the other cells; as Quarto has it, a heading that stands first is the title"
    first, front = cells[0], {}
    source = "".join(first["source"])
    if first["cell_type"] == "raw" and source.startswith("---"):
        front, cells = yaml.safe_load(source.strip().strip("-")), cells[1:]
        first, source = cells[0], "".join(cells[0]["source"])
    if "title" not in front and first["cell_type"] == "markdown" and source.startswith("# "):
        title, _, rest = source.partition("\n")
        front["title"], cells = title[2:].strip(), [{**first, "source": rest}, *cells[1:]]
    return front | dict(title=front.get("title", stem)), cells


def read_page(path):
    "(title, name of the page, its body, its older addresses)"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    front, cells = take_title(cells, path.stem)
    title, subtitle = front["title"], front.get("description", "")
    name = front.get("output-file", f"{path.stem}.html")
    head = f'<header><h1 class="title">{html.escape(title)}</h1>'
    head += (
        f'<p class="description">{html.escape(subtitle)}</p></header>' if subtitle else "</header>"
    )
    show = {"code": show_code, "markdown": lambda c: markdown("".join(c["source"]))}
    return (
        title,
        name,
        head + "\n".join(show[c["cell_type"]](c) for c in cells if c["cell_type"] in show),
        front.get("aliases", []),
    )


def up(name):
    "The way from a page to the site's root"
    return "../" * name.count("/")


def neighbours(order, i):
    "Links to the page before and the page after"
    root = up(order[i][1])
    before = f'<a href="{root}{order[i - 1][1]}">← {order[i - 1][0]}</a>' if i else "<span></span>"
    after = ""
    if i + 1 < len(order):
        after = f'<a href="{root}{order[i + 1][1]}">{order[i + 1][0]} →</a>'
    return f'<nav class="page-navigation">{before}{after}</nav>' if len(order) > 1 else ""


def sidebar(config, titles, here):
    "The sidebar of one page: sections that fold, the page's own open"

    def link(item):
        file = item if isinstance(item, str) else item["href"]
        title, name = titles[file]
        return f'<a href="{up(here)}{name}"{" class=here" if name == here else ""}>{title}</a>'

    def entry(item):
        if isinstance(item, str) or "contents" not in item:
            return link(item)
        inner = "".join(map(entry, item["contents"]))
        is_open = " open" if "class=here" in inner else ""
        return f"<details{is_open}><summary>{item['section']}</summary>{inner}</details>"

    return "".join(map(entry, config["website"]["sidebar"]["contents"]))


def copy_resources(config, staged, out):
    "What Quarto copies: pictures, the style sheet, the favicon, and what the configuration names"
    wanted = ["images/*", "styles.css", *config["project"].get("resources", [])]
    for pattern in wanted:
        for path in sorted(staged.glob(pattern)):
            target = out / path.relative_to(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copy2(path, target)


def redirect(out, alias, name):
    "A page under an older address that leads to the new one"
    page = out / alias.lstrip("/")
    target = up(alias.lstrip("/")) + name
    page.write_text(
        f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={target}">'
        f'<title>Moved</title><a href="{target}">Moved</a>\n',
        encoding="utf-8",
    )


def site_facts(config):
    "What is the same on all pages"
    site, options = config["website"], config["format"]["html"]
    return {
        "NAME": site["title"],
        "REPO": site["repo-url"],
        "FOLLOW": "true" if options.get("respect-user-color-scheme") else "false",
        "CODE": HtmlFormatter().get_style_defs(".sourceCode"),
        "DARK": HtmlFormatter(style="github-dark").get_style_defs(".quarto-dark .sourceCode"),
    }


def render(staged, out):
    "Every notebook of nbdev's folder that the sidebar names becomes a page in `out`"
    config = yaml.safe_load((staged / "_quarto.yml").read_text(encoding="utf-8"))
    out.mkdir(parents=True)
    copy_resources(config, staged, out)
    pages = []
    for text, file in contents(config):
        title, name, body, aliases = read_page(staged / file)
        name = (Path(file).parent / name).as_posix()
        pages.append((file, html.escape(text or title), html.escape(title), name, body, aliases))
    titles = {file: (text, name) for file, text, _, name, _, _ in pages}
    order, facts = list(titles.values()), site_facts(config)
    icon = config["website"].get("favicon")
    for i, (_, _, title, name, body, aliases) in enumerate(pages):
        own = dict(
            TITLE=title,
            LINKS=sidebar(config, titles, name),
            BODY=body,
            NEIGHBOURS=neighbours(order, i),
            ROOT=up(name),
            FAVICON=up(name) + icon if icon else "data:,",
        )
        text = PAGE
        for word, value in (facts | own).items():
            text = text.replace(f"@{word}@", value)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
        for alias in aliases:
            redirect(out, alias, name)
