"Tasks by their names: taught and examined from the command line"

import json
import sys

import pytest
from PIL import Image
from test_commands import fails
from test_layouts import flickr, nlvr

from minivlm_cot.commands import minivlm_ask, minivlm_draw, minivlm_eval, minivlm_train
from minivlm_cot.core import package_file
from minivlm_cot.evaluation import Report
from minivlm_cot.model import load_minivlm
from minivlm_cot.tasks import LESSONS, SeveralRecipe, train_several


def test_a_lesson_is_taught_and_examined(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(LESSONS, "several", (train_several, lambda: SeveralRecipe(20, test=5)))
    minivlm_train("run", task="several", epochs=1, batch_size=10, seed=3)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert (results["recipe"]["seed"], results["recipe"]["batch_size"]) == (3, 10)
    config = load_minivlm("run/model", device="cpu")[0].config
    assert (len(config.image_markers), config.taught_tasks) == (4, ["several pictures"])
    for name in ("a", "b"):
        minivlm_draw(f"{name}.png")
    capsys.readouterr()
    minivlm_ask("a.png,b.png", "What changed?", model="run/model", card="card.html")
    assert "Answer:" in capsys.readouterr().out
    assert (tmp_path / "card.html").read_text().count("Answer: ") == 2
    assert "reads one picture" in fails(capsys, minivlm_ask, "a.png,b.png", "Why?", task="vqa")
    minivlm_eval("run/model", task="several", limit=5, out="exam")
    report = Report.load("exam/report.json")
    assert (report.names, len(report.rows)) == (["cot", "direct"], 5)
    assert "short is for" in fails(capsys, minivlm_train, "more", task="several", short=True)


@pytest.mark.parametrize("task", ["captions", "detection", "vqa"])
def test_a_task_with_one_style_is_examined_in_that_one(tmp_path, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    minivlm_eval(task=task, limit=3, out="exam")
    report = Report.load("exam/report.json")
    assert (report.names, len(report.rows)) == (["direct"], 3)
    assert (tmp_path / "exam/index.html").exists()


def test_what_cannot_be_examined_is_said_before_anything_is_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = dict(task="captions", strategies="chain", limit=3)
    assert "is asked as direct" in fails(capsys, minivlm_eval, **wrong)
    assert "no task 'poetry'" in fails(capsys, minivlm_eval, task="poetry")
    monkeypatch.setitem(sys.modules, "pycocoevalcap.bleu.bleu", None)  # as if it were missing
    monkeypatch.setattr("minivlm_cot.evaluation.exam.ask_all", None)  # nothing may be asked
    files = dict(source="flickr8k", folder=str(flickr(tmp_path / "data")))
    said = fails(capsys, minivlm_eval, task="captions", **files)
    assert "pip install pycocoevalcap" in said


def test_nlvr_is_learned_as_three_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = nlvr(tmp_path / "nlvr")
    for path in root.rglob("*.png"):
        Image.new("RGB", (400, 100), "grey").save(path)
    how = dict(source="nlvr", folder=str(root), base=str(package_file("ready")), epochs=1)
    minivlm_train("run", task="several", **how)
    assert "direct: 1" in capsys.readouterr().out
    config = load_minivlm("run/model", device="cpu")[0].config
    assert (len(config.image_markers), config.taught_tasks) == (4, ["several pictures"])


@pytest.mark.parametrize("task", ["captions", None])
def test_files_are_taught_by_a_task(tmp_path, capsys, monkeypatch, task):
    monkeypatch.chdir(tmp_path)
    how = dict(folder=str(flickr(tmp_path / "data")), base=str(package_file("ready")), task=task)
    minivlm_train("run", source="flickr8k", epochs=1, batch_size=2, **how)
    said = capsys.readouterr().out
    taught = "direct" if task else "caption"
    assert f"they teach {taught}: " in said
    assert (tmp_path / "run/model/model.safetensors").exists()
    config = load_minivlm("run/model", device="cpu")[0].config
    assert config.taught_tasks == ([task] if task else None)
    card = (tmp_path / "run/model/README.md").read_text()
    assert f"The task {task or 'questions'}" in card and "Nobody has examined it" in card
