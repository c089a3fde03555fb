"""Chains for photographs without rationales: nothing of a row's own answer may reach its chain."""

import random
from pathlib import Path

import pytest

from minivlm_cot.core import InputError
from minivlm_cot.dataset import format_pair, load_examples, parse_answer, real_data, teaches
from minivlm_cot.real import check_scene_chains, confirmed_things, holds_answer, made_up_rooms
from minivlm_cot.real import named_things, scene_facts, scene_rationale
from minivlm_cot.real import with_scene_rationales, with_template_rationales
from minivlm_cot.real.things import _plural, _singular


def daquar(split):
    if real_data() is None or not (real_data() / "daquar").exists():
        pytest.skip("MINIVLM_DATA is not set, or there is no DAQUAR in it")
    return load_examples("daquar", split, folder=real_data() / "daquar", pictures=False)


def row(number, question, answer, picture="room"):
    fixed = dict(image=None, choices=[], correct_choice_idx=None, rationales=[])
    names = dict(question_id=str(number), image_id=picture)
    return fixed | names | dict(question=question, direct_answers=[answer])


def pictures_of(rows):
    groups = {}
    for r in rows:
        groups.setdefault(r["image_id"], []).append(r)
    return groups


def nonsense_for(r):
    "The same row with an answer, and words of its question, that no other row has"
    return r | dict(
        direct_answers=["zebra"], question=f"what is near the okapi {r['question_id']}?"
    )


@pytest.mark.parametrize("source", ["made up", "daquar"])
def test_a_chain_does_not_depend_on_its_own_row(source):
    "Whatever a row asks and answers, its chain stays the same, and a word of its own never shows"
    rows = made_up_rooms() if source == "made up" else daquar("train")
    groups = pictures_of(rows)
    for r in random.Random(0).sample(rows, min(300, len(rows))):
        others = [o for o in groups[r["image_id"]] if o is not r]
        words = {o["question_id"] for o in others if o["question"] == r["question"]}
        changed = nonsense_for(r)
        said = scene_rationale(changed, [*others, changed])
        assert said is None or "zebra" not in said and "okapi" not in said
        if not words:  # else those with the same words are left out for the one and not the other
            assert said == scene_rationale(r, [*others, r])


def test_the_same_words_are_the_same_question():
    own = row(1, "How many dogs are there in the image3 ?", "2")
    for words in (
        "how many dogs are there?",
        "how many  DOGS are there",
        "how many_dogs are there ?",
    ):
        assert scene_rationale(own, [own, row(2, words, "2")]) is None
    assert scene_rationale(own, [own, row(2, "how many dogs are lying there?", "2")]) == (
        "I see: two dogs."
    )


def test_held_out_pictures_give_no_rationales():
    rows = made_up_rooms()
    with pytest.raises(InputError, match="held out, such as bathroom"):
        with_scene_rationales(rows, held_out=[rows[-1] | dict(question_id="other")])
    made = with_scene_rationales(rows[:-6], held_out=rows[-6:])
    assert all(r["rationale_from"] == "scene" and r["synthetic"] for r in made)
    assert not any(r["rationales"] for r in made_up_rooms())  # the rows given are not changed


def test_a_row_alone_teaches_its_direct_answer_only():
    (alone,) = with_scene_rationales([row(1, "what is on the table?", "lamp")])
    assert not teaches(alone, "cot") and teaches(alone, "direct")


@pytest.mark.parametrize("make", [with_template_rationales, with_scene_rationales])
def test_the_answer_comes_back(make):
    for r in make(made_up_rooms()):
        assert parse_answer(format_pair(r, "cot")[1], "cot") == r["direct_answers"][0]


def test_order_of_rows_changes_nothing():
    rows = made_up_rooms()[:7]
    shuffled = random.Random(1).sample(rows, 7)
    assert scene_facts(rows) == scene_facts(shuffled)
    ranks = [(-t.mentions, t.name) for t in scene_facts(rows)]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("how many chairs near the door?", "2"), ("how many chairs?", "5")], "five chairs"),
        ([("what is near the white door?", "cup"), ("what is near the brown door?", "")], "a door"),
        ([("what is near the red chair?", ""), ("how many chairs are there?", "5")], "five chairs"),
        ([("how many shelves are there?", "15")], "15 shelves"),
        ([("is there an oven near the sink?", "no")], ""),
        ([("how many ovens are near the sink?", "0")], "a sink"),
        ([("what colour is the oven?", "white")], "a white oven"),
        ([("what is the largest object on the floor?", "orange")], ""),
    ],
)
def test_what_rows_say(rows, said):
    facts = scene_facts([row(n, q, a or "7") for n, (q, a) in enumerate(rows)])
    assert said in [str(t) for t in facts] or not said and not facts


@pytest.mark.parametrize(
    "noun", "box glass knife brush dish sofa clothes battery shelf toy".split()
)
def test_plurals_come_back(noun):
    assert _singular(_plural(noun)) == noun == _singular(noun)


def test_a_number_counts_only_for_its_thing():
    asked = row(1, "how many chairs are there?", "2")
    assert holds_answer("I see: a lamp, two chairs.", asked)
    for chain in ("I see: two lamps, a chair.", "I see: three chairs.", "Two chairs.", "", None):
        assert not holds_answer(chain, asked)


def test_the_own_question_confirms_nothing():
    own, other = row(1, "what is near the dog?", "cat"), row(2, "what is on the table?", "cup")
    chain = "I see: a dog, a cat, two cups, a coffee table."
    found = confirmed_things(chain, [own, other], own)
    assert found == {"cat": False, "cup": True, "coffee table": False}
    assert confirmed_things(
        "I see: a table.", [own, row(3, "what is on the tea table?", "x")], own
    )["table"]


def test_chance_is_another_picture():
    rows = [
        r | dict(image_id=f"{r['image_id']}{k}", question_id=f"{k}-{r['question_id']}")
        for k in range(8)
        for r in made_up_rooms()
    ]
    rooms = pictures_of(rows)
    chains = [scene_rationale(r, rooms[r["image_id"]]) for r in rows]
    found = check_scene_chains(chains, rows)
    assert found["confirmed"] == 1 > found["chance"] and found["difference_ci"][0] > 0
    same = check_scene_chains(["I see: a dragon."] * len(rows), rows)
    assert same["confirmed"] == same["chance"] == 0
    with pytest.raises(InputError, match="I see"):
        check_scene_chains(["A lamp."] * len(rows), rows)


def test_real_chains_can_be_read_back():
    rows = daquar("train")
    for about in pictures_of(rows).values():
        facts = scene_facts(about)
        back = named_things(f"I see: {', '.join(map(str, facts))}.")
        assert [(t.name, t.many, t.count, t.colours) for t in back] == [
            (t.name, t.many, t.count, t.colours) for t in facts
        ]
    assert sum(bool(r["rationales"]) for r in with_scene_rationales(rows, daquar("test"))) > 6700


def test_the_smoke_run_parts_rows_by_photograph(monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "tools"))
    import rationales

    rows = [dict(image_id=n // 3, question_id=n) for n in range(60)]
    train, asked = rationales.divided(random.Random(0).sample(rows, 60))
    assert len(train) >= 40 and len(train) + len(asked) == 60
    assert not {r["image_id"] for r in train} & {r["image_id"] for r in asked}
    monkeypatch.delenv("MINIVLM_DATA", raising=False)
    rationales.main(tmp_path / "out", keeps=False)
    assert "skipped: MINIVLM_DATA is not set" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
