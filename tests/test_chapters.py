"""The tools that look after the chapters find what they are to find, and change nothing else."""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import docs  # noqa: E402
import everything  # noqa: E402
import jupyter  # noqa: E402
import rhythm  # noqa: E402
import series  # noqa: E402
import sizes  # noqa: E402
import tidy  # noqa: E402

OPENING = ("markdown", "# A chapter\n\n> In short.\n\n**Does it help?** Let us see.", [])
END = ("markdown", "## Summary\n\n- It does.", [])
CODE = ("code", "print(1)", [])


def notebook(folder, *cells, name="01_chapter.ipynb"):
    "A notebook of (kind, source) cells"
    made = [
        dict(cell_type=kind, id=f"c{n}", metadata={}, source=source.splitlines(keepends=True))
        | (dict(outputs=[], execution_count=None) if kind == "code" else {})
        for n, (kind, source) in enumerate(cells)
    ]
    whole = dict(cells=made, metadata={}, nbformat=4, nbformat_minor=5)
    path = Path(folder) / name
    path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def test_a_good_chapter_has_no_fault():
    hidden = ("code", "#| hide\nassert True", [])
    folded = ("code", "#| code-fold: true\nimport a", [])
    cells = [OPENING, CODE, hidden, folded, CODE, CODE, END]
    assert list(rhythm.faults_of("02_scenes/03_families", cells)) == []


@pytest.mark.parametrize(
    "cells, said",
    [
        ([("markdown", "# A chapter\n\nIt helps.", []), END], "no question in bold"),
        ([OPENING, CODE], "no summary"),
        ([OPENING, ("markdown", "## Exercises\n\n1. Try.", []), END], "without solutions"),
        ([OPENING, *[CODE] * 4, END], "4 code cells in a row"),
        ([OPENING, ("markdown", "See [it](../solutions/no_such.ipynb).", []), END], "no_such"),
    ],
)
def test_what_a_chapter_lacks_is_named(cells, said):
    (fault,) = rhythm.faults_of("02_scenes/03_families", cells)
    assert said in fault


def test_the_reading_path_shows_pictures_and_asks():
    faults = " ".join(rhythm.faults_of("02_scenes/01_world", [OPENING, END]))
    assert "0 pictures" in faults and "no exercises" in faults
    picture = [dict(output_type="display_data", data={"image/png": "x"})]
    shown = [("code", "plot()", picture)] * 3
    asked = "## Exercises\n\n1. Try. [Solutions](../solutions/loop_solutions.ipynb)"
    cells = [OPENING, *shown, ("markdown", asked, []), END]
    assert list(rhythm.faults_of("02_scenes/01_world", cells)) == []


def test_rhythm_counts():
    long = ("code", f"a = 1; b = 2\n{'x' * 101}", [])
    counted = dict(zip(rhythm.COLUMNS, rhythm.rhythm([OPENING, long, CODE, END])))
    assert counted["cells"] == 4 and counted["> 100 characters"] == 1
    assert counted["semicolons"] == 1 and counted["code cells in a row"] == 2
    # 13 words in two texts, three lines of code
    assert counted["words : code line"] == round(13 / 3, 1)


def test_large_outputs_are_named(monkeypatch):
    assert list(sizes.too_large("a", 10, 20)) == []
    assert "2.00 MB; 1.0 MB are allowed" in next(sizes.too_large("a", 2e6, 1e6))
    heavy = [dict(output_type="stream", text=["ab", "c"]), dict(data={"image/png": "dé"})]
    assert sizes.weight(heavy) == 6
    monkeypatch.setattr(sizes, "NOTEBOOKS", 1000)
    monkeypatch.setattr(sizes, "OUTPUT", 10)
    faults = list(sizes.faults())
    assert faults[0].startswith("The notebooks together") and any("shows" in f for f in faults)


def test_tidy_collapses_and_links(tmp_path):
    notebook(tmp_path, ("markdown", "# Other"), name="02_other.ipynb")
    path = notebook(
        tmp_path,
        ("markdown", "[a](02_other.html#part) [b](none.html) [c](https://x.org/02_other.html)"),
        ("code", "#| hide\nx = 1"),
        ("code", "import os\nfrom sys import path"),
        ("code", '#| code-fold: true\n#| code-summary: "Draw it"\nplot()'),
        ("code", "print(1)"),
    )
    path.write_text(tidy.tidy(path), encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[0]["source"])
    assert text == "[a](02_other.ipynb#part) [b](none.html) [c](https://x.org/02_other.html)"
    folded = [c["metadata"].get("jupyter", {}) for c in cells]
    assert [m.get("source_hidden", False) for m in folded] == [False, True, True, True, False]
    assert [m.get("outputs_hidden", False) for m in folded] == [False, True, False, False, False]
    assert cells[3]["source"][0] == '#| code-summary: "Draw it"\n'  # what a collapsed cell shows
    assert path.read_text(encoding="utf-8") == tidy.tidy(path)  # twice is once
    docs.for_visitors(path)  # and the site gets pages again, without JupyterLab's marks
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert "(02_other.html#part)" in cells[0]["source"] and not any(c["metadata"] for c in cells)


def test_a_stored_picture_gets_a_palette_once():
    noisy = np.random.default_rng(0).integers(0, 256, (40, 40, 4), dtype=np.uint8)
    Image.fromarray(noisy).save(file := io.BytesIO(), "PNG")
    first = tidy.lighter(base64.b64encode(file.getvalue()).decode())
    small = Image.open(io.BytesIO(base64.b64decode(first)))
    assert (small.mode, small.size) == ("P", (40, 40)) and tidy.lighter(first) == first
    Image.new("RGB", (9, 9), "#0072b2").save(file := io.BytesIO(), "PNG")  # few colours stay
    plain = base64.b64decode(tidy.lighter(base64.b64encode(file.getvalue()).decode()))
    assert Image.open(io.BytesIO(plain)).convert("RGB").getpixel((4, 4)) == (0, 0x72, 0xB2)


def test_everything_goes_on_where_it_stopped(tmp_path, monkeypatch, capfd):
    python, kept = sys.executable, tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(everything, "ROOT", tmp_path)
    monkeypatch.setattr(everything, "KEPT", kept)
    monkeypatch.setattr(everything, "RESULTS", {"one": [kept / "one.json"]})
    monkeypatch.setattr(everything, "code", lambda: "abc")
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('{\"n\": 1}'); print('did')"
    steps = {"one": [[python, "-c", write, kept / "one.json"]], "two": [[python, "-c", "1/0"]]}
    monkeypatch.setattr(everything, "commands", lambda runs: steps)
    with pytest.raises(SystemExit, match="two failed"):
        everything.main([])
    found = json.loads((kept / "one.json").read_text())
    assert found["n"] == 1 and {"commit", "machine", "day", "seconds"} == set(found["made"])
    steps["two"] = [[python, "-c", "print('mended')"]]
    capfd.readouterr()
    everything.main(["--list"])
    assert capfd.readouterr().out.split() == ["done", "one", "to", "do", "two"]
    everything.main([])
    said = capfd.readouterr().out
    assert "mended" in said and "did" not in said
    assert set(json.loads((kept / "made.json").read_text())) == {"two"}
    with pytest.raises(SystemExit, match="There is no step three"):
        everything.main(["three"])


def test_the_series_is_made_anew_in_a_new_folder(tmp_path, monkeypatch):
    kept, done, hours = tmp_path / "kept", [], iter((0, 10, 100, 105))
    kept.mkdir()
    monkeypatch.setattr(series, "KEPT", kept)
    monkeypatch.setattr(series.time, "time", lambda: next(hours))
    monkeypatch.setattr(series, "stamp", lambda seconds: dict(seconds=seconds))

    def lesson(out, results):
        done.append(out)
        if len(done) == 1:
            raise KeyboardInterrupt
        results.write_text("{}")

    monkeypatch.setattr(series, "STEPS", dict(captions=lesson))
    (kept / "captions.json").write_text("{}")
    series.main([])
    assert not done, "there are results"
    with pytest.raises(KeyboardInterrupt):
        series.main([], tmp_path / "a")
    series.main([], tmp_path / "a")
    assert json.loads((kept / "captions.json").read_text())["made"]["seconds"] == 15
    series.main([], tmp_path / "a")
    assert done == [tmp_path / "a/captions"] * 2
    steps = everything.commands(tmp_path)["series"]
    assert steps[0][2:] == ["--runs", tmp_path / "series"]


def test_results_say_where_they_come_from():
    for place in (p for files in everything.RESULTS.values() for p in files):
        if place.name == "real.json" and not place.exists():
            continue  # `make study` takes hours, and needs data
        made = json.loads(place.read_text(encoding="utf-8")).get("made", {})
        assert {"commit", "day", "machine", "seconds"} <= set(made), place
        assert {"name", "torch", "threads"} <= set(made["machine"]), place


def test_every_notebook_is_a_step(tmp_path):
    steps = everything.commands(tmp_path)
    assert len([s for s in steps if "/" in s]) == len(list((ROOT / "nbs").glob("*/*.ipynb")))
    assert list(steps)[:4] == ["ready", "seeds", "trainings", "benchmark"]


def test_a_kernel_runs_a_notebook_in_its_folder(tmp_path):
    (tmp_path / "here.txt").write_text("x")
    good = notebook(
        tmp_path,
        ("code", "from pathlib import Path\nassert Path('here.txt').exists()"),
        ("code", "#| eval: false\n1 / 0"),
        ("code", "%matplotlib inline\nget_ipython()"),
    )
    bad = notebook(tmp_path, ("code", "1 / 0"), name="02_bad.ipynb")
    before = good.read_bytes()
    seconds, fault = jupyter.executed(good)
    assert fault is None and seconds > 0 and good.read_bytes() == before
    assert "ZeroDivisionError" in jupyter.executed(bad)[1]
