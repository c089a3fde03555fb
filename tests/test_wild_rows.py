"""Rows and files from the wild: a bad row is left out and counted, a bad file is one sentence."""

import bz2
import gzip
import json
import lzma
import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from minivlm_cot.core import InputError, load_json, read_jsonl, read_text
from minivlm_cot.dataset import as_list, as_text, check_example, get_most_common_answer
from minivlm_cot.dataset import gold_answer, is_answered
from minivlm_cot.dataset import SOURCES, load_examples, read_records
from minivlm_cot.dataset.sources import _collect

NAN, HALF = float("nan"), "half \ud83d"
PERSON = dict(
    image_id=1,
    question="What barks?",
    choices=["cat", "dog"],
    correct_choice_idx=1,
    direct_answers=["dog"] * 10,
    difficult_direct_answer=False,
    rationales=["It barks.", "It has a tail."],
)
FREE = dict(choices=[], correct_choice_idx=None)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (16, 16), "red").save(tmp_path / "images" / "000000000001.jpg")
    return tmp_path


def aokvqa(folder, *changes, **how):
    rows = [PERSON | dict(question_id=f"q{n}") | change for n, change in enumerate(changes)] + [
        PERSON | dict(question_id="ok")
    ]
    path = folder / "aokvqa_v1p0_val.json"
    path.write_text(json.dumps(rows))
    return load_examples("aokvqa", "validation", folder=path, **how)


def names(rows):
    return [r["question_id"] for r in rows]


# ------------------------------------------------------------------ rows that are left out


@pytest.mark.parametrize(
    "change, reason",
    [
        (dict(question=NAN), "empty question"),
        (dict(question=None), "empty question"),
        (dict(question=" \u200b\ufeff\n"), "empty question"),
        (dict(question=["What?"]), "its question is list"),
        (dict(question={"a": 1}), "its question is dict"),
        (dict(question=True), "bool"),
        (dict(question=HALF), "half a character"),
        (dict(question="zero\0byte"), "zero byte"),
        (dict(correct_choice_idx=True), "bool"),
        (dict(correct_choice_idx=-1), "correct_choice_idx -1"),
        (dict(correct_choice_idx=2), "correct_choice_idx 2"),
        (dict(correct_choice_idx=1.5), "1.5, not a whole number"),
        (dict(correct_choice_idx="dog"), "'dog', not a whole number"),
        (dict(correct_choice_idx="1\u0661"), "not a whole number"),
        (dict(correct_choice_idx=[1]), "list"),
        (dict(correct_choice_idx="9" * 400), "not a whole number"),
        (dict(choices=["cat", None]), "choices hold one that is missing"),
        (dict(choices=["cat", NAN]), "choices hold one that is missing"),
        (dict(choices=["cat", ""]), "right one of its choices is empty"),
        (dict(choices="cat, dog"), "shows no list"),
        (dict(choices=7), "int, not a list"),
        (dict(choices={"a": "cat"}), "dict, not a list"),
        (dict(choices=["cat", ["dog"]]), "list, not text"),
        (dict(choices=["cat", HALF]), "half"),
        (dict(choices=[["cat", "dog"]]), "list, not text"),
        (dict(choices="['cat', 'd"), "shows no list"),
        (dict(choices="['cat' ... 'dog']"), "ellipsis"),
        (FREE | dict(direct_answers=[None] * 10), "answer is not published"),
        (FREE | dict(direct_answers=[NAN] * 10), "answer is not published"),
        (FREE | dict(direct_answers=["", " "]), "answer is not published"),
        (FREE | dict(direct_answers=NAN), "answer is not published"),
        (FREE | dict(direct_answers=[]), "answer is not published"),
        (FREE | dict(direct_answers="dog"), "shows no list"),
        (FREE | dict(direct_answers=[True] * 10), "bool"),
        (FREE | dict(direct_answers=[["dog"]]), "list"),
        (FREE | dict(direct_answers={"dog": 1}), "dict"),
        (FREE | dict(direct_answers=[HALF]), "half a character"),
        (FREE | dict(direct_answers=float("inf")), "float"),
        (FREE | dict(direct_answers=[float("inf")]), "inf"),
        (dict(correct_choice_idx=NAN, direct_answers=[]), "answer is not published"),
        (dict(rationales=["[half a list", 7, {}]), "dict"),
        (dict(rationales="['It ba"), "shows no list"),
        (dict(rationales=[HALF]), "half"),
        (dict(image_id=None), "COCO's number"),
        (dict(image_id=NAN), "COCO's number"),
        (dict(image_id="abc"), "COCO's number"),
        (dict(image_id=[1]), "image_id is list"),
        (dict(image_id="../1"), "COCO's number"),
        (dict(image_id=10**30), "COCO's number"),
        (dict(image_id=7), "picture is not there"),
    ],
)
def test_left_out_under_its_reason(folder, change, reason):
    rows = aokvqa(folder, change)
    assert names(rows) == ["ok"]
    assert list(rows.left_out.values()) == [["q0"]]
    assert reason in next(iter(rows.left_out))
    assert not next(iter(rows.left_out)).startswith("it has not the form")


@pytest.mark.parametrize("record", [None, 7, "text", ["a"], [], {}, NAN])
def test_what_is_no_record(folder, record):
    path = folder / "aokvqa_v1p0_val.json"
    path.write_text(json.dumps([record, PERSON | dict(question_id="ok")]))
    rows = load_examples("aokvqa", "validation", folder=path)
    assert names(rows) == ["ok"] and rows.read == 2


# ---------------------------------------- rows that are written in another way


@pytest.mark.parametrize(
    "change, field, value",
    [
        (dict(correct_choice_idx=1.0), "correct_choice_idx", 1),
        (dict(correct_choice_idx="1"), "correct_choice_idx", 1),
        (dict(correct_choice_idx="1.0"), "correct_choice_idx", 1),
        (dict(correct_choice_idx=" 1 "), "correct_choice_idx", 1),
        (FREE | dict(direct_answers=[2] * 10), "direct_answers", ["2"] * 10),
        (FREE | dict(direct_answers=[2.0, 2.5]), "direct_answers", ["2", "2.5"]),
        (
            FREE | dict(direct_answers=[None, "dog", NAN, "", "dog"]),
            "direct_answers",
            ["dog", "dog"],
        ),
        (
            FREE | dict(direct_answers=[dict(answer="dog", answer_id=1), dict(answer=None)]),
            "direct_answers",
            ["dog"],
        ),
        (FREE | dict(direct_answers="['dog', 'a dog']"), "direct_answers", ["dog", "a dog"]),
        (
            FREE | dict(direct_answers="['dog' 'a dog'\n \"dog's\"]"),
            "direct_answers",
            ["dog", "a dog", "dog's"],
        ),
        (FREE | dict(direct_answers="['dog', nan, None]"), "direct_answers", ["dog"]),
        (FREE | dict(direct_answers='["dog", null]'), "direct_answers", ["dog"]),
        (
            FREE | dict(direct_answers="array(['dog', 'cat'], dtype=object)"),
            "direct_answers",
            ["dog", "cat"],
        ),
        (
            FREE | dict(direct_answers="[np.str_('dog'), np.str_('cat')]"),
            "direct_answers",
            ["dog", "cat"],
        ),
        (FREE | dict(direct_answers="[2 3]"), "direct_answers", ["2", "3"]),
        (
            FREE | dict(direct_answers="[{'answer': 'dog'}, {'answer': 'cat'}]"),
            "direct_answers",
            ["dog", "cat"],
        ),
        (dict(choices="['cat', 'dog']"), "choices", ["cat", "dog"]),
        (dict(choices="['cat' 'dog']"), "choices", ["cat", "dog"]),
        (dict(choices=["dog", "dog"]), "choices", ["dog", "dog"]),
        (dict(choices=[1, 2.0]), "choices", ["1", "2"]),
        (dict(choices=["", "dog"]), "choices", ["", "dog"]),
        (dict(rationales=None), "rationales", None),
        (dict(rationales=NAN), "rationales", []),
        (dict(rationales=""), "rationales", []),
        (dict(rationales=["", None, "It barks."]), "rationales", ["It barks."]),
        (dict(rationales="It barks."), "rationales", ["It barks."]),
        (dict(rationales="['It barks.' 'So.']"), "rationales", ["It barks.", "So."]),
        (dict(difficult_direct_answer="False"), "difficult_direct_answer", False),
        (dict(difficult_direct_answer=NAN), "difficult_direct_answer", False),
        (dict(difficult_direct_answer=1.0), "difficult_direct_answer", True),
        (dict(question=7), "question", "7"),
        (dict(image_id=1.0), "image_id", 1),
        (dict(image_id="1"), "image_id", "1"),
        (dict(question_id=None), "question_id", "validation-0"),
        (dict(question_id=NAN), "question_id", "validation-0"),
        (dict(question_id=7.0), "question_id", 7),
        (dict(question_id=7), "question_id", 7),
        (dict(question_id=[7]), "question_id", "validation-0"),
        (dict(question_id=" "), "question_id", "validation-0"),
    ],
)
def test_put_right(folder, change, field, value):
    rows = aokvqa(folder, change)
    assert len(rows) == 2 and not rows.left_out
    assert rows[0][field] == value and type(rows[0][field]) is type(value)
    assert isinstance(gold_answer(rows[0]), str)


def test_two_rows_of_one_name(folder):
    rows = aokvqa(
        folder,
        dict(question_id=5),
        dict(question_id="5", question="What else?"),
        dict(question_id=None),
        dict(question_id=None),
    )
    assert names(rows) == [5, "validation-2", "validation-3", "ok"]
    assert rows.left_out == {"another row has its name": ["5"]}


def test_numpy_and_bytes_as_the_hub_may_bring_them():
    picture = Image.new("RGB", (8, 8))
    record = dict(
        image=picture,
        image_id=np.int64(4),
        question_id=np.float64(3),
        question=b"What barks?",
        choices=np.array(["cat", "dog"]),
        correct_choice_idx=np.float32(1),
        direct_answers=np.array(["dog", None, np.nan], dtype=object),
        rationales=np.array(["It barks."]),
        difficult_direct_answer=np.bool_(True),
    )
    (row,) = _collect("aokvqa", "validation", [record], None, True, True, False)
    want = dict(
        image=picture,
        image_id=4,
        question_id=3,
        question="What barks?",
        choices=["cat", "dog"],
        correct_choice_idx=1,
        direct_answers=["dog"],
        rationales=["It barks."],
        difficult_direct_answer=True,
        rationale_from="people",
        source="aokvqa",
    )
    assert row == want and {k: type(v) for k, v in row.items()} == {
        k: type(v) for k, v in want.items()
    }
    json.dumps({k: v for k, v in row.items() if k != "image"})


@pytest.mark.parametrize(
    "image",
    [7, {"a": 1}, ["a"], b"", b"no picture", "/there/is/none.jpg", "x" * 5000, "nul\0", NAN, None],
)
def test_what_is_no_picture(image):
    rows = _collect(
        "aokvqa",
        "validation",
        [PERSON | dict(image=image, question_id="bad")],
        None,
        True,
        True,
        False,
    )
    assert not rows and sum(rows.left_out.values(), []) == ["bad"]


# ------------------------------------------------------------------ published scores of answers


def soft(*labels, **how):
    records = [
        dict(image=Image.new("RGB", (8, 8)), question_id=n, sent="Which vitamin?", label=label)
        for n, label in enumerate(labels)
    ]
    return _collect("okvqa", "validation", records, None, how.get("answers", True), True, False)


def test_an_empty_answer_is_none_whatever_its_score():
    from minivlm_cot.evaluation import vqa_score

    (row,) = soft({"": 1, "c": 1, "b": 0.667, " ": 0.9, "\u200b": 1})
    assert row["soft_answers"] == {"c": 1, "b": 0.667} and set(row["direct_answers"]) == {"c", "b"}
    assert gold_answer(row) == "c" and "c." in row["rationales"][0]
    assert [vqa_score(said, row["soft_answers"]) for said in ("", None, "C", "b")] == [
        0,
        0,
        1,
        0.667,
    ]


def test_rows_without_a_usable_answer_are_left_out_and_counted():
    rows = soft({"": 1}, {}, {"": 1, "a": 0}, {"dog": None, "cat": NAN}, {"dog": 1}, None)
    assert names(rows) == [4] and rows.left_out == {
        "its answer is not published": ["0", "1", "2", "3", "5"]
    }
    assert len(soft({"": 1}, {"dog": 1}, answers=False)) == 2  # to be asked, not examined
    people = [
        dict(image=Image.new("RGB", (8, 8)), question_id=n, question="What?", answers=a)
        for n, a in enumerate(
            (["", " ", None], [dict(answer="")] * 10, [dict(answer="")] * 9 + [dict(answer="dog")])
        )
    ]
    rows = _collect("vqav2", "validation", people, None, True, True, False)
    assert [r["direct_answers"] for r in rows] == [["dog"]] and rows.left_out == {
        "its answer is not published": ["0", "1"]
    }


@pytest.mark.parametrize("score", ["much", -1, 2, float("inf"), [1], True, {"a": 1}])
def test_a_score_that_is_none_costs_its_row(score):
    rows = soft({"dog": score}, {"dog": 1})
    assert (
        names(rows) == [1]
        and [len(n) for n in rows.left_out.values()] == [1]
        and "score" in next(iter(rows.left_out))
    )


def test_scores_in_other_forms():
    (row,) = soft(
        {"dog": "0.6", "cat": np.float32(0.25), "cow": 0.1, "hen": None}
    )  # a table of all answers fills with None
    assert row["soft_answers"] == {"dog": 0.6, "cat": 0.25, "cow": 0.1} and Counter(
        row["direct_answers"]
    ) == dict(dog=2, cat=1, cow=1)
    json.dumps(row["soft_answers"])


def test_labels_in_other_forms():
    (row,) = soft("{'dog': 1, 'cat': 0.667}")
    assert row["soft_answers"] == {"dog": 1, "cat": 0.667}
    rows = soft("dog", 3, [1], "[1]", NAN, "", {"ids": ["dog"], "weights": [1.0]}, {"dog": 1})
    assert names(rows) == [7] and rows.left_out.pop("its answer is not published") == ["4", "5"]
    assert all("label" in reason for reason in rows.left_out) and rows.read == 6


def test_answers_under_their_other_names():
    def read(**fields):
        record = dict(image=Image.new("RGB", (8, 8)), question_id=1, question="What?") | fields
        return _collect("vqav2", "validation", [record], None, True, True, False)

    assert gold_answer(read(multiple_choice_answer="dog")[0]) == "dog"
    assert (
        gold_answer(read(multiple_choice_answer="cat", answers=["dog"] * 10, label=3)[0]) == "dog"
    )
    assert list(read(answers={"dog": 3}).left_out) == ["its answers is dict, not a list"]


def test_pictures_by_the_names_of_coco(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "COCO_val2014_000000000139.jpg")
    rows = [
        dict(question_id=n, sent="What?", label={"dog": 1}) | named
        for n, named in enumerate(
            (
                dict(img_id="COCO_val2014_000000000139"),
                dict(image_id="COCO_val2014_000000000139.jpg"),
                dict(image_id=139),
                dict(image_id=None, img_id="139"),
                dict(img_id="n_139"),
                {},
            )
        )
    ]
    (tmp_path / "okvqa.json").write_text(json.dumps(rows))
    read = load_examples("okvqa", "validation", folder=tmp_path / "okvqa.json")
    assert names(read) == [0, 1, 2, 3] and len({r["image"] for r in read}) == 1
    assert sum(read.left_out.values(), []) == ["4", "5"]


def test_what_people_said_in_any_form():
    from minivlm_cot.evaluation import vqa_score

    ten = ["dog"] * 10
    for people in (
        tuple(ten),
        np.array(ten),
        str(ten),
        json.dumps(ten),
        [dict(answer="dog", answer_id=n) for n in range(10)],
    ):
        assert [vqa_score(said, people) for said in ("dog", "cat", NAN, "")] == [1, 0, 0, 0]
    assert (
        abs(vqa_score("dog", ["dog"] * 2 + [None, "", NAN] * 2 + ["cat"] * 2) - 0.6) < 1e-9
    )  # who says nothing is one of the ten
    assert (
        vqa_score("nan", [NAN] * 10)
        == vqa_score(NAN, ["nan"] * 10)
        == vqa_score("none", [None] * 10)
        == 0
    )
    assert vqa_score("x", {"x": None, "y": 1}) == 0 and vqa_score("x", {"x": "0.5"}) == 0.5
    for nothing in ([], {}, np.array([]), None):
        with pytest.raises(InputError, match="no answers"):
            vqa_score("dog", nothing)
    for said, people in ((["dog"], ten), ("dog", "dog"), ("dog", 3)):
        with pytest.raises(InputError):
            vqa_score(said, people)


def test_what_is_missing_is_never_right():
    from minivlm_cot.evaluation import exact_match

    assert (
        not exact_match(NAN, "nan")
        and not exact_match(np.float32("nan"), "nan")
        and exact_match("nan", "nan")
    )


def test_the_best_pupil_of_okvqa():
    "Whoever says the best answer there is reaches the best published scores"
    from minivlm_cot.evaluation import vqa_score
    from minivlm_cot.dataset import real_data

    if real_data() is None:
        pytest.skip("MINIVLM_DATA is not set")
    rows = load_examples("okvqa", "train", folder=real_data() / "okvqa" / "with_photos.json")
    assert not any("" in r["soft_answers"] or "" in r["direct_answers"] for r in rows)
    assert (
        abs(np.mean([vqa_score(gold_answer(r), r["soft_answers"]) for r in rows]) - 0.989) < 0.001
    )


# ------------------------------------------------------------------ every field of every source

THING = dict(color="red", shape="cube", size="large", material="rubber")
RECORDS = dict(
    aokvqa=PERSON | dict(question_id="q"),
    vqav2=dict(question_id=1, image_id=1, question="What?", answers=[dict(answer="dog")] * 10),
    okvqa=dict(question_id=1, image_id=1, question="What?", answers=[dict(answer="dog")] * 10),
    scienceqa=dict(
        problem_id="1",
        question="Which?",
        choices=["a", "b"],
        answer=0,
        hint="h",
        lecture="l",
        solution="s",
        wants_picture=True,
    ),
    clevr=dict(
        number=1,
        image_filename="CLEVR_val_000000.png",
        question="How many?",
        answer=1,
        scene=dict(objects=[THING], relationships={}),
        program=[
            dict(function="scene", inputs=[], value_inputs=[]),
            dict(function="count", inputs=[0], value_inputs=[]),
        ],
    ),
    nlvr=dict(
        identifier="1-0",
        sentence="There is a box.",
        label="true",
        images=["a.png"],
        structured_rep=[[dict(type="circle", color="Yellow", size=10)]],
    ),
    viquae=dict(
        id="v", input="Who?", output=dict(original_answer="Ada", answer=["Ada"]), wikidata_id="Q1"
    ),
    daquar=dict(
        pair="image3/0", file="image3", question="what is in the image3 ?", answer="cup, tissue_box"
    ),
    flickr8k=dict(key="a#0", file="a.jpg", captions=["A dog."]),
    coco_captions=dict(key=5, file=1, captions=["A dog."]),
)
WILD = [
    None,
    NAN,
    1.0,
    1,
    -1,
    True,
    "",
    " ",
    "text",
    HALF,
    "a\0b",
    b"caf\xe9",
    [],
    [None],
    [[]],
    {},
    {"a": 1},
    np.float32("nan"),
    np.int64(1),
    np.array(["a", "b"]),
    np.array([]),
    "['a' 'b']",
    "[",
    "nan",
    10**400,
    float("inf"),
    object(),
]


@pytest.mark.parametrize("source", SOURCES)
def test_any_value_in_any_field_costs_at_most_its_row(source):
    good, picture = RECORDS[source], Image.new("RGB", (8, 8))
    key = SOURCES[source].key
    records = [
        good | {key: f"{field}-{n}"} | {field: value}
        for field in good
        for n, value in enumerate(WILD)
    ]
    records += [
        {k: v for k, v in good.items() if k != field}
        | ({key: f"no-{field}"} if field != key else {})
        for field in good
    ]
    last = good | {key: "last-0"}
    rows = _collect(
        source,
        "validation",
        [r | dict(image=picture) for r in [*records, last]],
        None,
        True,
        True,
        False,
    )
    # two bring two captions
    assert rows.read == len(records) + (3 if "captions" in good else 1)
    assert str(rows[-1]["question_id"]) == "last-0"
    for row in rows:
        check_example(row)
        texts = [
            row.get("question"),
            row.get("caption"),
            *(row.get("choices") or []),
            *(row.get("direct_answers") or []),
            *(row.get("rationales") or []),
        ]
        for text in filter(None, texts):
            assert isinstance(text, str)
            text.encode()
            assert (
                not {"nan", "None", "nan.", "None."} & set(text.split())
                or "nan" in str(row["question_id"])
                or "-23" in str(row["question_id"])
            ), row
        if row.get("question"):
            assert gold_answer(row).strip()
        json.dumps(
            {k: v for k, v in row.items() if k not in ("image", "scene", "permutations")},
            allow_nan=False,
        )


# ------------------------------------------------------------------ the same through the files

ON_FILE = [
    v
    for v in WILD
    if isinstance(v, (str, int, float, list, dict, type(None))) and not isinstance(v, np.generic)
]
LISTED = dict(
    aokvqa=("aokvqa_v1p0_val.json", lambda rows: rows),
    vqav2=("v2_OpenEnded_mscoco_val2014_questions.json", lambda rows: dict(questions=rows)),
    okvqa=("OpenEnded_mscoco_val2014_questions.json", lambda rows: dict(questions=rows)),
    scienceqa=("problems.jsonl", lambda rows: rows),
    clevr=("CLEVR_val_questions.json", lambda rows: dict(questions=rows)),
    nlvr=("dev.json", lambda rows: rows),
    viquae=("validation.jsonl", lambda rows: rows),
    coco_captions=("captions_val2014.json", lambda rows: dict(annotations=rows)),
)


@pytest.mark.parametrize("source", LISTED)
def test_any_value_in_any_field_of_a_file_costs_at_most_its_row(tmp_path, source):
    name, wrap = LISTED[source]
    good = {
        k: v
        for k, v in RECORDS[source].items()
        if k not in ("scene", "wants_picture", "key", "number", "file", "captions")
    }
    if source == "clevr":
        scene = RECORDS[source]["scene"] | dict(image_filename=good["image_filename"])
        wild = [scene | dict(image_filename=v) for v in ON_FILE] + ON_FILE
        (tmp_path / "CLEVR_val_scenes.json").write_text(json.dumps(dict(scenes=[*wild, scene])))
        good["question_index"] = 0
    if source == "coco_captions":
        good = dict(id=1, image_id=1, caption="A dog.")
    if source in ("nlvr", "viquae"):
        good |= dict(image="a.png", directory="1")
    key = {"clevr": "question_index", "coco_captions": "id"}.get(source, SOURCES[source].key)
    records = [
        good | {key: f"{field}-{n}"} | {field: v} for field in good for n, v in enumerate(ON_FILE)
    ]
    records += [{k: v for k, v in good.items() if k != field} for field in good] + ON_FILE
    rows = wrap([*records, good | {key: "last-0"}])
    lines = name.endswith("l") or source == "nlvr"
    (tmp_path / name).write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
    read = load_examples(source, "validation", folder=tmp_path / name, pictures=False)
    assert str(read[-1]["question_id"]) == "last-0"
    assert read.read == len(records) + 1


def test_scienceqa_names_the_problems_that_are_not_there(tmp_path):
    good = dict(question="Which?", choices=["a", "b"], answer=0, image=None, split="train")
    (tmp_path / "problems.json").write_text(
        json.dumps({"1": good, "2": None, "3": good | dict(image=[1])})
    )
    (tmp_path / "pid_splits.json").write_text(json.dumps(dict(train=["1", "2", "3", "4"])))
    rows = load_examples("scienceqa", "train", folder=tmp_path)
    assert names(rows) == ["1"] and rows.read == 4
    assert rows.left_out["problems.json does not hold it"] == ["4"]


# ------------------------------------------------------------------ the functions by themselves


def test_gold_answer_of_rows_that_were_not_loaded():
    assert (
        gold_answer(PERSON | dict(correct_choice_idx=1.0))
        == gold_answer(PERSON | dict(correct_choice_idx="1"))
        == "dog"
    )
    assert gold_answer(dict(direct_answers=[2, 2, 3])) == "2"
    assert get_most_common_answer([NAN, None, NAN, "dog"]) == "dog"
    for bad in (
        dict(correct_choice_idx=5),
        dict(correct_choice_idx=-1),
        dict(correct_choice_idx=NAN, direct_answers=None),
        dict(choices=["a", None]),
    ):
        with pytest.raises(InputError):
            gold_answer(PERSON | bad)
    assert not is_answered(dict(correct_choice_idx=NAN, direct_answers=[NAN]))
    assert is_answered(dict(correct_choice_idx=0))


def test_as_list_and_as_text():
    assert as_list("['red' 'blue']") == ["red", "blue"]
    assert as_list("['np.str_(x)' 'a, b']") == ["np.str_(x)", "a, b"]
    assert as_list(np.array([])) == as_list(()) == as_list(np.float64("nan")) == []
    for bad in ("red", "[red", "{'a'}", {1: 2}, {"a"}, 3, True, object()):
        with pytest.raises(InputError):
            as_list(bad)
    assert (
        as_text("\U0001f600") == "\U0001f600"
        and as_text(np.str_("a")) == "a"
        and as_text(np.array(2.0)) == "2"
    )


def test_a_row_that_is_no_dict():
    for bad in (None, [], "row"):
        with pytest.raises(InputError, match="A row is a dict"):
            check_example(bad)


# ------------------------------------------------------------------ files

LINES = [dict(q="a\u2028b\u2029c\u0085d\x0be"), dict(q="é")]


def jsonl(end="\n"):
    return end.join(json.dumps(r, ensure_ascii=False) for r in LINES) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz", "named.json.gz"])
def test_lines_and_encodings_and_names(tmp_path, end, encoding, name):
    raw = jsonl(end).encode(encoding)
    # the last one is called .gz and is not packed
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("l.gz") else raw)
    assert read_records(tmp_path / name) == LINES


def broken():
    good = json.dumps([PERSON]).encode()
    return {
        "cp1252": b'[{"q": "caf\xe9"}]',
        "utf-16 without a mark": jsonl().encode("utf-16-le"),
        "cut": good[:-9],
        "cut gzip": gzip.compress(good * 99)[:-40],
        "torn gzip": gzip.compress(os.urandom(999))[:500] + b"\0" * 99,
        "gzip head alone": b"\x1f\x8b",
        "empty": b"",
        "blank": b" \n",
        "parquet": b"PAR1" + bytes(99) + b"PAR1",
        "zip": b"PK\3\4" + bytes(99),
        "html": b"<html><body>404</body></html>",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "deep": b"[" * 100_000,
        "null": b"null",
        "number": b"7",
        "text": b'"abc"',
        "object": b'{"data": [], "info": 1}',
        "empty object": b"{}",
        "binary": bytes(range(256)),
        "zeros": bytes(999),
        "bzip2": bz2.compress(good),
        "xz": lzma.compress(good),
        "gzip twice": gzip.compress(gzip.compress(good)),
    }


@pytest.mark.parametrize("kind", broken())
@pytest.mark.parametrize("source", SOURCES)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, source, kind):
    name = {"flickr8k": "captions.txt", "viquae": "validation.jsonl"}.get(source, "x.json")
    (tmp_path / name).write_bytes(broken()[kind])
    (tmp_path / "Flickr_8k.devImages.txt").write_text("a.jpg\n")
    with pytest.raises(InputError) as e:
        load_examples(source, "validation", folder=tmp_path / name)
    assert str(tmp_path) in str(e.value)


def test_a_folder_and_a_forbidden_file(tmp_path):
    (tmp_path / "x.json").mkdir()
    for read in (read_text, read_records, load_json):
        with pytest.raises(InputError, match="Cannot read .*x.json"):
            read(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("[]")
    (tmp_path / "y.json").chmod(0)
    if not os.access(tmp_path / "y.json", os.R_OK):
        with pytest.raises(InputError, match="Permission denied"):
            read_records(tmp_path / "y.json")
    for folder in ("x" * 5000, "nul\0"):
        with pytest.raises(InputError, match="There is no"):
            load_examples("aokvqa", folder=folder)


def test_what_is_wrong_with_a_json_file_is_said_where_it_is(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[\n {"a": 1},\n {"a" 2}\n]')
    with pytest.raises(InputError, match="line 3"):
        read_records(path)
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(InputError, match="line 2"):
        read_records(path)
    for raw in (b"\xef\xbb\xbf[1]", "[1]".encode("utf-16"), gzip.compress(b"[1]")):
        path.write_bytes(raw)
        assert load_json(path) == [1]
    for raw in (b"caf\xe9", b"", b"[" * 100_000):
        path.write_bytes(raw)
        with pytest.raises(InputError, match="a.json"):
            load_json(path)


def test_a_log_torn_in_the_middle_of_a_letter(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"a": 1}\n{"a": "é'.encode()[:-1])
    assert read_jsonl(path) == [{"a": 1}]
    path.write_bytes('{"a": "x\u2028y\u0085"}\n'.encode())
    assert read_jsonl(path) == [{"a": "x\u2028y\u0085"}]
    path.write_bytes(b'{"a": "caf\xe9"}\n{"a": 1}\n')
    with pytest.raises(InputError, match="a.jsonl"):
        read_jsonl(path)


def test_one_record_in_json_lines_is_a_list_of_one(folder):
    (folder / "aokvqa_v1p0_val.json").write_text(json.dumps(PERSON | dict(question_id="ok")) + "\n")
    assert names(load_examples("aokvqa", "validation", folder=folder)) == ["ok"]


# ------------------------------------------------------------------ captions


def captions(tmp_path, raw, name="captions.txt"):
    (tmp_path / "Images").mkdir()
    for image in ("1_a.jpg", "2_b.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / "Images" / image)
    (tmp_path / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return load_examples("flickr8k", folder=tmp_path)


ODD = "A \u2028dog\u0085 , \x0b\x0c here ."


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_captions_are_not_cut(tmp_path, end, encoding):
    text = (
        end.join(
            [
                "image,caption",
                f'1_a.jpg,"{ODD}"',
                '2_b.jpg,"He says ""hello"" ."',
                "1_a.jpg,One, two , three .",
                "",
                "2_b.jpg,",
                "2_b.jpg",
            ]
        )
        + end
    )
    rows = captions(tmp_path, text.encode(encoding))
    assert [r["caption"] for r in rows] == [ODD, 'He says "hello" .', "One, two , three ."]
    assert [len(n) for n in rows.left_out.values()] == [2] and "empty caption" in next(
        iter(rows.left_out)
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_token_file_lines_are_not_cut(tmp_path, end):
    lines = [
        f"1_a.jpg#0\t{ODD}",
        '2_b.jpg#1\tA tab\tand a " mark .',
        "no caption here",
        "2_b.jpg#2\t ",
    ]
    rows = captions(tmp_path, end.join(lines) + end, "Flickr8k.token.txt")
    assert [r["caption"] for r in rows] == [ODD, 'A tab\tand a " mark .']
    assert rows.read == 3


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_tables_with_other_separators(tmp_path, mark):
    rows = captions(
        tmp_path,
        f"image_name{mark} comment_number{mark} caption\n1_a.jpg{mark} 0{mark} A dog , here .\n",
    )
    assert [r["caption"] for r in rows] == ["A dog , here ."]


def test_a_table_without_our_columns(tmp_path):
    with pytest.raises(InputError, match="captions.txt is no table of captions"):
        captions(tmp_path, "file,text\n1_a.jpg,A dog .\n")


def test_a_bad_caption_costs_itself_alone():
    record = dict(
        image=Image.new("RGB", (8, 8)),
        caption_0="One .",
        caption_1=None,
        caption_2=HALF,
        caption_3=NAN,
        caption_4="Five .",
    )
    rows = _collect("flickr8k", "train", [record], None, True, True, False)
    assert [r["caption"] for r in rows] == ["One .", "Five ."] and sum(
        map(len, rows.left_out.values())
    ) == 3
