"""Captions as facts: what is not true costs, what is not known is named, and texts end."""

import json
import os
import random
import re

import pytest
from datasets import Dataset, DatasetDict
from PIL import Image

from minivlm_cot.core import InputError, load_json
from minivlm_cot.dataset import CoTReasoningDataset, real_data
from minivlm_cot.evaluation import check_exam, examine
from minivlm_cot.generation import AskOptions, Direct
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import COLOURS, Scene, scene_examples, SHAPES
from minivlm_cot.scenes.world import scene_bucket
from minivlm_cot.tasks import (
    caption_report,
    caption_scene,
    caption_table,
    CaptionRecipe,
    Captions,
    captioned_pictures,
    check_caption,
    facts_f1,
    mark_caption,
    overlap_scores,
    read_caption,
    rouge_l,
    train_captions,
    WORDINGS,
)

SCENES = [Scene.from_dict(e["scene"]) for e in scene_examples(39, "test")]


def other(words, word):
    return next(w for w in words if w != word)


# ------------------------------------------------------------------ facts


@pytest.mark.parametrize("wording", range(len(WORDINGS)))
def test_what_is_true_is_all_right_in_each_wording(wording):
    for scene in SCENES:
        marks = mark_caption(caption_scene(scene, wording), scene)
        assert facts_f1([marks]) == 1 and (marks.missed, marks.invented, marks.repeated) == (
            0,
            0,
            0,
        )
        assert check_caption(caption_scene(scene, wording), scene).right


@pytest.mark.parametrize(
    "field, change",
    [
        ("colour", lambda t: t._replace(colour=other(COLOURS, t.colour))),
        ("shape", lambda t: t._replace(shape=other(SHAPES, t.shape))),
        ("size", lambda t: t._replace(size=other(("big", "small"), t.size))),
    ],
)
def test_one_wrong_word_costs_one_fact_and_one_object(field, change):
    for scene in SCENES:
        first, *rest = scene.things
        marks = mark_caption(caption_scene(Scene((change(first), *rest))), scene)
        n = len(scene.things)
        assert marks.facts == (4 * n - 1, 4 * n, 4 * n), field
        assert sum(marks.right()[1]) == n - 1 and sum(marks.right(field)[1]) == n - 1
        assert (marks.missed, marks.invented) == (0, 0)
        steps = check_caption(caption_scene(Scene((change(first), *rest))), scene).steps
        assert [s.verdict for s in steps] == ["false"] + ["asked"] * (n - 1)


def test_an_object_that_is_not_there_was_invented_and_one_left_out_was_missed():
    for scene in SCENES:
        n = len(scene.things)
        less = mark_caption(caption_scene(Scene(scene.things[1:])), scene)
        assert (less.missed, less.invented) == (1, 0) and less.facts == (
            4 * n - 4,
            4 * n - 4,
            4 * n,
        )
        whole = mark_caption(caption_scene(scene), Scene(scene.things[1:]))
        true, said, there = whole.facts
        assert (said, there) == (4 * n, 4 * n - 4) and true < said
        assert facts_f1([less]) < 1 and facts_f1([whole]) < 1


def test_saying_it_twice_is_neither_invention_nor_free():
    scene = SCENES[0]
    text = caption_scene(scene)
    twice = mark_caption(f"{text} {text}", scene)
    assert (twice.invented, twice.repeated, twice.missed) == (0, len(scene.things), 0)
    assert facts_f1([twice]) == pytest.approx(2 / 3)
    assert [s.verdict for s in check_caption(f"{text} {text}", scene).steps].count("beside") == len(
        scene.things
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "no ball at a1",
        "There is not a big red ball at a1.",
        "a red ball or a blue ball",
        "a ball at e5",
        "two balls at a1",
        "Answer: 3",
        "ball" * 1000,
        "a1 " * 500,
        "\0 \ud83d 球 في",
    ],
)
def test_what_no_form_fits_is_unread_and_no_fact(text):
    assert all(mention is None for _, mention in read_caption(text))
    marks = mark_caption(text, SCENES[0])
    assert marks.facts[:2] == (0, 0) and facts_f1([marks]) == 0
    check = check_caption(text, SCENES[0])
    assert not check.parsed and not check.right and not check.complete


def test_many_mentions_of_one_object_are_matched_once():
    scene = SCENES[1]
    marks = mark_caption("a ball at a1. " * 200, scene)
    assert sum(t is not None for t in marks.matches) <= 1


def test_a_made_up_scene_is_refused():
    with pytest.raises(InputError, match="no scene"):
        mark_caption("a ball", dict(things=[dict(shape="dog")]))


# ------------------------------------------------------------------ the report


def test_captions_of_one_picture_count_as_one_picture():
    rng, marks, pictures = random.Random(0), [], []
    for n, scene in enumerate(SCENES * 3):
        # whole, or one object alone: those of a picture have one fate
        said = Scene(scene.things[rng.choice((0, -1)) :])
        marks.append(mark_caption(caption_scene(said), scene))
        pictures.append(n)

    def width(report):
        low, high = report["objects"]["recall"]["ci"]
        return high - low

    once = caption_report(marks, pictures)
    thrice = caption_report(marks * 3, pictures * 3)
    naive = caption_report(marks * 3)
    assert width(thrice) == pytest.approx(width(once), rel=0.1)
    assert width(naive) < 0.7 * width(once)
    assert once["f1"] == pytest.approx(thrice["f1"])
    low, high = once["f1_ci"]
    assert low < once["f1"] < high
    json.dumps(once)


def test_the_report_counts_what_stands_in_the_captions():
    scene = SCENES[2]
    text = caption_scene(Scene(scene.things[:-1])) + " A dog."
    report = caption_report([mark_caption(text, scene)])
    n = len(scene.things)
    assert report["objects"]["precision"] == report["objects"]["precision"] | dict(share=1, n=n - 1)
    assert report["objects"]["recall"]["share"] == pytest.approx((n - 1) / n)
    assert [report[k] for k in ("missed", "invented", "repeated", "unread")] == [1, 0, 0, 1]
    assert report["right"]["share"] == 0 and report["f1_ci"] is None
    assert "1 missed, 0 invented, 0 repeated, 1 unread" in caption_table(report)


# ------------------------------------------------------------------ the task


def test_splits_share_no_scene_and_an_exam_refuses_training_pictures():
    task = Captions()
    train, test = task.rows("train", 60), task.rows("test", 60)
    buckets = [{scene_bucket(Scene.from_dict(r["scene"])) for r in rows} for rows in (train, test)]
    assert not buckets[0] & buckets[1]
    check_exam(test, train, task)
    with pytest.raises(InputError, match="was in training"):
        check_exam(train[:3], train, task)


def test_training_texts_end_with_the_mark_and_it_is_learned():
    _, processor = load_minivlm(device="cpu")
    data = CoTReasoningDataset(Captions().rows("train", 4), processor, task=Captions())
    end = processor.tokenizer.eos_token_id
    for n in range(len(data)):
        item = data[n]
        assert item["input_ids"][-1] == item["labels"][-1] == end
        assert list(item["input_ids"]).count(end) == 1


def test_an_exam_takes_the_task():
    model, processor = load_minivlm(device="cpu")
    rows, options = Captions().rows("test", 3), AskOptions(max_new_tokens=12)
    report = examine(model, processor, rows, [Direct()], Captions(), options)
    arm = report.to_dict()["arms"]["direct"]
    assert arm["accuracy"] == 0 and 0 <= arm["score"] < 1
    assert [r["truth"] for r in report.rows] == [e["caption"] for e in scene_examples(3, "test")]


def test_a_short_run_trains_examines_and_keeps(tmp_path):
    recipe = CaptionRecipe(pictures=32, epochs=1, batch_size=16, test=4, ood=2)
    found = train_captions(tmp_path / "run", recipe, tmp_path / "kept.json", "cpu", progress=False)
    assert load_json(tmp_path / "kept.json") == json.loads(json.dumps(found))
    assert len(found["losses"]) == 2 and found["test"]["captions"] == 4
    assert found["ood_pairs"]["captions"] == found["untaught"]["captions"] == 2
    load_minivlm(tmp_path / "run" / "model", device="cpu")
    place = tmp_path / "run/run/metrics.jsonl"
    first, *others = place.read_text().splitlines()
    slow = json.dumps(json.loads(first) | dict(seconds=5000.0))
    place.write_text("\n".join([slow, *others]) + "\n")
    again = train_captions(tmp_path / "run", recipe, tmp_path / "kept.json", "cpu", progress=False)
    assert again["seconds"] > 5000, "what an earlier part took counts too"
    with pytest.raises(InputError, match="pictures"):
        train_captions(tmp_path / "run", CaptionRecipe(pictures=-1))


# ------------------------------------------------------------------ files and overlap


def test_every_caption_of_the_table_is_read_or_named(tmp_path):
    names = [f"{n}.jpg" for n in range(4)]
    for name in names[:2]:
        Image.new("RGB", (16, 16), "red").save(tmp_path / name)
    lines = [f"{name}#{k}\tA thing , number {k} ." for k in range(5) for name in names]
    (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines))
    rows = captioned_pictures("flickr8k", folder=tmp_path)
    assert [len(r["captions"]) for r in rows] == [5, 5]
    assert rows.left_out == {"its picture is not there": names[2:]}
    assert len(captioned_pictures("flickr8k", n=1, folder=tmp_path)) == 1
    task = Captions("flickr8k", str(tmp_path))
    assert len([q for r in task.rows() for q in task.questions(r)]) == 10
    for name in names[:2]:
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="no picture with a caption"):
        captioned_pictures("flickr8k", folder=tmp_path)


@pytest.mark.parametrize("form", ["save_to_disk", "parquet", "one split"])
def test_a_copy_of_the_hubs_table_is_read(tmp_path, capsys, form):
    tables = {}
    for split in ("train", "test"):
        rows = [{f"caption_{k}": f"A {split} picture, {k}" for k in range(5)} for _ in range(2)]
        pictures = [Image.new("RGB", (16, 16), c) for c in ("red", "blue")]
        rows = [row | dict(image=picture) for row, picture in zip(rows, pictures)]
        tables[split] = Dataset.from_list(rows)
    if form == "save_to_disk":
        DatasetDict(tables).save_to_disk(str(tmp_path))
    elif form == "one split":
        tables["test"].save_to_disk(str(tmp_path / "a/table"))
    else:
        (tmp_path / "data").mkdir()
        for split, table in tables.items():
            table.to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    folder = tmp_path / "a/table" if form == "one split" else tmp_path
    rows = captioned_pictures("flickr8k", "test", folder=folder)
    assert [row["captions"][4] for row in rows] == ["A test picture, 4"] * 2
    assert ("does not name the split" in capsys.readouterr().out) == (form == "one split")
    if form != "one split":
        with pytest.raises(InputError, match="no split 'validation'|split 'validation' below"):
            captioned_pictures("flickr8k", "validation", folder=folder)
    if form == "parquet":
        (tmp_path / "data/test-00000-of-00001.parquet").write_bytes(b"no table")
        with pytest.raises(InputError, match="The table in .* cannot be read"):
            captioned_pictures("flickr8k", "test", folder=folder)
    with pytest.raises(InputError, match="Drawn scenes are no files"):
        captioned_pictures("scenes")


def test_real_captions_are_all_read_and_missing_pictures_named(tmp_path):
    if not os.environ.get("MINIVLM_DATA"):
        pytest.skip("set MINIVLM_DATA to the real data")
    file = real_data() / "coco" / "captions_50.json"
    told = json.loads(file.read_text())["annotations"]
    rows = captioned_pictures("coco_captions", "train", folder=file.parent)
    assert sum(len(r["captions"]) for r in rows) == len(told) and not rows.left_out
    shown = sorted({a["image_id"] for a in told})[:10]
    (tmp_path / "images").mkdir()
    for number in shown:
        name = f"{number:012d}.jpg"
        (tmp_path / "images" / name).symlink_to(file.parent / "images" / name)
    (tmp_path / "captions_train2017.json").symlink_to(file)
    rows = captioned_pictures("coco_captions", "train", folder=tmp_path)
    assert sorted(int(r["image_id"]) for r in rows) == shown
    lost = rows.left_out["its picture is not there"]
    assert len(lost) == len({a["image_id"] for a in told}) - 10


def test_overlap_agrees_with_another_library_on_real_captions():
    pytest.importorskip("pycocoevalcap", reason="pip install pycocoevalcap")
    bleu = pytest.importorskip("nltk.translate.bleu_score", reason="pip install nltk")
    if not os.environ.get("MINIVLM_DATA"):
        pytest.skip("set MINIVLM_DATA to the real data")
    rows = captioned_pictures("coco_captions", "train", folder=real_data() / "coco")
    said = [r["captions"][0] for r in rows]
    people = [r["captions"][1:] for r in rows]

    def words(text):
        return re.findall(r"\w+(?:['’-]\w+)*", text.lower())

    theirs = bleu.corpus_bleu([[words(t) for t in p] for p in people], [words(t) for t in said])
    scores = overlap_scores(said, people)
    assert scores["bleu4"] == pytest.approx(theirs, abs=1e-6)
    assert 0.5 < scores["cider"] < 2 and 0.3 < scores["rouge_l"] < 0.7
    wrong = overlap_scores(said[1:] + said[:1], people)
    assert all(wrong[name] < scores[name] for name in scores)


def test_without_the_library_the_sentence_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pycocoevalcap.bleu.bleu", None)
    for call in (lambda: overlap_scores(["a"], [["a"]]), lambda: rouge_l("a", ["a"])):
        with pytest.raises(InputError, match="pip install pycocoevalcap"):
            call()


def test_an_unknown_source_is_refused():
    with pytest.raises(InputError, match="Unknown source"):
        Captions("nothing").rows("train", 1)
