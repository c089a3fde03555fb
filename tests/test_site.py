"""The site's checks: each finds its fault, and says nothing of a page that has none."""

import json
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import docs  # noqa: E402
import preview  # noqa: E402
import readme  # noqa: E402
import sidebar  # noqa: E402
import site_checks as checks  # noqa: E402

SITE = "https://example.org/site"


def notebook(folder, *cells, name="08_story.ipynb"):
    "A notebook of (kind, source, outputs …) cells"
    made = [
        dict(
            cell_type=kind,
            source=source,
            metadata={},
            **({"outputs": list(outputs)} if kind == "code" else {}),
        )
        for kind, source, *outputs in cells
    ]
    path = Path(folder) / name
    path.write_text(
        json.dumps(dict(cells=made, metadata={}, nbformat=4, nbformat_minor=5)), encoding="utf-8"
    )
    return path


def stream(text):
    return dict(output_type="stream", name="stdout", text=text)


def result(**data):
    return dict(
        output_type="execute_result",
        metadata={},
        data={k.replace("_", "/"): v for k, v in data.items()},
    )


def site(folder, **pages):
    "Pages by name, each from the inside of its <main>"
    for name, body in pages.items():
        head = "<head><title>The story – site</title></head>"
        text = f"<html>{head}<body><main>{body}</main></body></html>"
        (Path(folder) / f"{name}.html").write_text(text, encoding="utf-8")
    return checks.read_pages(folder)


def test_lost_opening(tmp_path):
    path = notebook(
        tmp_path,
        ("markdown", "# The story\n\n> In short.\n\nThis *is* [all](a.html) of `it`.\n\nMore."),
    )
    kept = site(
        tmp_path,
        story="<h1>The story</h1>"
        "<p>This <em>is</em> <a href='a.html'>all</a> of <code>it</code>.</p>",
    )
    page_of = {"08_story": (tmp_path / "story.html").resolve()}
    assert checks.lost_openings([path], kept, page_of) == []
    lost = site(tmp_path, story="<h1>The story</h1><p>More.</p>")
    assert checks.lost_openings([path], lost, page_of) == [
        "story.html: the opening paragraph of 08_story.ipynb is lost"
    ]


def test_lost_title_and_page_under_another_name(tmp_path):
    path = notebook(tmp_path, ("code", "#| default_exp story"), ("markdown", "# Another story"))
    pages = site(tmp_path, story="<p>x</p>")
    page_of = {"08_story": (tmp_path / "story.html").resolve()}
    assert len(checks.lost_titles([path], pages, page_of)) == 1
    (fault,) = checks.unrendered([path], page_of)
    assert fault.endswith("08_story.html was not rendered")
    own = (tmp_path / "08_story.html").resolve()
    assert len(checks.unrendered([path], {"08_story": own})) == 1
    own.write_text("x")
    assert checks.unrendered([path], {"08_story": own}) == []


def test_sidebar_and_notebooks_are_the_same(tmp_path):
    (tmp_path / "01_room").mkdir()
    path = notebook(tmp_path / "01_room", ("markdown", "# A"), name="01_a.ipynb")
    config = tmp_path / "_quarto.yml"
    config.write_text("  - 01_room/01_a.ipynb\n")
    assert checks.not_in_sidebar([path], tmp_path, config) == []
    config.write_text("  - 01_room/02_b.ipynb\n")
    missing, gone = checks.not_in_sidebar([path], tmp_path, config)
    assert "01_a.ipynb is not in the sidebar" in missing and "02_b.ipynb, which" in gone
    config.write_text("  - 01_room/01_a.ipynb\n" * 2)
    assert len(checks.not_in_sidebar([path], tmp_path, config)) == 1


def test_older_addresses_lead_on(tmp_path):
    path = notebook(tmp_path, ("raw", "---\naliases:\n  - /old.html\n---"), ("markdown", "# A"))
    assert len(checks.dead_aliases([path], tmp_path)) == 1
    preview.redirect(tmp_path, "/old.html", "room/08_story.html")
    assert checks.dead_aliases([path], tmp_path) == []
    assert 'url=room/08_story.html"' in (tmp_path / "old.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "target, dead",
    [
        ("there.html", False),
        ("there.html#here", False),
        ("#top", False),
        ("https://other.org/x.html", False),
        (f"{SITE}/there.html#here", False),
        (f"{SITE}/", False),
        ("mailto:a@b.org", False),
        ("08_there.html", True),
        ("there.html#gone", True),
        (f"{SITE}/there.html#gone", True),
        (f"{SITE}/gone.html", True),
        ("gone.txt", True),
    ],
)
def test_dead_links(tmp_path, target, dead):
    pages = site(
        tmp_path, index=f'<h2 id="top">x</h2><a href="{target}">x</a>', there='<h2 id="here">x</h2>'
    )
    assert bool(checks.dead_links(pages, tmp_path, SITE)) == dead


def test_missing_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    pages = site(
        tmp_path, index='<img src="a.png"><img src="data:image/png;base64,xx"><img src="b.png">'
    )
    assert checks.missing_pictures(pages, tmp_path, SITE) == [
        "index.html: the picture b.png is missing"
    ]


def test_wide_outputs(tmp_path):
    pages = site(
        tmp_path,
        index="<pre>"
        + "x" * 300
        + '</pre><div class="cell-output"><pre><code>short</code></pre></div>',
    )
    assert checks.wide_outputs(pages, "") == []  # code may be long: it scrolls
    table = "<table><tr>" + "<td>1</td>" * 9 + "</tr></table>"
    pages = site(
        tmp_path, index=f'<div class="cell-output"><pre><code>{"x" * 300}</code></pre></div>{table}'
    )
    assert len(checks.wide_outputs(pages, "img { max-width: 100% }")) == 2
    css = (ROOT / "nbs/styles.css").read_text(encoding="utf-8")
    assert checks.wide_outputs(pages, css) == []
    assert (
        len(checks.wide_outputs(pages, css.replace("white-space: pre-wrap", "white-space: pre")))
        == 1
    )


def test_data_dumps(tmp_path):
    long = json.dumps({"a": list(range(400))})
    for shown in (stream(long), result(text_plain=repr(long)), result(text_plain=[long])):
        assert (
            len(checks.data_dumps([notebook(tmp_path, ("code", "json.dumps(found);", shown))])) == 1
        )
    for quiet in (
        stream("{'a': 1}"),
        stream("word " * 400),
        result(text_plain=long, image_png="xx"),
    ):
        assert checks.data_dumps([notebook(tmp_path, ("code", "x", quiet))]) == []
    assert checks.data_dumps([notebook(tmp_path, ("code", "#| hide\nx", stream(long)))]) == []


def test_raw_table(tmp_path):
    table = "| a | b |\n|:--|--:|\n| 1 | 2 |\n"
    assert len(checks.raw_tables([notebook(tmp_path, ("code", "print(t)", stream(table)))])) == 1
    shown = result(text_markdown=table, text_plain="<IPython.core.display.Markdown object>")
    assert checks.raw_tables([notebook(tmp_path, ("code", "Markdown(t)", shown))]) == []


def test_long_digits(tmp_path):
    printed = ("code", "print(x)", stream("[6.587514400482178] [6.5875139236450195]"))
    assert len(checks.long_digits([notebook(tmp_path, printed)])) == 1
    assert (
        checks.long_digits([notebook(tmp_path, ("code", "print(x)", stream("6.5875 6.5875")))])
        == []
    )


def test_stored_error_and_missing_figure(tmp_path):
    path = notebook(
        tmp_path,
        ("code", "plt.show()"),
        ("code", "1/0", dict(output_type="error")),
        ("code", "plot_losses(x)", result(image_png="xx")),
        ("code", "#| export\nplot_losses(x)"),
    )
    assert len(checks.missing_figures([path])) == 1 and len(checks.stored_errors([path])) == 1


def test_changed_files(tmp_path):
    def run(*words):
        return subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    run("init", "-q")
    (tmp_path / "README.md").write_text("a")
    (tmp_path / ".gitignore").write_text("_docs/\n")
    run("add", "-A")
    before = checks.project_state(tmp_path)
    (tmp_path / "_docs").mkdir()
    (tmp_path / "_docs/x.html").write_text("x")
    assert checks.changed_files(before, checks.project_state(tmp_path)) == []
    (tmp_path / "README.md").write_text("b")
    (tmp_path / "nbdev.yml").write_text("x")
    assert checks.changed_files(before, checks.project_state(tmp_path)) == [
        "rendering the site changed README.md",
        "rendering the site changed nbdev.yml",
    ]


def test_readme_links(tmp_path):
    pages = site(tmp_path, index='<h2 id="here">x</h2>')
    (tmp_path / "README.md").write_text(
        f"[a]({SITE}/index.html#here) [b](https://other.org) ![c](gone.png) [d]({SITE}/gone.html)"
    )
    assert (
        len(checks.dead_readme_links(tmp_path / "README.md", tmp_path, tmp_path, pages, SITE)) == 2
    )


def test_stale_demo(tmp_path):
    for folder in ("nbs/demo", "minivlm_cot/ready"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "nbs/demo/index.html").write_text("made from another model")
    (tmp_path / "minivlm_cot/ready/model.safetensors").write_bytes(b"weights")
    assert len(checks.stale_demo(tmp_path)) == 1
    assert checks.stale_demo(ROOT) == []


def test_preview_takes_titles_by_quartos_rules(tmp_path):
    first = [
        dict(cell_type="markdown", source="# A title\n\nText."),
        dict(cell_type="code", source="x", outputs=[]),
    ]
    front, cells = preview.take_title(first, "08_x")
    assert (front, cells[0]["source"].strip()) == ({"title": "A title"}, "Text.")
    later, _ = preview.take_title(first[::-1], "08_x")
    assert later["title"] == "08_x"  # a title that does not stand first is none
    named = dict(cell_type="raw", source="---\ntitle: B\noutput-file: x.html\n---\n")
    assert preview.take_title([named, *first], "08_x")[0] == {"title": "B", "output-file": "x.html"}
    older = dict(cell_type="raw", source="---\naliases:\n  - /08_old.html\n---")
    front, _ = preview.take_title([older, *first], "08_x")
    assert front == {"title": "A title", "aliases": ["/08_old.html"]}
    path = notebook(tmp_path, ("markdown", "# A title\n\nText."), name="08_x.ipynb")
    assert preview.read_page(path)[:2] == ("A title", "08_x.html")


def test_cells_that_only_import_are_folded(tmp_path):
    path = notebook(
        tmp_path,
        ("code", "import os\nfrom re import sub"),
        ("code", "import os\nx = 1"),
        ("code", "!ls"),
    )
    docs.for_visitors(path)
    folded = ["code-fold" in source for _, source, _ in checks.cells_of(path)]
    assert folded == [True, False, False]


def test_preview_hides_what_directives_hide():
    def cell(source):
        return preview.show_code(dict(source=source, outputs=[stream("said\n")]))

    assert "sourceCode" in cell("x = 1") and "said" in cell("x = 1")
    assert "sourceCode" not in cell("#| echo: false\nx = 1") and "said" in cell(
        "#| echo: false\nx = 1"
    )
    assert cell("#| include: false\nx = 1") == "" and "said" not in cell("#| output: false\nx = 1")
    assert "<details" in cell('#| code-fold: true\n#| code-summary: "Imports"\nx = 1')


def test_preview_knows_anchors_and_classes():
    assert (
        preview.anchor("Two commands") == "two-commands"
        and preview.anchor("1. What <em>it</em> costs?") == "what-it-costs"
    )
    shown = preview.markdown(
        "::: {.buttons}\n[Go](a.html){.btn .btn-primary}\n:::\n\n## Two commands\n"
    )
    assert (
        '<div class="buttons">' in shown
        and 'class="btn btn-primary"' in shown
        and 'id="two-commands"' in shown
    )


def test_readme_has_no_quarto_marks():
    buttons = "[Go](08_x.html){.btn .btn-primary} [Run](#two){.btn} [All](demo/index.html){.btn}"
    text = f"::: {{.buttons}}\n{buttons}\n:::\n\n![p](images/a.png)"
    assert readme.for_github(text) == (
        f"[Go]({readme.SITE}08_x.html) · [Run](#two) · [All]({readme.SITE}demo/index.html)\n\n"
        "![p](nbs/images/a.png)"
    )
    assert not any(mark in readme.readme() for mark in (":::", "{.btn"))


def test_configuration():
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
    html, web = config["format"]["html"], config["website"]
    assert (
        html["respect-user-color-scheme"] and html["code-tools"] is False and web["page-navigation"]
    )
    assert "source" in web["repo-actions"] and web["open-graph"] and web["twitter-card"]
    assert web["navbar"]["tools"][0]["icon"] == "github"
    for picture in (web["image"], web["favicon"], "demo/index.html"):
        assert (ROOT / "nbs" / picture).exists()
    assert "version: 1.8.27" in (ROOT / ".github/workflows/deploy.yaml").read_text(encoding="utf-8")


def test_sidebar_has_a_section_for_each_room():
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
    first, *sections = config["website"]["sidebar"]["contents"]
    assert first == "index.ipynb" and len(sections) >= 12
    for section in sections:
        pages = [p if isinstance(p, str) else p["href"] for p in section["contents"]]
        assert len({page.partition("/")[0] for page in pages}) == 1
    assert sections[0]["contents"][0]["href"].startswith("01_start/")


def test_the_reading_path_leads_from_chapter_to_chapter():
    assert len(sidebar.PATH) == 11
    for page in sidebar.PATH:
        assert sidebar.texts_of(page)[-1].endswith(sidebar.foot(page)), (
            f"{page}: run `make sidebar`"
        )


def test_sidebar_names_every_chapter_in_order():
    text = (ROOT / "_quarto.yml").read_text(encoding="utf-8")
    assert text.endswith("    contents:\n" + "\n".join(sidebar.lines()) + "\n")
    notebooks = checks.notebooks_in(ROOT / "nbs")
    assert checks.not_in_sidebar(notebooks, ROOT / "nbs", ROOT / "_quarto.yml") == []
    for path in notebooks:  # a chapter is listed under its title, not under its file's name
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert preview.take_title(cells, path.stem)[0]["title"] != path.stem, path


def test_nine_commands_are_nine():
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    commands = {line.split("=")[0] for line in config["DEFAULT"]["console_scripts"].split()}
    chapter = ROOT / "nbs/13_commands/03_draw_ask.ipynb"
    text = "\n".join(s for k, s, _ in checks.cells_of(chapter) if k == "markdown")
    assert {w for w in commands if f"| `{w}` |" in text} == commands
    numbers = {5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
    assert f"has {numbers[len(commands)]} commands" in text


def test_nothing_claims_an_index():
    for path in [ROOT / "README.md", *checks.notebooks_in(ROOT / "nbs")]:
        assert "pip install minivlm_cot" not in path.read_text(encoding="utf-8")


def test_address_of_the_site():
    assert docs.site_address(ROOT) + "/" == readme.SITE


def test_intervals_stay_on_one_line():
    css = (ROOT / "nbs/styles.css").read_text(encoding="utf-8")
    assert checks.says(css, 'main td[style*="right"]', "white-space: nowrap")
    assert 'style="text-align:right"' in preview.markdown("| a |\n|--:|\n| 1 (0 … 2) |\n").replace(
        ": ", ":"
    )
