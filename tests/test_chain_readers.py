"Summaries, cards, pages and tools say by which rule a step is right."

import json
import runpy
from pathlib import Path

import pytest

from minivlm_cot.commands.draw_ask import _card_row
from minivlm_cot.core import InputError
from minivlm_cot.evaluation import Report, check_exam, make_row, summarise_chains
from minivlm_cot.generation import Answer
from minivlm_cot.scenes import make_example
from minivlm_cot.visualization import choose_cards, plot_comparison, report_page

ASKED = "what the question asks marked every step"


def said(example, chain=None):
    chain, answer = chain or example["rationales"][0], example["direct_answers"][0]
    cot = Answer(example["question"], "cot", f"{chain}\nAnswer: {answer}", answer, chain, 9)
    return dict(cot=cot, direct=Answer(example["question"], "direct", "none", "none", "", 1))


def exam(n=4):
    return [make_example(i, "test", "walk_colour", image_size=8) for i in range(n)]


def rows_of(examples, known=True):
    rows = [make_row({k: e[k] for k in e if known or k != "program"}, said(e)) for e in examples]
    return [r | dict(chance=0.25, majority_answer="red", majority_right=False) for r in rows]


def older(rows):
    "Rows as they were saved before a step could be beside the question"
    kept = []
    for r in rows:
        cot = {k: v for k, v in r["answers"]["cot"].items() if k != "chain_complete"}
        steps = [{k: s[k] for k in ("text", "ok", "why")} for s in cot["steps"]]
        kept.append(r | dict(answers=r["answers"] | dict(cot=cot | dict(steps=steps))))
    return kept


def page_of(rows, examples, folder):
    report = Report(rows)
    page = report_page(report, {}, choose_cards(report, examples), folder)
    return page.read_text(encoding="utf-8")


def test_a_page_says_by_which_rule_its_chains_were_marked(tmp_path):
    examples = exam()
    new = page_of(rows_of(examples), examples, tmp_path / "new")
    assert ASKED in new and "asked for by the question" in new
    for rows in (older(rows_of(examples)), rows_of(examples, known=False)):
        page = page_of(rows, examples, tmp_path / "other")
        assert ASKED not in page and "asked for by the question" not in page
        assert "was not looked at" in page


def test_an_older_report_shows_no_right_steps():
    s = summarise_chains(older(rows_of(exam())))
    assert s["chain_rule"] == "older" and s["process_accuracy"] is s["chains_right"] is None
    assert (
        s["false_rate"] == 0 and "marked by an older rule" in Report(older(rows_of(exam()))).table()
    )


def test_where_some_questions_are_not_known_all_are_measured_by_truth():
    examples = exam(2)
    strayed = make_row(examples[0], said(examples[0], " ".join(examples[0]["rationales"] * 2)))
    cot = strayed["answers"]["cot"]
    assert not cot["chain_right"] and cot["steps"][-1]["verdict"] == "beside"
    s = summarise_chains([strayed, *rows_of(examples[1:], known=False)])
    assert (s["chain_rule"], s["process_accuracy"], s["chains_right"]) == ("true", 1, 1)
    assert s["chain_by_answer"]["both_right"] == 2 and s["beside_rate"] is None


def test_a_comparison_says_that_a_true_chain_stops_short():
    (example,) = exam(1)
    whole = example["rationales"][0]
    short = make_row(example, said(example, whole[: whole.index(" Third")]))
    for row, shown in ((short, True), (rows_of([example])[0], False)):
        figure = plot_comparison([example], [row])
        texts = " ".join(t.get_text() for a in figure.axes for t in a.texts)
        assert ("Not every step that the question asks for" in texts) == shown


def test_a_picture_asked_another_question_is_not_held_against_its_own():
    (example,) = exam(1)
    known = dict(
        scene=example["scene"],
        question=example["question"],
        answer="blue",
        program=example["program"],
    )
    cot, direct = said(example).values()

    def chain_of(known):
        row = _card_row(cot, direct, known)
        return row["truth"], row["answers"]["cot"]

    def verdicts(chain):
        return {s["verdict"] for s in chain["steps"]}

    _, same = chain_of(known)
    assert verdicts(same) == {"asked"} and same["chain_complete"]
    truth, other = chain_of(known | dict(question="What else?", program=[["fly"]]))
    assert verdicts(other) == {"true"} and truth is None
    assert chain_of({})[1]["steps"] is None
    before = {k: known[k] for k in ("scene", "question", "answer")}  # drawn by an older version
    assert verdicts(chain_of(before)[1]) == {"true"}


def test_a_made_up_program_is_refused_before_the_model_is_asked():
    example = exam(1)[0] | dict(program=[["fly"]])
    with pytest.raises(InputError, match=f"Question {example['question_id']}: .*program.*fly"):
        check_exam([example])


def test_seeds_of_an_older_rule_are_not_kept_as_newer_ones(tmp_path):
    main = runpy.run_path(str(Path(__file__).parents[1] / "tools/seeds.py"))["main"]
    (tmp_path / "report.json").write_text(json.dumps(dict(recipe=dict(seed=0), groups={})))
    with pytest.raises(SystemExit, match="older rule"):
        main([tmp_path])
