"""Local copies as their publishers lay them out: the right file is found, or a sentence said."""

import json

import pytest
from PIL import Image

from minivlm_cot.core import InputError
from minivlm_cot.dataset import load_examples

SPLITS = ("train", "validation", "test")
SHORT = dict(train="train", validation="val", test="test")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def draw(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour).save(path)
    return path


def fails(*words, **how):
    with pytest.raises(InputError) as e:
        load_examples(**how)
    for word in words:
        assert word in str(e.value), (word, str(e.value))


# ------------------------------------------------------------------ COCO captions


def coco(root, years=("2014", "2017")):
    number = 0
    for year in years:
        for split in ("train", "val"):
            number += 1
            prefix = f"COCO_{split}2014_" if year == "2014" else ""
            draw(root / f"{split}{year}" / f"{prefix}{number:012d}.jpg")
            rows = [dict(image_id=number, id=number, caption=f"{split}{year}")]
            write(
                root / "annotations" / f"captions_{split}{year}.json",
                dict(images=[], annotations=rows),
            )
            for kind in ("instances", "person_keypoints"):
                boxes = [dict(image_id=number, id=1, bbox=[0, 0, 1, 1])]
                write(root / "annotations" / f"{kind}_{split}{year}.json", dict(annotations=boxes))
        write(root / "annotations" / f"image_info_test{year}.json", dict(images=[]))
    return root


@pytest.mark.parametrize("year", ["2014", "2017"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_coco_captions_of_one_year(tmp_path, split, year):
    (row,) = load_examples("coco_captions", split, folder=coco(tmp_path, [year]))
    assert row["caption"] == f"{SHORT[split]}{year}"
    assert row["image"].parent.name == f"{SHORT[split]}{year}"


def test_coco_captions_of_both_years_are_asked_about(tmp_path):
    root = coco(tmp_path)
    fails(
        "captions_train2014.json",
        "captions_train2017.json",
        "Give",
        source="coco_captions",
        split="train",
        folder=root,
    )
    path = root / "annotations" / "captions_val2017.json"
    (row,) = load_examples("coco_captions", "validation", folder=path)
    assert (row["caption"], row["image"].parent.name) == ("val2017", "val2017")
    fails(
        "test captions", "captions_val2014.json", source="coco_captions", split="test", folder=root
    )


def test_a_file_that_names_no_split_is_said_to_be_taken_whole(tmp_path, capsys):
    root = coco(tmp_path, ["2017"])
    annotations = root / "annotations"
    named = annotations / "captions_val2017.json"
    load_examples("coco_captions", "validation", folder=named)
    assert capsys.readouterr().out == ""
    load_examples("coco_captions", "train", folder=named)
    assert "captions_val2017.json does not name the split train" in capsys.readouterr().out
    own = write(tmp_path / "own" / "captions_1.json", named.read_text(encoding="utf-8"))
    for split in SPLITS:
        (row,) = load_examples("coco_captions", split, folder=own.parent, pictures=False)
        assert row["caption"] == "val2017"
        said = capsys.readouterr().out
        assert f"does not name the split {split}: all of it is taken" in said
        assert "split_by_picture" in said


def test_coco_captions_of_another_split_are_not_taken(tmp_path):
    write(
        tmp_path / "captions_train2014.json",
        dict(annotations=[dict(image_id=1, id=1, caption="a")]),
    )
    fails(
        "captions_train2014.json",
        source="coco_captions",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )


@pytest.mark.parametrize("flat", [False, True])
def test_the_pictures_of_the_split_come_first(tmp_path, flat):
    for split in ("train", "val"):
        write(
            tmp_path / "annotations" / f"captions_{split}2014.json",
            dict(annotations=[dict(image_id=1, id=1, caption=split)]),
        )
        draw(
            tmp_path / ("images" if flat else f"{split}2014") / f"COCO_{split}2014_000000000001.jpg"
        )
    for split in ("train", "validation"):
        (row,) = load_examples("coco_captions", split, folder=tmp_path)
        assert row["image"].name == f"COCO_{SHORT[split]}2014_000000000001.jpg"


# ------------------------------------------------------------------ Flickr8k


def flickr(root, token=True, kaggle=True, lists=True):
    names = {"train": "1_a.jpg", "dev": "2_b.jpg", "test": "3_c.jpg"}
    for name in names.values():
        draw(root / "Flickr8k_Dataset" / "Flicker8k_Dataset" / name)
    text = root / "Flickr8k_text"
    if token:
        lines = [f"{f}#{k}\tA {s} picture , {k} .\n" for s, f in names.items() for k in range(5)]
        write(text / "Flickr8k.token.txt", "".join(lines))
        write(text / "Flickr8k.lemma.token.txt", "".join(lines).replace("picture", "LEMMA"))
        for name in ("CrowdFlowerAnnotations", "ExpertAnnotations"):
            write(text / f"{name}.txt", f"1_a.jpg\t{names['dev']}#2\t1\t1\t1\n")
    if lists:
        for s, f in names.items():
            write(text / f"Flickr_8k.{s}Images.txt", f + "\n")
    if kaggle:
        write(
            root / "captions.txt",
            "image,caption\n" + "".join(f'{f},"A {s} picture , k ."\n' for s, f in names.items()),
        )
    return root


@pytest.mark.parametrize("kaggle", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_flickr8k_as_published(tmp_path, split, kaggle):
    rows = load_examples("flickr8k", split, folder=flickr(tmp_path, kaggle=kaggle))
    name = dict(validation="dev").get(split, split)
    assert [r["caption"] for r in rows] == [f"A {name} picture , {k} ." for k in range(5)]
    assert len({r["image"] for r in rows}) == 1


def test_flickr8k_from_kaggle_has_no_splits(tmp_path):
    root = flickr(tmp_path, token=False, lists=False)
    assert len(load_examples("flickr8k", "train", folder=root)) == 3
    for split in ("validation", "test"):
        fails("says nothing of splits", "Images.txt", source="flickr8k", split=split, folder=root)


def test_flickr8k_from_kaggle_with_the_publishers_lists(tmp_path):
    root = flickr(tmp_path, token=False)
    assert [r["caption"] for r in load_examples("flickr8k", "test", folder=root)] == [
        "A test picture , k ."
    ]
    (root / "Flickr8k_text" / "Flickr_8k.trainImages.txt").unlink()
    fails("Flickr_8k.trainImages.txt", source="flickr8k", split="train", folder=root)


def test_flickr8k_the_file_that_is_given_is_read(tmp_path):
    root = flickr(tmp_path)
    path = root / "captions.txt"
    assert [r["caption"] for r in load_examples("flickr8k", "validation", folder=path)] == [
        "A dev picture , k ."
    ]


# ------------------------------------------------------------------ VQAv2 beside OK-VQA


def vqa(root, years=("train2014", "val2014", "test2015")):
    number = 0
    for mark, source in (("v2_", "vqav2"), ("", "okvqa")):
        for year in years:
            if (source, year) == ("okvqa", "test2015"):
                continue
            number += 1
            draw(root / year / f"COCO_{year}_{number:012d}.jpg")
            question = dict(
                question_id=number, image_id=number, question=f"What is {source} {year}?"
            )
            write(
                root / f"{mark}OpenEnded_mscoco_{year}_questions.json",
                dict(info={}, questions=[question]),
            )
            answer = dict(
                question_id=number,
                image_id=number,
                answers=[dict(answer=source, answer_id=k) for k in range(10)],
            )
            if not year.startswith("test"):
                write(root / f"{mark}mscoco_{year}_annotations.json", dict(annotations=[answer]))
    number += 1
    draw(root / "test2015" / f"COCO_test2015_{number:012d}.jpg")
    question = dict(
        question_id=number, image_id=number, question="What is the part of test for the server?"
    )
    write(root / "v2_OpenEnded_mscoco_test-dev2015_questions.json", dict(questions=[question]))
    write(root / "v2_mscoco_train2014_complementary_pairs.json", [[1, 2]])
    return root


@pytest.mark.parametrize("source", ["vqav2", "okvqa"])
@pytest.mark.parametrize("split", SPLITS)
def test_vqa_and_okvqa_side_by_side(tmp_path, source, split):
    root = vqa(tmp_path)
    if (source, split) == ("okvqa", "test"):
        return fails("okvqa's questions of test", source=source, split=split, folder=root)
    year = "test2015" if split == "test" else f"{SHORT[split]}2014"
    (row,) = load_examples(source, split, folder=root, answers=split != "test")
    assert row["question"] == f"What is {source} {year}?"
    assert row["direct_answers"] == ([] if split == "test" else [source] * 10)
    assert row["image"].parent.name == year


@pytest.mark.parametrize("source, other", [("vqav2", "okvqa"), ("okvqa", "vqav2")])
def test_the_other_sources_files_are_not_taken(tmp_path, source, other):
    root = vqa(tmp_path)
    for path in root.glob("*.json"):
        if path.name.startswith("v2_") == (source == "vqav2"):
            path.unlink()
    assert load_examples(other, "train", folder=root)
    fails(
        f"{source}'s questions of train",
        "OpenEnded_mscoco_train2014_questions.json",
        source=source,
        split="train",
        folder=root,
    )


def test_vqa_in_the_folders_of_its_archives(tmp_path):
    root = vqa(tmp_path)
    for path in list(root.glob("*.json")):
        (root / path.stem).mkdir()
        path.rename(root / path.stem / path.name)
    (row,) = load_examples("okvqa", "validation", folder=root)
    assert (row["question"], row["direct_answers"][0]) == ("What is okvqa val2014?", "okvqa")


def test_vqa_one_file_finds_its_own_answers(tmp_path):
    root = vqa(tmp_path)
    (row,) = load_examples(
        "okvqa", "validation", folder=root / "OpenEnded_mscoco_val2014_questions.json"
    )
    assert row["direct_answers"] == ["okvqa"] * 10


def test_vqa_annotations_of_another_picture_are_left_out(tmp_path):
    write(
        tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json",
        dict(questions=[dict(question_id=k, image_id=k, question="What?") for k in (1, 2)]),
    )
    write(
        tmp_path / "v2_mscoco_val2014_annotations.json",
        dict(annotations=[dict(question_id=k, image_id=1, answers=["a"]) for k in (1, 2)]),
    )
    rows = load_examples("vqav2", "validation", folder=tmp_path, pictures=False)
    assert [r["question_id"] for r in rows] == [1]
    assert rows.left_out == {"its annotation is about another picture": ["2"]}


# ---------------------------------------- VQA's first version has OK-VQA's names

ABOUT = dict(
    okvqa="This is v1.0 of the OK-VQA dataset.",
    first="This is v1.0 of the VQA dataset.",
    vqav2="This is v2.0 of the VQA dataset.",
)
FIRST_NUMBER = dict(okvqa=2971475, first=2971470, vqav2=297147000)


def family(root, which, says=True, typed=False, mark="", **more):
    "Questions and annotations of one data set of VQA's form; two data sets share these names"
    standard = dict(asked=2, year="val2014", kinds=("questions", "annotations"))
    asked, year, kinds = (standard | more).values()
    head = (
        dict(
            info=dict(description=ABOUT[which], version="1.0"),
            data_type="mscoco",
            data_subtype=year,
        )
        if says
        else {}
    )
    ids = [(FIRST_NUMBER[which] + k, 297147) for k in range(asked)]
    person = dict(answer=which, answer_confidence="yes") | (dict(raw_answer=which) if typed else {})
    questions = [dict(question_id=q, image_id=i, question=f"What is {which}?") for q, i in ids]
    answers = [dict(question_id=q, image_id=i, answers=[person] * 10) for q, i in ids]
    held = dict(questions=questions, annotations=answers)
    for kind, name in (("questions", "OpenEnded_mscoco"), ("annotations", "mscoco")):
        if kind in kinds:
            write(root / f"{mark}{name}_{year}_{kind}.json", head | {kind: held[kind]})
    return root


def answers_of(source, folder):
    rows = load_examples(source, "validation", folder=folder, pictures=False)
    return {a for r in rows for a in r["direct_answers"]} | {r["question"] for r in rows}


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("source", ["okvqa", "vqav2"])
def test_the_first_version_is_not_read_as_another(tmp_path, says, source):
    family(tmp_path, "first", says)
    fails(
        f"{source}'s questions of validation",
        "OpenEnded_mscoco_val2014_questions.json",
        source=source,
        split="validation",
        folder=tmp_path,
        pictures=False,
    )
    fails(
        "val2014_questions.json is not",
        "VQA's first version",
        source=source,
        split="validation",
        folder=tmp_path / "OpenEnded_mscoco_val2014_questions.json",
        pictures=False,
    )


@pytest.mark.parametrize("says", [True, False])
def test_all_three_in_one_folder(tmp_path, says):
    family(tmp_path / "a", "first", says), family(tmp_path / "b", "okvqa", says, typed=True)
    family(tmp_path / "c", "vqav2", says, mark="v2_")
    assert answers_of("okvqa", tmp_path) == {"okvqa", "What is okvqa?"}
    assert answers_of("vqav2", tmp_path) == {"vqav2", "What is vqav2?"}


def test_names_that_lie(tmp_path):
    family(tmp_path / "v2 without its mark", "vqav2"), family(tmp_path / "ok", "okvqa")
    assert answers_of("okvqa", tmp_path) == {"okvqa", "What is okvqa?"}
    family(tmp_path / "x", "okvqa", mark="v2_")
    fails(
        "is not vqav2's: by what it holds it is of okvqa",
        source="vqav2",
        split="validation",
        folder=tmp_path / "x",
        pictures=False,
    )


def test_two_files_that_do_not_tell_are_both_named(tmp_path):
    for folder in ("a", "b"):
        family(tmp_path / folder, "first", says=False, asked=1)
    fails(
        "a/OpenEnded_mscoco_val2014_questions.json",
        "b/OpenEnded_mscoco_val2014_questions.json",
        "Give the one",
        source="okvqa",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )
    family(tmp_path / "c", "okvqa")
    assert answers_of("okvqa", tmp_path) == {"okvqa", "What is okvqa?"}


def test_answers_of_another_data_set_are_not_joined(tmp_path):
    family(tmp_path, "okvqa", kinds=["questions"]), family(tmp_path, "first", kinds=["annotations"])
    fails(
        "annotations.json is not okvqa's",
        source="okvqa",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )
    family(tmp_path, "first", says=False, asked=1, kinds=["annotations"])
    fails(
        "answers none of the questions",
        source="okvqa",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )
    write(tmp_path / "mscoco_val2014_annotations.json", "torn")
    fails(
        "annotations.json is not valid JSON",
        source="okvqa",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )


def test_annotations_elsewhere_are_told_apart(tmp_path):
    family(tmp_path / "questions", "okvqa", kinds=["questions"])
    for which, folder in (("first", "a"), ("okvqa", "b")):
        family(tmp_path / folder, which, kinds=["annotations"])
    assert answers_of("okvqa", tmp_path) == {"okvqa", "What is okvqa?"}


@pytest.mark.parametrize(
    "name",
    [
        "MultipleChoice_mscoco_val2014_questions.json",
        "OpenEnded_abstract_v002_val2015_questions.json",
    ],
)
def test_other_files_of_the_first_version(tmp_path, name):
    write(
        tmp_path / name,
        dict(info={}, questions=[dict(question_id=1, image_id=1, question="What?")]),
    )
    for source in ("okvqa", "vqav2"):
        fails(
            "There is no file below",
            source=source,
            split="validation",
            folder=tmp_path,
            pictures=False,
            answers=False,
        )


def test_small_and_odd_numbers_tell_nothing(tmp_path):
    from minivlm_cot.dataset.vqa import _whose

    def told(*pairs):
        return _whose([dict(question_id=q, image_id=i) for q, i in pairs])

    assert told((2971475, 297147)) == told(("2971475", "297147")) == "okvqa"
    assert told((297147003, 297147)) == "vqav2" and told((2971470, 297147)) is None
    assert told((10, 1), (11, 1)) is told() is told((None, 1)) is told((10.5, float("nan"))) is None
    for data in (
        None,
        7,
        "text",
        [],
        {},
        [None],
        dict(info=7),
        dict(questions=7),
        dict(info=dict(description=None), questions=[7]),
    ):
        assert _whose(data) is None


def test_nlvr2_is_not_nlvr(tmp_path):
    row = dict(
        identifier="dev-850-0-0",
        sentence="Two dogs.",
        label="True",
        left_url="http://a",
        right_url="http://b",
        synset="dog",
    )
    write(tmp_path / "dev.json", json.dumps(row) + "\n")
    fails("NLVR2", source="nlvr", split="validation", folder=tmp_path, pictures=False)


@pytest.mark.parametrize(
    "name",
    [
        "captions_val2014_fakecap_results.json",
        "nocaps_val_4500_captions.json",
        "captions_results.json",
    ],
)
def test_captions_that_are_not_coco_s(tmp_path, name):
    rows = [dict(id=1, image_id=1, caption="A dog.")]
    write(tmp_path / name, rows if "results" in name else dict(annotations=rows))
    fails(
        name,
        "There is no file",
        source="coco_captions",
        split="validation",
        folder=tmp_path,
        pictures=False,
    )


@pytest.mark.parametrize("name", ["CLEVR_trainA_questions.json", "CLEVR_valB_questions.json"])
def test_splits_of_clevr_s_second_form_are_no_split_of_the_first(tmp_path, name):
    write(
        tmp_path / name,
        dict(questions=[dict(question="Is it?", image_filename="a.png", question_index=0)]),
    )
    for split in SPLITS:
        fails(
            name,
            "There is no file",
            source="clevr",
            split=split,
            folder=tmp_path,
            pictures=False,
            answers=False,
        )


# ------------------------------------------------------------------ A-OKVQA


def aokvqa(root):
    for number, split in enumerate(("train", "val", "test"), 1):
        draw(root / "coco" / f"{split}2017" / f"{number:012d}.jpg")
        row = dict(
            split=split,
            image_id=number,
            question_id=f"q{number}",
            question=f"Is this {split}?",
            choices=["yes", "no"],
        )
        if split != "test":
            row |= dict(
                correct_choice_idx=0,
                direct_answers=["yes"] * 10,
                difficult_direct_answer=False,
                rationales=["So."] * 3,
            )
        write(root / f"aokvqa_v1p0_{split}.json", [row])
        write(root / f"large_vocab_{split}.csv", "a\n")
    return root


@pytest.mark.parametrize("split", SPLITS)
def test_aokvqa(tmp_path, split):
    (row,) = load_examples("aokvqa", split, folder=aokvqa(tmp_path), answers=split != "test")
    assert row["question"] == f"Is this {SHORT[split]}?"
    assert row["image"].parent.name == f"{SHORT[split]}2017"


def test_aokvqa_twice_is_asked_about(tmp_path):
    aokvqa(tmp_path / "one"), aokvqa(tmp_path / "two")
    fails(
        "one/aokvqa_v1p0_val.json",
        "two/aokvqa_v1p0_val.json",
        source="aokvqa",
        split="validation",
        folder=tmp_path,
    )
    fails("A-OKVQA's dream questions", source="aokvqa", split="dream", folder=tmp_path)


def test_a_folder_with_a_files_name_is_no_file(tmp_path):
    aokvqa(tmp_path)
    (tmp_path / "a" / "aokvqa_v1p0_val.json").mkdir(parents=True)
    assert len(load_examples("aokvqa", "validation", folder=tmp_path)) == 1


# ------------------------------------------------------------------ ScienceQA


@pytest.mark.parametrize("inside", ["", "data/scienceqa"])
@pytest.mark.parametrize("split", (*SPLITS, "minival"))
def test_scienceqa(tmp_path, split, inside):
    data, short = tmp_path / inside, SHORT.get(split, split)
    ids = dict(
        train=["1", "2"], val=["3"], test=["4"], minitrain=["1"], minival=["3"], minitest=["4"]
    )
    problems = {
        i: dict(
            question=f"Which {s} {i}?",
            choices=["a", "b"],
            answer=0,
            hint="",
            lecture="L.",
            solution="S.",
            image="image.png",
            split=s,
        )
        for s in ("train", "val", "test")
        for i in ids[s]
    }
    for i, p in problems.items():
        draw(data / "images" / p["split"] / i / "image.png")
    (
        write(data / "problems.json", problems),
        write(data / "pid_splits.json", ids),
        write(data / "captions.json", dict(captions={})),
    )
    if split == "minival":
        (data / "images" / "val").rename(data / "images" / "minival")
    rows = load_examples("scienceqa", split, folder=tmp_path)
    assert [r["question_id"] for r in rows] == ids[short]
    assert all(r["image"].parent.parent.name == short for r in rows)
    fails("pid_splits.json", "minitest", source="scienceqa", split="dream", folder=tmp_path)
    if split in SPLITS:
        assert [
            r["question_id"]
            for r in load_examples("scienceqa", split, folder=data / "problems.json")
        ] == ids[short]


# ------------------------------------------------------------------ CLEVR


def clevr(root):
    thing = dict(color="red", shape="cube", size="large", material="rubber")
    program = [
        dict(function="scene", inputs=[], value_inputs=[]),
        dict(function="count", inputs=[0], value_inputs=[]),
    ]
    for count, split in enumerate(("train", "val", "test"), 1):
        file = f"CLEVR_{split}_000000.png"
        draw(root / "images" / split / file)
        row = dict(
            split=split,
            image_filename=file,
            image_index=0,
            question_index=0,
            question=f"How many things are there, {split}?",
        )
        if split != "test":
            row |= dict(answer=str(count), program=program)
            scene = dict(image_filename=file, objects=[thing] * count, relationships={})
            write(root / "scenes" / f"CLEVR_{split}_scenes.json", dict(scenes=[scene]))
        write(root / "questions" / f"CLEVR_{split}_questions.json", dict(info={}, questions=[row]))
    write(root / "README.txt", "questions")
    return root


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("one_file", [False, True])
def test_clevr(tmp_path, split, one_file):
    root = clevr(tmp_path / "CLEVR_v1.0")
    folder = root / "questions" / f"CLEVR_{SHORT[split]}_questions.json" if one_file else tmp_path
    (row,) = load_examples("clevr", split, folder=folder, answers=split != "test")
    assert row["question"] == f"How many things are there, {SHORT[split]}?"
    assert row["direct_answers"] == dict(train=["1"], validation=["2"], test=[])[split]
    assert row["image"].parent.name == SHORT[split]


def test_clevr_the_test_answers_are_not_published(tmp_path):
    fails("its answer is not published", source="clevr", split="test", folder=clevr(tmp_path))


# ------------------------------------------------------------------ NLVR


def nlvr(root, test="test"):
    for n, split in enumerate(("train", "dev", test)):
        row = dict(
            identifier=f"{n}-0", directory=str(n), sentence=f"There is a {split} box.", label="true"
        )
        write(root / split / f"{split}.json", json.dumps(row) + "\n")
        for k in range(6):
            draw(root / split / "images" / str(n) / f"{split}-{n}-0-{k}.png")
    write(
        root.parent / "nlvr2" / "data" / "dev.json",
        json.dumps(dict(identifier="dev-1-0-0", sentence="No.", label="True")) + "\n",
    )
    return root


@pytest.mark.parametrize("test", ["test", "test1"])
@pytest.mark.parametrize("split", SPLITS)
def test_nlvr(tmp_path, split, test):
    root, name = (
        nlvr(tmp_path / "nlvr", test),
        dict(train="train", validation="dev", test=test)[split],
    )
    for folder in (root, tmp_path, root / name, root / name / f"{name}.json"):
        (row,) = load_examples("nlvr", split, folder=folder)
        assert row["question"] == f"True or false: There is a {name} box."
        assert [p.name for p in row["permutations"]] == [
            f"{name}-{row['question_id']}-{k}.png" for k in range(6)
        ]
        assert all(p.is_file() for p in row["permutations"])


# ------------------------------------------------------------------ ViQuAE


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("pictures", ["images", "Commons"])
def test_viquae(tmp_path, split, pictures):
    for name in SPLITS:
        draw(tmp_path / pictures / f"512px-{name}.jpg")
        row = dict(
            id=name,
            image=f"512px-{name}.jpg",
            input=f"Who is in {name}?",
            output=dict(original_answer="Ada", answer=["Ada"]),
        )
        write(tmp_path / "viquae_dataset" / f"{name}.jsonl", json.dumps(row) + "\n")
        write(tmp_path / "viquae_dataset" / f"kilt_{name}.jsonl", "{}\n")
    (row,) = load_examples("viquae", split, folder=tmp_path)
    assert (row["question"], row["image"].name) == (f"Who is in {split}?", f"512px-{split}.jpg")


# ------------------------------------------------------------------ DAQUAR


def daquar(root, form="lists", suffix=".png"):
    parts = dict(train=(1, 2, 3, 5, 6, 17, 18, 20), test=(4, 7, 19))
    for n in parts["train"] + parts["test"]:
        draw(root / "nyu_depth_images" / f"image{n}{suffix}")
    texts = {
        part: "".join(
            f"what is big in the image{n} ?\ntissue_box, cup\nhow many in the image{n} ?\n{n}\n"
            for n in numbers
        )
        for part, numbers in parts.items()
    }
    for part, numbers in parts.items():
        if form == "own":
            write(root / f"qa.894.raw.{part}.txt", texts[part])
        write(root / f"{part}.txt", "".join(f"image{n}\n" for n in numbers))
    if form == "lists":
        write(root / "qa.894.raw.txt", texts["train"] + texts["test"])
    return root


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("form", ["own", "lists"])
@pytest.mark.parametrize("split", ["train", "fit", "validation", "test"])
def test_daquar(tmp_path, split, form, suffix):
    rows = load_examples("daquar", split, folder=daquar(tmp_path, form, suffix))
    ours = dict(train=[1, 2, 3, 5, 6, 17, 18, 20], fit=[1, 2, 3, 5, 6, 20])
    ours |= dict(validation=[17, 18], test=[4, 7, 19])  # 17 and 18 are one room
    assert [r["image"].name for r in rows[::2]] == [f"image{n}{suffix}" for n in ours[split]]
    assert [r["question_id"] for r in rows[:2]] == [f"image{ours[split][0]}/{k}" for k in (0, 1)]
    assert (rows[0]["question"], rows[0]["direct_answers"]) == (
        "what is big?",
        ["cup, tissue box"],
    )


def test_daquar_an_answer_is_lost(tmp_path):
    text = daquar(tmp_path) / "qa.894.raw.txt"
    lines = text.read_text().splitlines()
    write(text, "\n".join(lines[:-1]))
    fails("43 lines", "a line is missing", source="daquar", split="train", folder=tmp_path)
    write(text, "\n".join(lines[:5] + lines[6:] + ["2"]))
    fails("line 6, names a picture", source="daquar", split="train", folder=tmp_path)


def test_daquar_a_question_without_a_picture_is_left_out(tmp_path):
    text = daquar(tmp_path) / "qa.894.raw.txt"
    write(text, "what is big ?\ncup\n" + text.read_text())
    rows = load_examples("daquar", "train", folder=tmp_path)
    assert rows.left_out == {"its question names no picture": ["line 1"]}
    assert len(rows) == 16


def test_daquar_the_list_is_needed(tmp_path):
    (daquar(tmp_path) / "test.txt").unlink()
    fails("list of test pictures", source="daquar", split="test", folder=tmp_path)


# ------------------------------------------------------------------ all


@pytest.mark.parametrize(
    "source",
    [
        "aokvqa",
        "vqav2",
        "okvqa",
        "scienceqa",
        "clevr",
        "nlvr",
        "viquae",
        "daquar",
        "flickr8k",
        "coco_captions",
    ],
)
def test_nothing_fits(tmp_path, source):
    fails("no data file at all", source=source, split="train", folder=tmp_path)
    write(tmp_path / "notes" / "letter.txt", "hello")
    fails("notes/letter.txt", source=source, split="train", folder=tmp_path)
