"""How answers are read, compared and counted."""

from types import SimpleNamespace

import numpy as np
import pytest

from minivlm_cot.core import save_json
from minivlm_cot.dataset import gold_answer, parse_answer
from minivlm_cot.evaluation import (
    Report,
    clustered_interval,
    exact_match,
    mcnemar_exact,
    score_rows,
    sign_flip_test,
    strict_match,
    vqa_score,
    wilson_interval,
)

from minivlm_cot.generation import Answer
from minivlm_cot.scenes import scene_examples


@pytest.mark.parametrize(
    "said, people, score",
    [
        (None, ["a"] * 10, 0),
        (None, ["?"] * 10, 0),
        ("", ["the"] * 10, 0),
        ("a", ["the"] * 10, 0),
        ("A", ["a"] * 10, 1),
        ("the", ["The"] * 10, 1),
        ("a dog", ["dog"] * 10, 1),
    ],
)
def test_no_answer_is_never_right_and_a_bare_article_is_itself(said, people, score):
    assert vqa_score(said, people) == score


def test_published_scores_are_taken_as_they_are():
    people = {"dog": 1.0, "puppy": 0.6}
    assert [vqa_score(s, people) for s in ("a dog", "puppy", "cat", None)] == [1, 0.6, 0, 0]


@pytest.mark.parametrize(
    "said", ["Red.", "**red**", '"red"', "\\boxed{red}", "RED!", "Answer: red"]
)
def test_dress_does_not_make_an_answer_wrong_but_strict_sees_it(said):
    assert exact_match(said, "red") and not strict_match(said, "red")


@pytest.mark.parametrize(
    "said, truth",
    [
        ("not red", "red"),
        ("-5", "5"),
        ("5", "-5"),
        ("1.5", "15"),
        ("red or blue", "red"),
        ("reddish", "red"),
        ("", "red"),
        (None, "red"),
        ("10", "1"),
        (".", "red"),
    ],
)
def test_what_is_wrong_stays_wrong(said, truth):
    assert not exact_match(said, truth) and not strict_match(said, truth)


@pytest.mark.parametrize("arm", ["cot", "direct"])
@pytest.mark.parametrize("line", ["Answer: Red.", "**Answer:** red", "The answer is red."])
def test_both_arms_read_a_marked_answer_alike(arm, line):
    assert exact_match(parse_answer("It is red.\n" + line, arm), "red")


def test_sign_flips_equal_mcnemar_at_one_question_a_picture():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.random((2, 40)) < 0.6
        for pictures in (None, np.arange(40)):
            found = sign_flip_test(a, b, pictures)
            assert found["p"] == pytest.approx(mcnemar_exact(a, b)["p"], abs=1e-12)
            assert found["method"] == "exact McNemar"


def test_false_alarms_with_ten_questions_a_picture():
    "No arm is better, but the questions of a picture share its luck"
    rng, pictures, alarms = np.random.default_rng(1), np.repeat(np.arange(40), 10), []
    for _ in range(200):
        chance = np.repeat(rng.choice([0.1, 0.9], (2, 40)), 10, axis=1)
        a, b = rng.random((2, 400)) < chance
        ps = mcnemar_exact(a, b)["p"], sign_flip_test(a, b, pictures)["p"]
        alarms.append([p < 0.05 for p in ps])
    ignored, by_picture = np.mean(alarms, axis=0)
    assert ignored > 0.2 and by_picture <= 0.08


def test_interval_widens_where_questions_share_a_picture():
    right = np.repeat(np.arange(20) % 2 == 0, 10)
    assert clustered_interval(right) == wilson_interval(100, 200)
    (low, high), (a, b) = clustered_interval(right), clustered_interval(right, np.arange(200) // 10)
    assert a < low and b > high and 0 <= a < b <= 1


def _old_row(n):
    "A row as reports held it before answers were also compared strictly"
    row = dict(
        question_id=n,
        image_id=n,
        question="What?",
        choices=None,
        family=None,
        group=None,
        hops=None,
        split="test",
        truth="red",
        chain="",
        steps=None,
        chain_parsed=None,
        chain_right=None,
        implied_answer=None,
        chance=None,
        majority_answer="red",
        majority_right=True,
    )
    for arm in ("cot", "direct"):
        right = n % 2 == 0 or arm == "cot"
        row |= {
            f"{arm}_answer": "red" if right else "blue",
            f"{arm}_right": right,
            f"{arm}_text": "red",
            f"{arm}_tokens": 2,
            f"{arm}_reasons": False,
        }
    return row


def test_older_reports_load_and_print(tmp_path):
    kept = dict(seed=0, rows=[_old_row(n) for n in range(8)], splits={}, extra={})
    save_json(kept, tmp_path / "report.rows.json")
    report = Report.load(tmp_path / "report.json")
    assert report.names == ["cot", "direct"]
    assert report.to_dict()["arms"]["cot"]["accuracy"] == 1
    assert report.to_dict()["table"]["cot_only"] == 4
    assert report.to_dict()["arms"]["cot"]["strict"] is None
    assert "is noticed in four of five such exams" in report.table()


def test_published_labels_of_okvqa_score_as_published():
    from minivlm_cot.dataset.vqa import _convert_vqa

    row = dict(
        image="a.jpg", question_id=1, question="What weather?", label=dict(overcast=1, rain=0.667)
    )
    found = _convert_vqa(row, "1")
    assert found["soft_answers"] == row["label"]
    assert vqa_score("overcast", found["soft_answers"]) == 1
    people = dict(image="a.jpg", question_id=1, question="What?", answers=["dog"] * 10)
    assert "soft_answers" not in _convert_vqa(people, "1")


def test_the_page_shows_an_older_result_s_p():
    from minivlm_cot.visualization.choosing import _p_of
    from minivlm_cot.visualization.results import _test_of

    assert _p_of(dict(mcnemar_p=0.3)) == 0.3 and _p_of(dict(p=0.2, mcnemar_p=0.3)) == 0.2
    assert _test_of({}).startswith("the exact McNemar")
    assert (
        _test_of(
            sign_flip_test([1, 0], [0, 0], [1, 1]) | dict(p_method="exact sign-flip over pictures")
        )
        == "sign flips over pictures"
    )


def test_a_difference_is_the_first_minus_the_second_and_lies_in_its_interval():
    exam = scene_examples(60, "test")

    def says(name, wrong):
        told = [None if i % wrong == 0 else gold_answer(e) for i, e in enumerate(exam)]
        return [Answer(e["question"], name, str(a), a, "", 1) for e, a in zip(exam, told)]

    report = score_rows(dict(often=says("often", 10), seldom=says("seldom", 2)), exam)
    whole, back = report.to_dict(), report.compare("seldom", "often")
    assert whole["difference"] == pytest.approx(54 / 60 - 30 / 60, abs=1e-5)
    assert back["difference"] == -whole["difference"]
    low, high = whole["difference_ci"]
    assert 0 < low < whole["difference"] < high
    assert whole["table"]["often_only"] == 24 and whole["table"]["seldom_only"] == 0
