"""Boxes as text: geometry against the pixels, reading what models write, sources, scores."""

import json
import random

import numpy as np
import pytest
import torch

from minivlm_cot.core import InputError
from minivlm_cot.dataset import CoTReasoningDataset, real_data
from minivlm_cot.generation import ChatVLM
from minivlm_cot.model import load_minivlm, save_minivlm
from minivlm_cot.scenes import scene_examples
from minivlm_cot.scenes.world import draw_scene, Scene, SHAPES, SIZES, Thing
from minivlm_cot.tasks.box_grammar import BoxGrammar, write_answers
from minivlm_cot.tasks.box_sources import load_boxes
from minivlm_cot.tasks.boxes import average_precision, box_iou, match_boxes, scene_objects, tally
from minivlm_cot.tasks.boxes import score_boxes, thing_box
from minivlm_cot.tasks.detection import add_marks, Detection, INSTRUCTIONS, LABELS, objects_text
from minivlm_cot.tasks.detection import read_objects, reading_order, score_readings
from minivlm_cot.tasks.detector import DetectorRecipe, find_objects, object_scores
from minivlm_cot.tasks.detector import sure_readings, train_detector

TRUE = scene_objects(scene_examples(3, "test")[2]["scene"])


@pytest.mark.parametrize("side", (80, 320, 900))
@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_are_where_the_pixels_are(shape, side):
    paper = np.asarray(draw_scene(Scene(()), side)).astype(int)
    rng = random.Random(f"{shape}/{side}")
    for size in SIZES:
        for _ in range(4):
            place = rng.randrange(16), *(rng.uniform(-1, 1) for _ in range(3))
            thing = Thing(shape, "blue", size, *place)
            drawn = np.asarray(draw_scene(Scene((thing,)), side)).astype(int)
            rows, columns = np.nonzero(np.abs(drawn - paper).sum(-1))
            seen = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            x, y, w, h = thing_box(thing)
            off = np.abs(np.array(seen) - np.array([x, y, x + w, y + h]) * side)
            assert off.max() <= 1.01, (thing, off)


def test_a_bigger_thing_would_be_noticed():
    thing = Thing("ball", "blue", "big", 5)
    x, _, w, _ = thing_box(thing)
    drawn = np.asarray(draw_scene(Scene((thing,)), 320)).astype(int)
    columns = np.nonzero(np.abs(drawn - drawn[0, 0]).sum((0, 2)))[0]
    assert abs(columns.max() + 1 - (x + w) * 320) <= 1.01
    assert abs(columns.max() + 1 - (x + w * 1.1) * 320) > 1.01


def test_iou_agrees_with_coco():
    mask = pytest.importorskip("pycocotools.mask", reason="pycocotools is not there")
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 30, 4))
    crowd = [0] * 30
    assert np.allclose(box_iou(first, second), mask.iou(first, second, crowd))


def test_pairs_are_as_many_as_there_can_be():
    a, b = dict(label="a", bbox=(0, 0, 1, 1)), dict(label="a", bbox=(0.25, 0, 1, 1))
    c = dict(label="a", bbox=(-0.3, 0, 1, 1))  # fits a alone; a is nearer to b's partner
    assert len(match_boxes([a, b], [a, c])) == 2
    assert match_boxes([a, a], [a]) == [(0, 0)] or match_boxes([a, a], [a]) == [(1, 0)]


def test_average_precision_ranks_by_score():
    pytest.importorskip("pycocotools", reason="pycocotools is not there")
    cat = dict(label="cat", bbox=(0.1, 0.1, 0.4, 0.4))
    ghost = dict(label="cat", bbox=(0.6, 0.6, 0.2, 0.2))
    for sure, unsure in ((1.0, 51 / 101), (0.0, 51 / 101)):
        said = [[cat | dict(score=sure), ghost | dict(score=0.5)], []]
        got = average_precision(said, [[cat], [cat]])["ap50"]["value"]
        want = unsure if sure > 0.5 else 51 * 0.5 / 101
        assert got == pytest.approx(want)


def test_average_precision_of_resampled_pictures_holds_the_value():
    pytest.importorskip("pycocotools", reason="pycocotools is not there")
    true = [scene_objects(e["scene"]) for e in scene_examples(25, "test")]
    rng = random.Random(0)
    said = [[o | dict(score=rng.random()) for o in t if rng.random() < 0.7] for t in true]
    got = average_precision(said, true, resamples=60)
    for name in ("ap50", "ap"):
        assert got[name]["low"] < got[name]["value"] < got[name]["high"]


def test_intervals_are_by_picture():
    true = [TRUE] * 20
    said = [TRUE if n % 2 else [] for n in range(20)]
    apart = score_boxes(said, true)["recall"]
    mixed = score_boxes([TRUE[n % 2 :: 2] for n in range(20)], true)["recall"]
    assert apart["high"] - apart["low"] > mixed["high"] - mixed["low"]


def test_nothing_is_guessed():
    whole = objects_text(TRUE)
    for end in range(len(whole)):
        assert read_objects(whole[:end]).why == "broken JSON", whole[:end]
    assert read_objects(whole).valid
    again = whole.replace('"bbox"', '"label": "x", "bbox"', 1)
    for twice in ('{"objects": [], ' + whole[1:], again):
        assert read_objects(twice).why == "broken JSON"  # which of the two was meant?
    assert read_objects('{"objects": NaN}').why == "broken JSON"
    broken = [read_objects(whole[:-1], LABELS)] + [read_objects(whole, LABELS)] * 3
    scores = score_readings(broken, [dict(objects=TRUE)] * 4, ap=False)
    assert scores["valid_json"]["value"] == 0.75 and scores["faults"] == {"broken JSON": 1}
    assert scores["recall"]["value"] == 0.75


def test_faults_are_said_and_match_nothing():
    x, y, w, h = TRUE[0]["bbox"]
    cases = {
        "outside": dict(bbox=(x, y, w, 2)),
        "no size": dict(bbox=(x, y, 0, h)),
        "unknown label": dict(label="red dog"),
    }
    for fault, change in cases.items():
        text = json.dumps(dict(objects=[TRUE[0] | change, *TRUE[1:]]))
        got = read_objects(text, LABELS)
        assert got.valid and got.faults == {fault: 1}
        t = tally(got.objects, TRUE)
        assert (t.said, t.found) == (len(TRUE), len(TRUE) - 1)


def test_task_from_row_to_score():
    task = Detection()
    rows = task.rows("train", 40)
    assert {r["question"] for r in rows} == set(INSTRUCTIONS)
    assert [r["question"] for r in rows] == [r["question"] for r in task.rows("train", 40)]
    for row in rows:
        assert row["objects"] == reading_order(row["objects"])
        assert task.score(row, task.parse(task.target(row, "direct"), "direct")) == 1.0
    assert task.score(rows[0], None) == 0.0


def test_marks_are_kept_with_the_model(tmp_path):
    model, processor = load_minivlm(device="cpu")
    text = objects_text(TRUE)
    before = len(processor.tokenizer(text)["input_ids"])
    assert len(add_marks(model, processor)) == 5
    ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) < 0.6 * before and processor.tokenizer.decode(ids) == text
    save_minivlm(model, processor, tmp_path)
    again, its = load_minivlm(tmp_path, device="cpu")
    assert its.tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    words = model.get_input_embeddings().weight
    assert (again.get_input_embeddings().weight == words).all()


def test_long_lists_lose_whole_objects():
    _, processor = load_minivlm(device="cpu")
    task = Detection(max_tokens=120, tokenizer=processor.tokenizer)
    rows = task.rows("train", 30)
    data = CoTReasoningDataset(rows, processor, task=task)
    lost = task.cuts(rows)
    assert lost["pictures"] > 0 and lost["objects"] >= lost["pictures"]
    assert max(data.response_tokens.values()) <= 120
    for row in rows:
        said = read_objects(task.target(row, "direct"), LABELS)
        assert said.valid and len(said.objects) == len(task.kept(row))


def coco_folder(folder, **changes):
    "A folder in COCO's form with one picture and one box"
    (folder / "val2017").mkdir(parents=True)
    scene_examples(1, "train")[0]["image"].save(folder / "val2017" / "000000000007.jpg")
    picture = dict(id=7, file_name="000000000007.jpg", width=80, height=80)
    box = dict(id=1, image_id=7, category_id=3, bbox=[8, 8, 16, 16], iscrowd=0) | changes
    held = dict(images=[picture], annotations=[box], categories=[dict(id=3, name="cat")])
    (folder / "instances_val2017.json").write_text(json.dumps(held))
    return folder


def test_coco_reads_or_names(tmp_path, capsys):
    (row,) = load_boxes("coco", "validation", folder=coco_folder(tmp_path / "a"))
    assert row["objects"] == [dict(label="cat", bbox=(0.1, 0.1, 0.2, 0.2))]
    odd = {
        "stands for a crowd": dict(iscrowd=1),
        "not four numbers": dict(bbox=[1, 2]),
        "box is 1234": dict(bbox="1234"),
        "box is [True": dict(bbox=[True, 0, 1, 1]),
        "not finite": dict(bbox=[1, 2, float("nan"), 4]),
        "no size": dict(bbox=[1, 1, -3, 4]),
        "beyond the picture": dict(bbox=[70, 1, 30, 4]),
        "does not list": dict(category_id=4),
    }
    for n, (why, change) in enumerate(odd.items()):
        rows = load_boxes("coco", "validation", folder=coco_folder(tmp_path / str(n), **change))
        assert len(rows) == 1 and rows[0]["objects"] == [] and why in capsys.readouterr().out
    (tmp_path / "a" / "val2017" / "000000000007.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no usable picture"):
        load_boxes("coco", "validation", folder=tmp_path / "a")


def test_boxes_that_name_no_split_are_said_to_be_taken_whole(tmp_path, capsys):
    file = coco_folder(tmp_path / "a") / "instances_val2017.json"
    load_boxes("coco", "validation", folder=tmp_path / "a")
    assert capsys.readouterr().out == ""
    file.rename(tmp_path / "a" / "instances.json")
    for split in ("train", "test"):
        load_boxes("coco", split, folder=tmp_path / "a")
        assert f"instances.json does not name the split {split}" in capsys.readouterr().out


def test_coco_photographs_by_format(tmp_path):
    "Real photographs, with boxes that are made up: the real file of instances is not there"
    if real_data() is None or not (real_data() / "coco" / "images").is_dir():
        pytest.skip("the real photographs are not there: set MINIVLM_DATA")
    from PIL import Image

    files = sorted((real_data() / "coco" / "images").glob("*.jpg"))[:3]
    pictures, boxes = [], []
    for n, file in enumerate(files):
        width, height = Image.open(file).size
        pictures.append(dict(id=int(file.stem), width=width, height=height))
        boxes.append(dict(id=n, image_id=int(file.stem), category_id=1))
        boxes[-1]["bbox"] = [0, 0, width / 2, height / 2]
    held = dict(images=pictures, annotations=boxes, categories=[dict(id=1, name="thing")])
    (tmp_path / "instances_val2017.json").write_text(json.dumps(held))
    task = Detection("coco", tmp_path, str(real_data() / "coco" / "images"))
    rows = task.rows("validation")
    assert [r["objects"][0]["bbox"] for r in rows] == [(0, 0, 0.5, 0.5)] * 3
    assert task.target(rows[0], "direct").endswith('"bbox": [0.000, 0.000, 0.500, 0.500]}]}')


LABEL_SETS = (LABELS, ("cat", "cats", "cat dog", "a"), ('say "hi"', "café", "x, y]}"))


@pytest.mark.parametrize("labels", LABEL_SETS)
@pytest.mark.parametrize("with_marks", (False, True))
def test_any_allowed_way_ends_in_valid_json(labels, with_marks):
    _, processor = load_minivlm(device="cpu")
    if with_marks:
        add_marks(None, processor)
    tokenizer, rng = processor.tokenizer, random.Random(0)
    grammar, met = BoxGrammar(tokenizer, labels), set()
    for limit in [grammar.left[0]] * 2 + [90, 150] * 10:
        ids, rule = [], grammar.allowed
        while not ids or ids[-1] != tokenizer.eos_token_id:
            ids.append(rng.choice(rule(ids, limit)))
        text = tokenizer.decode(ids, skip_special_tokens=True)
        got = read_objects(text, labels)
        assert got.valid and len(ids) <= limit, (limit, text)
        assert {o["label"] for o in got.objects} <= set(labels)
        met |= {o["label"] for o in got.objects}
    assert len(met) > 1


def test_the_grammar_knows_every_target():
    _, processor = load_minivlm(device="cpu")
    add_marks(None, processor)
    grammar = BoxGrammar(processor.tokenizer, LABELS)
    for row in Detection().rows("train", 60):
        text = f" {objects_text(row['objects'])}"
        ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert grammar.walk(ids) == grammar.done
        for n in range(len(ids)):
            assert ids[n] in grammar.allowed(ids[:n], 300)
    edge = [dict(label="red ball", bbox=(0.9999, 0.9999, 0.0001, 0.0001))]
    ids = processor.tokenizer(f" {objects_text(edge)}", add_special_tokens=False)["input_ids"]
    assert grammar.walk(ids) == grammar.done and read_objects(objects_text(edge), LABELS).valid
    assert not read_objects(objects_text(edge), LABELS).faults
    with pytest.raises(InputError, match="at least one label"):
        BoxGrammar(processor.tokenizer, [])
    for broken in (text[:-1] + "]", text.replace("0.", "2.", 1), text.replace("red", "rod")):
        if broken != text:
            ids = processor.tokenizer(broken, add_special_tokens=False)["input_ids"]
            with pytest.raises(InputError, match="breaks the form"):
                grammar.walk(ids)


def test_the_grammar_with_a_large_vocabulary():
    file = real_data() and real_data() / "tokenizers" / "smollm2" / "tokenizer.json"
    if not file or not file.exists():
        pytest.skip("no real tokenizer is there: set MINIVLM_DATA")
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token="<|endoftext|>")
    grammar = BoxGrammar(tokenizer, ("cat", "dog", "person"))
    rng = random.Random(1)
    for _ in range(10):
        ids = []
        while not ids or ids[-1] != tokenizer.eos_token_id:
            ids.append(rng.choice(grammar.allowed(ids, 120)))
        assert read_objects(tokenizer.decode(ids[:-1]), ("cat", "dog", "person")).valid


def test_where_all_is_allowed_nothing_changes():
    model, processor = load_minivlm(device="cpu")
    rows = Detection().rows("test", 5)
    every = list(range(len(processor.tokenizer)))
    free = write_answers(model, processor, rows, 25)
    assert free == write_answers(model, processor, rows, 25, lambda row, ids: every)


def test_a_detector_from_training_to_scores(tmp_path):
    recipe = DetectorRecipe(32, 5, 1, 16, test=4, beyond=0)
    model, processor, history = train_detector(tmp_path, recipe, progress=False)
    assert len(history.losses) == 2 and history.losses[1] < history.losses[0]
    again, its = load_minivlm(tmp_path / "model", device="cpu")
    rows, grammar = Detection().rows("test", 4), BoxGrammar(its.tokenizer, LABELS)
    found = find_objects(again, its, rows, 60, grammar, batch_size=3)
    assert all(r.valid and r.n_tokens <= 60 for r in found)
    scores = [o["score"] for r in found for o in r.objects]
    assert scores and max(scores) < 0
    alone = find_objects(again, its, rows, 60, grammar, batch_size=1)
    assert [r.text for r in alone] == [r.text for r in found]


def test_letters_of_several_tokens_are_read_as_they_were_written():
    vlm = load_minivlm(device="cpu")
    row = Detection().rows("test", 1)[0] | dict(labels=())
    said = objects_text([dict(label="café", bbox=(0.1, 0.1, 0.2, 0.2))])
    (reading,) = sure_readings(*vlm, [row], [said])
    assert [o["label"] for o in reading.objects] == ["caf\u00e9"]
    assert reading.text == said and reading.objects[0]["score"] < 0


def test_a_chat_model_is_refused_by_name():
    with pytest.raises(InputError, match="only a MiniVLM"):
        find_objects(ChatVLM(torch.nn.Linear(1, 1)), load_minivlm(device="cpu")[1], [{}])


def test_scores_count_the_tokens_of_each_object():
    pieces = [
        " ",
        '{"objects": [{"label": "',
        "a",
        '", "bbox": [0, 0, 1, 1',
        ']}, {"label": "',
        "b",
    ]
    pieces += ['", "bbox": [0, 0, 1, 1', "]}]}"]
    one, two = object_scores(
        read_objects("".join(pieces)), pieces, [-9, -1, -2, -3, -4, -5, -6, -7]
    )
    assert one["score"] == pytest.approx(-(1 + 2 + 3 + 4) / 4)
    assert two["score"] == pytest.approx(-(4 + 5 + 6 + 7) / 4)
