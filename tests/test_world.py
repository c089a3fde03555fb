"The drawn world: what the checker lets through, where the right choice stands, what names say."
import re
from collections import Counter

import pytest

from minivlm_cot.core import InputError
from minivlm_cot.scenes import (FAMILIES, SPLITS, Scene, check_chain, draw_scene, families_of,
                                make_example, run_program, scene_examples)


def sentences(chain): return [s.strip() + "." for s in re.split(r"\.(?:\s+|$)", chain) if s.strip()]


def verdicts(chain, row): return [s.verdict for s in check_chain(chain, row).steps]


@pytest.mark.parametrize("split", SPLITS)
def test_every_gold_chain_is_asked_from_end_to_end(split):
    for family in families_of(split):
        for i in range(60):
            row = make_example(i, split, family, image_size=4)
            check = check_chain(row["rationales"][0], row)
            assert {s.verdict for s in check.steps} == {"asked"} and check.right, row["question_id"]
            assert check.parsed and check.implied_answer == row["direct_answers"][0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_left_out_or_said_twice_is_no_right_reasoning(family):
    for i in range(30):
        row = make_example(i, "test", family, image_size=4)
        said = sentences(row["rationales"][0])
        for k in range(len(said)):
            assert not check_chain(" ".join(said[:k] + said[k + 1:]), row).right
            twice = check_chain(" ".join(said[:k + 1] + said[k:]), row)
            assert not twice.right and sum(s.ok for s in twice.steps) <= len(said)


def walks(n=40): return [make_example(i, "ood_hops", "walk_colour", image_size=4) for i in range(n)]


def test_an_ordinal_that_is_not_the_position_is_false():
    for row in walks():
        chain = row["rationales"][0]
        assert verdicts(chain.replace("Third", "Fifth", 1), row)[3] == "false"
        swapped = chain.replace("First", "X").replace("Second", "First").replace("X", "Second")
        assert verdicts(swapped, row)[1:3] == ["false", "false"]


def test_a_true_walk_by_other_moves_is_beside_the_question():
    seen = 0
    for row in walks():
        find, *moves, query = row["program"]
        moves = [[m, w, o] for (m, _, o), (_, w, _) in zip(moves, moves[1:] + moves[:1])]
        try: _, chain = run_program(Scene.from_dict(row["scene"]), [find, *moves, query])
        except AttributeError: continue                     # these moves lead over the edge
        marks, ways = verdicts(chain, row), [m[1] for m in row["program"][1:-1]]
        if ways == [m[1] for m in moves]: continue
        seen += 1
        first = next(i for i, (a, b) in enumerate(zip(ways, moves)) if a != b[1])
        assert "false" not in marks and marks[first + 1] == "beside" and marks[-1] == "beside"
        assert not check_chain(chain, row).right
    assert seen


def test_a_detour_is_beside_and_so_is_what_starts_from_it():
    row = make_example(0, "test", "count_like", image_size=4)
    said = sentences(row["rationales"][0])
    for word in ("red", "blue", "green", "ball"):
        _, other = run_program(Scene.from_dict(row["scene"]), [["count", word]])
        if other != said[-1]:
            assert verdicts(" ".join(said[:-1] + [other]), row)[-1] == "beside"


def test_terms_of_a_sum_may_come_in_any_order():
    row = make_example(5, "test", "add", image_size=4)
    a, b, total = sentences(row["rationales"][0])
    x, y, z = re.findall(r"\d+", total)
    assert check_chain(f"{b} {a} {y} + {x} = {z}.", row).right


def test_without_a_program_truth_is_all_that_is_marked():
    row = make_example(0, "test", "walk_colour", image_size=4)
    check = check_chain(row["rationales"][0], dict(scene=row["scene"]))
    assert {s.verdict for s in check.steps} == {"true"} and check.complete is None


def test_a_wrong_number_or_word_is_false_and_counts_as_an_attempt():
    row = make_example(3, "test", "add", image_size=4)
    said = sentences(row["rationales"][0])
    lie = re.sub(r"so \d+", "so 9", said[0])
    assert verdicts(" ".join([lie, *said[1:]]), row)[:2] == ["false", "asked"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_choice_stands_anywhere(family):
    rows = [make_example(i, "test", family, image_size=4) for i in range(400)]
    k, places = len(rows[0]["choices"]), Counter(r["correct_choice_idx"] for r in rows)
    assert all(abs(places[i] / 400 - 1 / k) < .1 for i in range(k)), places


def test_two_pictures_never_share_a_name():
    rows = (scene_examples(65, "test") + scene_examples(65, "test", families=["walk_colour", "add"])
            + scene_examples(65, "test", seed=1) + [make_example(0, "test", image_size=160)])
    pictures = {}
    for r in rows:
        assert r["question_id"] == r["image_id"]
        assert pictures.setdefault(r["image_id"], r["image"].tobytes()) == r["image"].tobytes()
    names = [r["image_id"] for r in scene_examples(8, "test", families=["add", "add"])]
    assert len(set(names)) == 8


def test_deep_families_are_those_whose_steps_wait_for_one_another():
    deep = {f.name for f in FAMILIES.values() if f.group == "deep"}
    assert deep == {"walk_colour", "walk_shape", "count_like", "most_like"}


@pytest.mark.parametrize("scene", [3, None, [], {}, {"things": 3}, {"things": [{}]}, {"things": [[1]]},
    {"things": [dict(shape="cube", colour=["red"], size="big", cell=1)]},
    {"things": [dict(shape="cube", colour="red", size="big", cell=99)]}])
def test_a_made_up_scene_is_one_sentence(scene):
    for use in (Scene.from_dict, draw_scene, lambda s: check_chain("It is red.", dict(scene=s))):
        with pytest.raises(InputError, match="no scene"): use(scene)
