"The drawn world: what the checker lets through, where the right choice stands, what names say."

import random
import re
from collections import Counter

import pytest

from minivlm_cot.core import InputError
from minivlm_cot.scenes import (
    CELLS,
    FAMILIES,
    SHAPES,
    SPLITS,
    Scene,
    check_chain,
    draw_scene,
    families_of,
    grounding_tasks,
    make_example,
    run_program,
    scene_examples,
)


def sentences(chain):
    return [s.strip() + "." for s in re.split(r"\.(?:\s+|$)", chain) if s.strip()]


def verdicts(chain, row):
    return [s.verdict for s in check_chain(chain, row).steps]


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
            assert not check_chain(" ".join(said[:k] + said[k + 1 :]), row).right
            twice = check_chain(" ".join(said[: k + 1] + said[k:]), row)
            assert not twice.right and sum(s.ok for s in twice.steps) <= len(said)


def walks(n=40):
    return [make_example(i, "ood_hops", "walk_colour", image_size=4) for i in range(n)]


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
        try:
            _, chain = run_program(Scene.from_dict(row["scene"]), [find, *moves, query])
        except AttributeError:
            continue  # these moves lead over the edge
        marks, ways = verdicts(chain, row), [m[1] for m in row["program"][1:-1]]
        if ways == [m[1] for m in moves]:
            continue
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
    assert all(abs(places[i] / 400 - 1 / k) < 0.1 for i in range(k)), places


def test_two_pictures_never_share_a_name():
    rows = (
        scene_examples(65, "test")
        + scene_examples(65, "test", families=["walk_colour", "add"])
        + scene_examples(65, "test", seed=1)
        + [make_example(0, "test", image_size=160)]
    )
    pictures = {}
    for r in rows:
        assert r["question_id"] == r["image_id"]
        assert pictures.setdefault(r["image_id"], r["image"].tobytes()) == r["image"].tobytes()
    names = [r["image_id"] for r in scene_examples(8, "test", families=["add", "add"])]
    assert len(set(names)) == 8


def test_deep_families_are_those_whose_steps_wait_for_one_another():
    deep = {f.name for f in FAMILIES.values() if f.group == "deep"}
    assert deep == {"walk_colour", "walk_shape", "count_like", "most_like"}


@pytest.mark.parametrize(
    "scene",
    [
        3,
        None,
        [],
        {},
        {"things": 3},
        {"things": [{}]},
        {"things": [[1]]},
        {"things": [dict(shape="cube", colour=["red"], size="big", cell=1)]},
        {"things": [dict(shape="cube", colour="red", size="big", cell=99)]},
    ],
)
def test_a_made_up_scene_is_one_sentence(scene):
    for use in (Scene.from_dict, draw_scene, lambda s: check_chain("It is red.", dict(scene=s))):
        with pytest.raises(InputError, match="no scene"):
            use(scene)


def row_of(*asked):
    "A scene where two of everything stand apart, and a program"
    things = [
        dict(shape=s, colour=c, size=z, cell=i)
        for i, (s, c, z) in enumerate(
            [
                ("ball", "red", "big"),
                ("cube", "red", "small"),
                ("cone", "blue", "big"),
                ("ball", "red", "small"),
                ("star", "green", "big"),
                ("cube", "blue", "big"),
            ]
        )
    ]
    return dict(scene=dict(things=things), program=[list(step) for step in asked])


RED, BLUE = "red: 1 red a1, 2 red b1, 3 red d1, so 3.", "blue: 1 blue c1, 2 blue b2, so 2."
GREEN = "green: 1 green a2, so 1."
PAIR = [("count", "red"), ("count", "blue")]


@pytest.mark.parametrize(
    "chain",
    [
        f"{RED} {BLUE} 3 + 2 = 5.",
        f"{RED} {BLUE} 2 + 3 = 5.",
        f"{BLUE} {RED} 2 + 3 = 5.",
        f"{BLUE} {RED} 3 + 2 = 5.",
    ],
)
def test_a_sum_is_the_same_in_any_order(chain):
    assert check_chain(chain, row_of(*PAIR, ("add",))).right


def test_three_terms_may_come_in_any_order_but_each_once():
    row = row_of(*PAIR, ("add",), ("count", "green"), ("add",))
    assert check_chain(f"{GREEN} {RED} 3 + 1 = 4. {BLUE} 4 + 2 = 6.", row).right
    marks = verdicts(f"{GREEN} {RED} 3 + 1 = 4. {RED} 4 + 3 = 7.", row)
    assert marks == ["asked", "asked", "asked", "beside", "beside"]


def test_a_comparison_keeps_its_sides_and_sums_keep_their_terms():
    row = row_of(*PAIR, ("more",))
    assert check_chain(f"{BLUE} {RED} 3 > 2.", row).right
    for chain in (f"{RED} {BLUE} 2 < 3.", f"{BLUE} {RED} 2 < 3."):
        assert verdicts(chain, row) == ["asked", "asked", "beside"]
    none = [f"{c}: none, so 0." for c in ("yellow", "purple")]
    sums = row_of(*PAIR, ("add",), ("count", "yellow"), ("count", "purple"), ("add",), ("more",))
    gold = f"{RED} {BLUE} 3 + 2 = 5. {none[1]} {none[0]} 0 + 0 = 0. 5 > 0."
    assert check_chain(gold, sums).right
    assert verdicts(f"{RED} {none[0]} 3 + 0 = 3.", sums) == ["asked", "beside", "beside"]


def test_the_most_is_sought_in_any_order_but_without_a_gap():
    row = row_of(("most", "colour"))
    assert check_chain(f"{GREEN} {BLUE} {RED} Most: red.", row).right
    assert verdicts(f"{GREEN} {RED} Most: red.", row) == ["asked", "asked", "beside"]
    tie = row_of(("most", "shape"))
    assert verdicts("Most: ball.", tie) == ["false"]


def test_a_wrong_sum_is_one_wrong_step():
    row = row_of(*PAIR, ("add",), ("count", "green"), ("add",))
    chain = f"{RED} {BLUE} 3 + 3 = 6. {GREEN} 6 + 1 = 7."
    assert verdicts(chain, row) == ["asked", "asked", "false", "asked", "asked"]


def test_a_number_is_written_in_one_way_and_never_endless():
    row = row_of(*PAIR, ("add",))
    for total in ("05", "٥", "５", "1" * 6000):
        check = check_chain(f"{RED} {BLUE} 3 + 2 = {total}.", row)
        assert check.steps[-1].verdict == "false" and check.implied_answer is None
    assert verdicts("red: 1 red a1, so " + "1" * 6000 + ".", row) == ["false"]


def test_an_ordinal_is_the_position_in_the_question_too():
    row = row_of(
        ("find", "cone"), ("move", "left", "first"), ("move", "left", "second"), ("query", "size")
    )
    gold = "Look: cone c1. First left: b1 red cube. Second left: a1 red ball. It is big."
    assert check_chain(gold, row).right
    again = gold.replace(
        "Second left", "Look: small cube b1. First left"
    )  # true: the count begins anew
    assert verdicts(again, row) == ["asked", "asked", "beside", "beside", "beside"]
    assert not check_chain(again, row).right
    assert verdicts("Look: cone c1. Second left: b1 red cube.", row) == ["asked", "false"]


def test_the_same_object_by_other_words_is_found_and_an_unclear_one_is_not():
    row = row_of(("find", "blue cone"), ("query", "shape"))
    assert check_chain("Look: cone c1. It is a cone.", row).right
    assert verdicts("Look: big blue object c1.", row) == ["false"]
    assert verdicts("Look: star a2. It is a star.", row) == ["beside", "beside"]
    assert verdicts("Look: cone c1. It is blue.", row) == ["asked", "beside"]  # true of it


def test_a_word_that_nothing_has_may_be_listed():
    assert verdicts("purple: none.", row_of(("count", "red"))) == ["beside"]
    assert verdicts("red: none.", row_of(("count", "red"))) == ["false"]


def test_a_scene_out_of_order_is_read_in_reading_order():
    row = row_of(*PAIR, ("add",))
    row["scene"]["things"].reverse()
    assert check_chain(f"{RED} {BLUE} 3 + 2 = 5.", row).right


@pytest.mark.parametrize(
    "program",
    [
        3,
        "find",
        [3],
        [[]],
        [None],
        [["fly"]],
        [["find"]],
        [["find", 3]],
        [["find", "car"]],
        [["query", "colour"]],
        [["find", "ball"], ["query", "weight"]],
        [["find", "ball"], ["move"]],
        [["find", "ball"], ["move", "over"]],
        [["add"]],
        [["count", "red"], ["add"]],
        [["count"]],
        [["count", "big"]],
        [["most"]],
        [["most", "size"]],
        [[["find"], "ball"]],
        {"find": "ball"},
        [["find", "ball"], ["take", "size"], ["count"]],
    ],
)
def test_a_made_up_program_is_one_sentence(program):
    row = row_of() | dict(program=program)
    with pytest.raises(InputError, match="program"):
        check_chain("It is red.", row)


@pytest.mark.parametrize(
    "chain",
    [
        "Look: " * 20000,
        "red: " + "1 red b1, " * 10000,
        "First left: " + "b1 empty, " * 10000,
        "." * 100000,
        " " * 100000,
        "2 + 3 = 5. " * 9000,
        "a" * 100000,
        "red: none, so 0. " * 4000 + "0 + 0 = 0. " * 3000,
    ],
)
def test_endless_texts_are_marked_all_the_same(chain):
    assert not check_chain(chain, row_of(*PAIR, ("add",))).right


def test_a_tally_of_another_list_is_beside_the_question():
    seen = 0
    for i in range(40):
        row = make_example(i, "test", "most_like", image_size=4)
        things, said = Scene.from_dict(row["scene"]).things, sentences(row["rationales"][0])
        place = next(k for k, s in enumerate(said) if re.match(r"\w+: \w+ [a-d]\d \w+ \d", s)) + 1
        asked = said[place - 1].partition(":")[0]
        for colour in {t.colour for t in things} - {asked}:
            shapes, items = Counter(), []
            for t in (t for t in things if t.colour == colour):
                shapes[t.shape] += 1
                items.append(f"{colour} {CELLS[t.cell]} {t.shape} {shapes[t.shape]}")
            tally = ", ".join(f"{s} {shapes[s]}" for s in SHAPES if s in shapes) + "."
            chain = " ".join([*said[:place], f"{colour}: {', '.join(items)}.", tally])
            assert verdicts(chain, row)[place:] == ["beside", "beside"]
            seen += 1
    assert seen > 20


def test_an_exercise_names_no_more_objects_than_asked():
    for i in range(40):
        scene = Scene.from_dict(make_example(i, image_size=4)["scene"])
        tasks = grounding_tasks(scene, random.Random(i), most=2, words=3)
        for task in ("find", "look", "tell"):
            assert tasks[task] == tasks["list"] or tasks[task][0].count(",") <= 1
        assert tasks["list"][0].count(",") == 2 and tasks["name"][0].count(",") <= 2


def test_counts_that_are_compared_are_close():
    def number(scene, words):
        return sum(scene.counts[w] for w in words)

    for i in range(60):
        for family in ("compare", "compare_sums"):
            row = make_example(i, "train", family, image_size=4)
            words = [step[1] for step in row["program"] if step[0] == "count"]
            scene, half = Scene.from_dict(row["scene"]), len(words) // 2
            assert abs(number(scene, words[:half]) - number(scene, words[half:])) <= 2
