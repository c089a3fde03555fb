"""Commands with wrong input: one sentence and exit status 2, never a traceback."""

import json
import os
import sys
from dataclasses import fields
from types import SimpleNamespace

import pytest
from fastcore.script import anno_parser
from PIL import Image, PngImagePlugin

from minivlm_cot.commands import minivlm_ask, minivlm_draw, minivlm_eval, minivlm_train, train
from minivlm_cot.commands.draw_ask import AskingOptions, _card_row, _is_ours, _known
from minivlm_cot.commands.train import EvalOptions, TrainOptions, _items, _say, _train_config
from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Strategy
from minivlm_cot.dataset import gold_answer
from minivlm_cot.evaluation import Report, score_rows
from minivlm_cot.generation import Answer
from minivlm_cot.generation.strategies import STRATEGIES
from minivlm_cot.scenes import FAMILIES, scene_examples
from minivlm_cot.training import TrainConfig


def fails(capsys, command, *args, **kwargs):
    "What a command says that must fail"
    with pytest.raises(SystemExit) as e:
        command(*args, **kwargs)
    said = capsys.readouterr().err.strip().splitlines()
    assert e.value.code == 2 and said[-1].startswith("error: ") and "Traceback" not in "".join(said)
    return said[-1]


def picture(path, text):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("minivlm_cot", text)
    Image.new("RGB", (80, 80), "white").save(path, pnginfo=info)
    return str(path)


EXAMPLE = scene_examples(1, "test")[0]
GOOD = dict(
    scene=EXAMPLE["scene"],
    question=EXAMPLE["question"],
    answer=gold_answer(EXAMPLE),
    program=EXAMPLE["program"],
)
WRONG = [
    "[]",
    "3",
    "null",
    '"text"',
    "no json",
    "",
    "{",
    json.dumps({"scene": 3}),
    json.dumps({"answer": 3}),
    json.dumps({"question": []}),
    json.dumps({"scene": {"things": 5}}),
    json.dumps({"scene": {}}),
    "[" * 60_000,
    '{"scene":' * 9_000,
    "x" * 10_000_000,
    "9" * 90_000,
    *(
        json.dumps(GOOD | dict(program=p))
        for p in (
            3,
            "find",
            [3],
            [[]],
            [["find"]],
            [["find", 3]],
            [["fly"]],
            [["query", "__class__"]],
            [["count", "red"]] * 3,
            {"find": 1},
            [["more"]],
            [[["find"]]],
        )
    ),
    json.dumps(GOOD | dict(answer="a riddle")),
    json.dumps({k: v for k, v in GOOD.items() if k != "scene"}),
]


@pytest.mark.parametrize("text", WRONG, ids=lambda t: t[:30])
def test_a_text_field_that_is_not_ours_is_refused(text, tmp_path, capsys):
    said = fails(
        capsys,
        minivlm_ask,
        picture(tmp_path / "a.png", text),
        "What is it?",
        card=str(tmp_path / "card.html"),
    )
    assert "a.png" in said and "--card" in said
    assert not (tmp_path / "card.html").exists()


def test_ours_is_believed_with_or_without_program(tmp_path):
    for known in (GOOD, {k: v for k, v in GOOD.items() if k != "program"}, {}):
        assert _known(picture(tmp_path / "a.png", json.dumps(known))) == known
    Image.new("RGB", (9, 9)).save(tmp_path / "plain.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "plain.jpg")
    assert _known(tmp_path / "plain.png") == _known(tmp_path / "plain.jpg") == {}


def test_every_family_writes_what_is_believed():
    for split in ("test", "ood_hops"):
        for e in scene_examples(4 * len(FAMILIES), split):
            assert _is_ours(
                dict(
                    scene=e["scene"],
                    question=e["question"],
                    answer=gold_answer(e),
                    program=e["program"],
                )
            )


def test_draw_tells_the_program_and_the_card_uses_it(tmp_path):
    out = str(tmp_path / "a.png")
    minivlm_draw(out, "walk_colour")
    known, e = _known(out), scene_examples(1, "test", ["walk_colour"])[0]
    assert known["program"] == json.loads(json.dumps(e["program"]))
    word = next(
        c
        for c in ("red", "blue", "green", "yellow", "purple", "orange")
        if all(t["colour"] != c for t in known["scene"]["things"])
    )
    beside = f"{word}: none, so 0."  # true, and not asked for
    cot, direct = (
        Answer(known["question"], "cot", "", "red", beside, 5),
        Answer(known["question"], "direct", "", "red", "", 1),
    )
    (step,) = _card_row(cot, direct, known)["answers"]["cot"]["steps"]
    assert (step["verdict"], step["ok"]) == ("beside", False)
    other = Answer("What else is there?", "cot", "", "red", beside, 5)
    row = _card_row(other, direct, known)
    assert row["answers"]["cot"]["steps"][0]["verdict"] == "true" and row["truth"] is None


def test_draw_refuses_what_it_cannot_draw(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    for size in (0, -5, 100_000):
        assert "size" in fails(capsys, minivlm_draw, "a.png", size=size)
    assert "index" in fails(capsys, minivlm_draw, "a.png", index=-1)
    for out in (".", "..", "", "/", "folder", "file/a.png", "/proc/a.png", "n" * 300 + ".png"):
        fails(capsys, minivlm_draw, out)
    assert sorted(os.listdir()) == ["file", "folder"] and (tmp_path / "file").read_text() == "kept"


def test_ask_refuses_before_it_loads_a_model(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["minivlm_cot.commands.draw_ask"], "load_any", None)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (80, 80)).save("a.png")
    (tmp_path / "file").write_text("")
    for wrong in (
        dict(question=" "),
        dict(question="half \udcff"),
        dict(max_new_tokens=0),
        dict(max_new_tokens=-3),
        dict(temperature=-1.0),
        dict(temperature=float("nan")),
        dict(card="."),
        dict(card="file/card.html"),
        dict(seed=2**70),
        dict(image="."),
        dict(image="file"),
    ):
        fails(capsys, minivlm_ask, **dict(image="a.png", question="What?") | wrong)


def test_train_and_eval_refuse_before_they_begin(tmp_path, capsys, monkeypatch):
    for name in ("task_rows", "load_minivlm", "load_any", "train_on_scenes"):
        monkeypatch.setattr(f"minivlm_cot.commands.train.{name}", None)
    monkeypatch.chdir(tmp_path)
    for source in ("scenes", "aokvqa"):
        for wrong in (
            dict(epochs=0),
            dict(epochs=-1),
            dict(batch_size=0),
            dict(limit=0),
            dict(max_length=-5),
            dict(lora=-1),
            dict(pool=0),
            dict(pack="pictures"),
            dict(task="poetry"),
            dict(gradient_accumulation=0),
            dict(seed=2**70),
            dict(device="abacus"),
        ):
            fails(capsys, minivlm_train, "run", source=source, **wrong)
    for wrong in (dict(lr_language=-1.0), dict(lr_projector=float("nan")), dict(compile="nobody")):
        fails(capsys, minivlm_train, "run", "aokvqa", **wrong)
    for wrong in (
        dict(limit=0),
        dict(batch_size=-1),
        dict(max_new_tokens_cot=0),
        dict(max_new_tokens_direct=-2),
        dict(seed=2**70),
    ):
        fails(capsys, minivlm_eval, **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_the_short_table_names_its_test(shared, capsys):
    exam = scene_examples(13, "test")
    if shared:
        exam = [e | dict(image_id="one") for e in exam]
    said = {
        arm: [Answer(e["question"], arm, "", gold_answer(e), "", 1) for e in exam]
        for arm in ("cot", "direct")
    }
    _say(score_rows(said, exam), "out")
    lines = [
        line for line in capsys.readouterr().out.splitlines() if "  p " in line and "points" in line
    ]
    named = "exact sign-flip over pictures" if shared else "exact McNemar"
    assert lines and all(f"({named})" in line for line in lines)


def test_kinds_without_groups_have_their_lines(capsys):
    "Photographs have kinds of questions, and no depth to group them by"
    row = dict(image=None, choices=[], correct_choice_idx=None, rationales=[])
    exam = [
        row
        | dict(question_id=n, image_id=n, question=f"{kind}?", family=kind, direct_answers=["2"])
        for n, kind in enumerate(["how many", "how many", "what is"])
    ]
    said = {"direct": [Answer(e["question"], "direct", "", "2", "", 1) for e in exam]}
    _say(score_rows(said, exam), "out")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  n ")[0].strip() for line in lines[:3]] == ["how many", "what is", "all"]


def test_a_half_character_is_named():
    with pytest.raises(InputError, match="half a character"):
        from minivlm_cot.dataset import as_text

        as_text("\udcff", "The question")


def test_a_row_without_a_rationale_teaches_the_direct_arm_alone(monkeypatch, capsys):
    class Words:
        eos_token_id = 0

        def __call__(self, texts, **_):
            return dict(input_ids=[[1] * len(t.split()) for t in texts])

    processor = SimpleNamespace(tokenizer=Words())
    monkeypatch.setattr(train, "room_for", lambda model, most: most)  # there is no model here
    row = dict(
        question="What?",
        choices=[],
        correct_choice_idx=None,
        direct_answers=["red"] * 3,
        image="a.jpg",
        image_id=1,
        question_id=1,
    )
    rows = [
        row | dict(rationales=["It is red."]),
        row | dict(rationales=[], question_id=2),
        dict(image="b.jpg", image_id=2, question_id=3, caption="A dog.", rationales=[]),
    ]
    data = _items(rows, None, processor, TrainOptions(max_length=64))
    assert data.rows_per_arm == dict(cot=1, direct=2, caption=1)
    said = capsys.readouterr().out
    assert "cot: 1, direct: 2, caption: 1" in said and "nothing to learn" not in said
    _items(rows[1:2], None, processor, TrainOptions())
    assert "direct: 1; none has a rationale: there is nothing to learn for cot" in (
        capsys.readouterr().out
    )
    assert len(_items(rows, None, processor, TrainOptions())) == 3  # a row is an item
    assert len(_items(rows, None, processor, TrainOptions(pack="picture"))) == 2


# ------------------------------------------------------------------ options


COMMANDS = {
    minivlm_ask: (AskingOptions, ["a.png", "What?"]),
    minivlm_train: (TrainOptions, []),
    minivlm_eval: (EvalOptions, []),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.__name__)
def test_a_commands_options_are_the_fields(command):
    kind, words = COMMANDS[command]
    said = vars(anno_parser(command).parse_args(words))
    usual = kind(*words)
    assert {f.name: said[f.name] for f in fields(kind)} == vars(usual)
    text = " ".join(anno_parser(command).format_help().split())
    assert command.__doc__ in text and text.count(" --") >= len(fields(kind)) - len(words)
    without = [f.name for f in fields(kind) if not help_of(command, f.name)]
    assert without == (["seed"] if command is minivlm_train else [])


def help_of(command, name):
    action = next(a for a in anno_parser(command)._actions if a.dest == name)
    return action.help.removesuffix(f"(default: {action.default})").strip()


def test_long_help_stands_above_its_option():
    for name, words in (("lora", "needs peft"), ("max_length", "not for scenes")):
        said = help_of(minivlm_train, name)
        assert said.endswith(words) and said[:5] in ("rank ", "token")


def test_options_of_a_training_reach_its_configuration():
    given = dict(out="a", epochs=5, batch_size=3, gradient_accumulation=2, seed=9, compile="")
    given |= dict(lr_language=0.5, lr_projector=0.25, gradient_checkpointing=True, fresh=True)
    assert _train_config(TrainOptions(**given)) == TrainConfig(**given)
    shared = {f.name for f in fields(TrainConfig)} & {f.name for f in fields(TrainOptions)}
    assert shared == given.keys()
    usual, left_out = TrainConfig(), TrainOptions()
    for name in shared - {"out", "epochs", "batch_size"}:
        assert getattr(left_out, name) == getattr(usual, name)
    config = _train_config(left_out)
    assert (config.epochs, config.batch_size, config.cache) == (3, 8, "features")
    assert _train_config(TrainOptions(no_cache=True)).cache == ""


# ------------------------------------------------------------------ strategies


class Yes(Strategy):
    "A third way of answering"

    name = "yes"

    def __call__(self, model, processor, rows, task=None, options=None):
        return [Answer(r["question"], "direct", "", "yes", "", 1) for r in rows]


@pytest.mark.parametrize("asked", ["direct", "direct,chain", "chain,direct,yes"])
def test_any_number_of_strategies_are_examined(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STRATEGIES, "yes", Yes)
    minivlm_eval(limit=13, out=str(tmp_path), strategies=asked, device="cpu")
    report = Report.load(tmp_path / "report.json")
    names = asked.replace("chain", "cot").split(",")
    assert report.names == names and len(report.rows) == 13
    said = capsys.readouterr().out
    (whole,) = (line for line in said.splitlines() if line.startswith("      all  n"))
    labels = [dict(cot="CoT").get(name, name) for name in names]
    places = [whole.index(f"   {label} ") for label in labels]
    assert places == sorted(places)
    differs = {1: "%", 2: "difference", 3: "CoT − direct"}[len(names)]
    assert differs in whole and ("points" in whole) == (len(names) > 1)
    assert (tmp_path / "index.html").stat().st_size > 10_000


def test_unknown_strategies_are_refused_before_the_exam(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "load_any", None)
    monkeypatch.chdir(tmp_path)
    for wrong in ("", "wish", "chain,cot"):
        said = fails(capsys, minivlm_eval, strategies=wrong)
        assert "strateg" in said
    assert not os.listdir()
