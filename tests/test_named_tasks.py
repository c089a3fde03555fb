"Tasks by their names: taught and examined from the command line"

import json
import sys

import pytest
from PIL import Image
from test_commands import fails
from test_layouts import flickr, nlvr, vqa

from minivlm_cot.commands import minivlm_ask, minivlm_draw, minivlm_eval, minivlm_train
from minivlm_cot.core import package_file
from minivlm_cot.evaluation import Report
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import scene_examples
from minivlm_cot.tasks import ask_query, LESSONS, MARKS, SeveralRecipe, train_several


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
    assert "measure_multitask" in fails(capsys, minivlm_train, "run", task="captions,vqa")
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


def long_lists(folder):
    "COCO's form: a picture with one box, one with forty"
    (folder / "train2017").mkdir(parents=True)
    pictures, boxes = [], []
    for n, size in enumerate((1, 40), 1):
        scene_examples(n, "train")[-1]["image"].save(folder / f"train2017/{n:012d}.jpg")
        pictures.append(dict(id=n, file_name=f"{n:012d}.jpg", width=80, height=80))
        for k in range(size):
            box = dict(bbox=[k, k, 9, 9], iscrowd=0, category_id=3)
            boxes.append(box | dict(id=len(boxes), image_id=n))
    held = dict(images=pictures, annotations=boxes, categories=[dict(id=3, name="cat")])
    (folder / "instances_train2017.json").write_text(json.dumps(held))
    return folder


def test_long_lists_of_boxes_lose_objects_and_not_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = dict(source="coco", folder=str(long_lists(tmp_path / "coco")), task="detection")
    minivlm_train("run", epochs=1, base=str(package_file("ready")), **how)
    said = capsys.readouterr().out
    assert "left out: " not in said and "of 1 pictures did not fit" in said
    model, processor = load_minivlm("run/model", device="cpu")
    assert processor.tokenizer(MARKS[0], add_special_tokens=False).input_ids[1:] == []
    assert "of 1 pictures did not fit" in (tmp_path / "run/model/README.md").read_text()
    assert model.config.response_tokens["direct"] > 300


def test_an_exam_says_what_a_task_is_judged_by(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = dict(source="coco", folder=str(long_lists(tmp_path / "coco")), split="train")
    minivlm_eval(task="detection", out="boxes", max_new_tokens_direct=9, **how)
    assert "| valid json | 0.0 " in capsys.readouterr().out
    kept = Report.load("boxes/report.json").extra["own_scores"]["direct"]["boxes"]
    assert kept["faults"] == {"broken JSON": 2} and kept["f1"]["value"] == 0
    minivlm_eval(task="captions", limit=3, out="captions")
    assert "| objects |" in capsys.readouterr().out
    summary = json.loads((tmp_path / "captions/report.json").read_text())
    assert summary["own_scores"]["direct"]["facts"]["captions"] == 3


def test_the_vqa_score_stands_beside_the_exact_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = dict(source="vqav2", folder=str(vqa(tmp_path / "data")), split="validation")
    minivlm_eval(task="vqa", out="vqa", **how)
    assert "VQA score, %" in capsys.readouterr().out
    assert "vqa" in Report.load("vqa/report.json").extra["own_scores"]["direct"]


@pytest.mark.parametrize("task", ["captions", None])
def test_options_that_drawn_scenes_would_pass_over_are_refused(capsys, task):
    said = fails(capsys, minivlm_train, "more", task=task, limit=9, lr_language=1.0, short=not task)
    assert "no use for limit, lr_language" in said


def test_what_never_learned_chains_is_asked_directly():
    model, processor = load_minivlm(device="cpu")
    row = scene_examples(1, "test")[0]
    model.config.taught_tasks = ["captions", "detection", "questions"]
    asked = (model, processor, [row["image"]], "how many red objects are there?")
    assert ask_query(*asked).answer.arm == "cot"
    model.config.response_tokens = {"direct": 174}
    said = ask_query(*asked)
    assert (said.choice.task, said.answer.arm) == ("questions", "direct")
    broken = ask_query(model, processor, [row["image"]], "[OD]")
    assert "No answer could be read (broken JSON" in str(broken)
    assert broken.answer.text.strip() in str(broken)
