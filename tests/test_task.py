"""A task that the library does not know: learned from, asked, scored and reported."""

import pytest
import torch
from test_asking import build
from tiny_runs import quick

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Task
from minivlm_cot.dataset import CoTReasoningDataset, parse_answer, Questions
from minivlm_cot.evaluation import Report, examine, score_rows
from minivlm_cot.generation import Answer, AskOptions, Chain, Direct, ask_all
from minivlm_cot.model import check_texts
from minivlm_cot.scenes import ChainCheck, Step, scene_examples
from minivlm_cot.training import train_cot_vlm
from minivlm_cot.visualization import choose_cards, plot_accuracy, plot_comparison, report_page
from minivlm_cot.visualization import verdict


class Shapes(Task):
    "Name the kinds of shapes in a picture; half of a point for half of them"

    name = "shapes"

    def rows(self, split, n=4, seed=0):
        return [
            dict(question_id=k, image_id=k, image=e["image"], things=e["scene"]["things"])
            for k, e in enumerate(scene_examples(n, split, seed=seed))
        ]

    def prompt(self, row, style):
        return "Look closely.\n" if style == "cot" else "Answer:"

    def target(self, row, style):
        answer = " ".join(sorted(self.truth(row)))
        told = ". ".join(f"I see a {shape}" for shape in sorted(self.truth(row)))
        return f" {answer}" if style == "direct" else f"{told}.\nAnswer: {answer}"

    def parse(self, text, style):
        return parse_answer(text, style)

    def score(self, row, answer):
        said, truth = set((answer or "").split()), self.truth(row)
        return len(said & truth) / len(said | truth)

    def check(self, row, chain):
        told = [text.strip() for text in chain.split(".") if text.strip()]
        steps = [Step(text, text.split()[-1] in self.truth(row)) for text in told]
        return ChainCheck(steps, True, None, [])

    def truth(self, row):
        return {thing["shape"] for thing in row["things"]}


@pytest.fixture(scope="module")
def pair():
    return build()


def test_a_new_task_is_learned_from(pair, tmp_path):
    model, processor = pair
    task = Shapes()
    rows = task.rows("train", 8)
    data = CoTReasoningDataset(rows, processor, together=True, task=task)
    assert data.arms == ("cot", "direct") and len(data) == 8
    learned = [i for i in data[0]["labels"] if i != -100]
    written = task.target(rows[0], "cot") + "<eos>" + task.target(rows[0], "direct") + "<eos>"
    assert processor.tokenizer.decode(learned) == written
    before = model.projector.state_dict()
    before = {name: w.clone() for name, w in before.items()}
    history = train_cot_vlm(model, processor, data, quick(tmp_path), progress=False)
    assert len(history.losses) == 4 and all(loss > 0 for loss in history.losses)
    assert any((w != before[name]).any() for name, w in model.projector.state_dict().items())


def test_two_tasks_with_the_same_rows_are_two_runs(pair, tmp_path):
    model, processor = pair
    rows = Shapes().rows("train", 4)

    class Loud(Shapes):
        def prompt(self, row, style):
            return super().prompt(row, style).upper()

    for task in (Shapes(), Loud()):
        data = CoTReasoningDataset(rows, processor, together=True, task=task)
        if type(task) is Loud:
            with pytest.raises(InputError, match="texts"):
                train_cot_vlm(model, processor, data, quick(tmp_path), progress=False)
        else:
            train_cot_vlm(model, processor, data, quick(tmp_path), progress=False)


def answer(task, row, style, text):
    chain = text.split("\n")[0] if style == "cot" else ""
    return Answer("", style, text, task.parse(text, style), chain, 3)


def test_a_new_task_is_scored_and_reported(tmp_path):
    task = Shapes()
    rows = task.rows("test", 4)
    right = {style: [task.target(row, style) for row in rows] for style in task.styles}
    right["direct"] = ["ball"] * 4
    answers = {
        style: [answer(task, row, style, text) for row, text in zip(rows, texts)]
        for style, texts in right.items()
    }
    report = score_rows(answers, rows, task=task)
    arms = report.to_dict()["arms"]
    assert arms["cot"]["accuracy"] == 1
    for row, found in zip(rows, report.rows):
        assert found["answers"]["direct"]["score"] == task.score(row, "ball")
        assert found["answers"]["direct"]["right"] == (task.truth(row) == {"ball"})
        assert [step["ok"] for step in found["answers"]["cot"]["steps"]] == [True] * len(
            task.truth(row)
        )
        assert found["truth"] == " ".join(sorted(task.truth(row)))
    assert "100" in report._repr_markdown_()
    assert report.rows[0]["question"] == "Look closely."
    assert plot_accuracy(report).axes and verdict(report.to_dict())
    assert plot_comparison(rows, report.rows).axes
    cards = choose_cards(report, rows)
    page = report_page(report, {}, cards, tmp_path).read_text(encoding="utf-8")
    assert "Look closely." in page and "I see a" in page


def test_a_new_task_is_asked_and_its_report_kept(pair, tmp_path):
    task = Shapes()
    rows = task.rows("test", 3)
    answers = ask_all([Chain(), Direct()], *pair, rows, task, AskOptions(max_new_tokens=4))
    for style, given in answers.items():
        assert [a.prompt for a in given] == [task.prompt(row, style) for row in rows]
        assert [a.answer for a in given] == [task.parse(a.text, style) for a in given]
    report = score_rows(answers, rows, task=task)
    report.save(tmp_path / "report")
    assert Report.load(tmp_path / "report").rows == report.rows


def test_several_pictures_are_refused_where_the_model_would_read_them(pair):
    class Two(Shapes):
        def images(self, row):
            return [row["image"]] * 2

    rows, said = Two().rows("test", 2), "Question 0 shows 2 pictures, and the model reads one"
    with pytest.raises(InputError, match=said):
        check_texts(pair[0], CoTReasoningDataset(rows, pair[1], task=Two()))
    with pytest.raises(InputError, match="A question shows 2 pictures, and the model reads one"):
        ask_all([Chain()], *pair, rows, Two(), AskOptions(max_new_tokens=4))


def test_a_task_may_give_several_questions_for_a_row_and_one_style(pair):
    class Each(Shapes):
        styles = ("direct",)

        def questions(self, row):
            return [row | dict(question_id=f"{row['question_id']}{k}", k=k) for k in "ab"]

        def prompt(self, row, style):
            return f"{row['k']}:"

    data = CoTReasoningDataset(
        Each().rows("train", 3), pair[1], image_features=torch.zeros(3, 4, 8), task=Each()
    )
    assert data.arms == ("direct",) and len(data) == 6
    assert data.feature_index == [0, 0, 1, 1, 2, 2]
    assert data[3]["question_id"] == "1b"


def test_the_blind_baseline_of_a_task_sees_no_picture(pair):
    seen = []

    class Asked(Chain):
        def __call__(self, model, processor, rows, task=None, options=AskOptions()):
            seen.append([(row.get("image"), *task.images(row)) for row in rows])
            return super().__call__(model, processor, rows, task, options)

    class Elsewhere(Shapes):
        def rows(self, split, n=4, seed=0):
            rows = super().rows(split, n, seed)
            return [row | dict(image=None, picture=row["image"]) for row in rows]

        def images(self, row):
            return [row["picture"]]

    for task in (Shapes(), Elsewhere()):
        seen.clear()
        rows = task.rows("test", 2)
        options = AskOptions(max_new_tokens=3)
        report = examine(*pair, rows, [Asked()], task, options)
        assert set(report.rows[0]["blind"]) == {"cot"}
        (with_picture, blind) = seen
        for row, shown, grey in zip(rows, with_picture, blind):
            assert shown[1] is task.images(row)[0]
            assert grey[1].size == shown[1].size and grey[1].getcolors() == [(6400, (127,) * 3)]
            assert grey[0] is None or grey[0].getcolors() == [(6400, (127,) * 3)]


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(together=True, seed=3),
        dict(every_rationale=True, together=True),
        dict(max_length=45),
        dict(arms=("direct",)),
        dict(arms=("caption", "direct"), together=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("with_choices", [False, True])
def test_the_standard_task_changes_no_number(pair, options, with_choices):
    more = ["Because one sees it.", "It is so, and round."]
    rows = [
        e | dict(rationales=(e["rationales"] + more)[: 1 + k % 3])
        for k, e in enumerate(scene_examples(13, "train"))
    ]
    rows[5] |= dict(rationales=[])
    plain = CoTReasoningDataset(rows, pair[1], with_choices=with_choices, **options)
    taught = CoTReasoningDataset(
        rows, pair[1], task=Questions(with_choices=with_choices), **options
    )
    for epoch in range(3):
        plain.set_epoch(epoch)
        taught.set_epoch(epoch)
        assert plain.later_texts() == taught.later_texts()
        for name in ("lengths", "rows_per_arm", "left_out", "response_tokens", "cut_rationales"):
            assert getattr(plain, name) == getattr(taught, name)
        for a, b in zip(plain, taught):
            assert torch.equal(a.pop("pixel_values"), b.pop("pixel_values")) and a == b


def test_a_task_of_one_style_is_examined(pair):
    class Told(Shapes):
        styles = ("cot",)

        def target(self, row, style):
            assert style == "cot"
            return super().target(row, style)

    rows = Told().rows("test", 2)
    report = examine(*pair, rows, [Chain()], Told(), AskOptions(max_new_tokens=3))
    assert [r["truth"] for r in report.rows] == [" ".join(sorted(Told().truth(r))) for r in rows]
    usual = examine(*pair, rows, task=Told(), options=AskOptions(max_new_tokens=3))
    assert usual.names == report.names == ["cot"]
    with pytest.raises(InputError, match="cannot be asked as 'direct'"):
        examine(*pair, rows, [Direct()], Told())
