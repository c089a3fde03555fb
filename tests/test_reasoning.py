"""The moves of reasoning: the same words on every kind of language model, and on chat models."""

import pytest
from test_architectures import ALLOWED, GROUPS, ROWS, TOKENIZER, build, greedy
from test_chat_models import EXAM, asked  # a fixture

from minivlm_cot.dataset import format_prompt
from minivlm_cot.generation import generate_cot_answer
from minivlm_cot.model import load_minivlm
from minivlm_cot.reasoning import BudgetSpent, Engine, Once, TextEngine, engine_for, sample_pool
from minivlm_cot.scenes import scene_examples

ENDS = [" red", " blue no"]


@pytest.mark.parametrize("kind,name", ALLOWED)
def test_every_language_model_thinks_in_the_same_words(kind, name):
    model, processor = build(GROUPS[kind][name]())
    engine = engine_for(model, processor)
    assert type(engine) is (Engine if kind in ("packed", "apart") else TextEngine)
    prompts = [format_prompt(r["question"], "cot") for r in ROWS]
    wanted = [greedy(model, processor, r["image"], p, 6) for r, p in zip(ROWS, prompts)]
    branches, halves = engine.open(ROWS), engine.open(ROWS)
    engine.write(branches, limit=6)
    assert branches.text == wanted
    if type(engine) is TextEngine:  # which cuts a text into tokens again
        return
    engine.write(halves, limit=2)
    halves = engine.join([engine.select(halves, [n]) for n in range(len(ROWS))])
    engine.write(halves, limit=4)
    assert halves.text == wanted and halves.ids == branches.ids


@pytest.mark.parametrize("kind,name", ALLOWED)
def test_scores_are_those_of_the_ranking_behind_read_texts(kind, name):
    model, processor = build(GROUPS[kind][name]())
    engine = engine_for(model, processor)
    branches = engine.open(ROWS)
    engine.read(branches, "red blue\nAnswer:")
    prompts = [[format_prompt(r["question"], "cot") + "red blue\nAnswer:"] for r in ROWS]
    shown = [r["image"] for r in ROWS]
    wanted = model.log_probs(processor, shown, prompts, [ENDS] * len(ROWS))
    found = engine.score(branches, ENDS, end=True)
    for (one,), other in zip(wanted, found):
        assert other == pytest.approx(one, abs=1e-3)
    shorter = engine.score(branches, ENDS)
    assert all(a >= b - 1e-4 for x, y in zip(shorter, found) for a, b in zip(x, y))


def test_sampled_branches_are_the_same_in_any_company():
    model, processor = build(GROUPS["packed"]["llama"]())

    def drawn(numbers):
        engine = Engine(model, processor, seed=2, temperature=1.0)
        opened = engine.open([ROWS[n] for n in numbers], which=numbers)
        branches = engine.fork(opened, 3)
        engine.write(branches, limit=9)
        return dict(zip(zip(branches.row, branches.name), branches.ids)), engine.meter.spent

    texts, spent = drawn([0, 1])
    assert len({tuple(ids) for ids in texts.values()}) == len(texts)
    for n in (1, 0):
        alone, bill = drawn([n])
        assert alone == {key: ids for key, ids in texts.items() if key[0] == n}
        assert bill[n] == spent[n]


def test_a_cue_is_taken_back_whatever_was_laid_aside_before():
    "Branches that stop at different tokens, and one that goes on from before its cue"
    model, processor = build(GROUPS["packed"]["llama"]())
    engine = Engine(model, processor, seed=5, temperature=3.0)
    branches = engine.fork(engine.open(ROWS), 20)
    pieces = engine.write(branches, "answer", limit=40)
    for k, ids in enumerate(branches.ids):
        alone = engine.open([ROWS[branches.row[k]]], which=[branches.row[k]])
        engine.read(alone, TOKENIZER.decode(ids, skip_special_tokens=True))
        if alone.ids[0] == [i for i in ids if i != TOKENIZER.eos_token_id]:
            first = engine.score(alone, ENDS)[0]
            again = engine.score(engine.select(branches, [k]), ENDS)[0]
            assert again == pytest.approx(first, abs=1e-3)
    assert all("Answer:" not in piece.text for piece in pieces)


def test_a_chat_model_has_all_moves_and_pays_for_what_it_reads_again(asked):
    model, processor = asked
    engine = engine_for(model, processor, seed=3)
    assert type(engine) is TextEngine
    branches = engine.open(EXAM[:3])
    first = engine.meter.total
    assert first.read > 0 and first.again == 0
    engine.write(branches, limit=8)
    assert engine.meter.total.again == 0
    said = [generate_cot_answer(*asked, r["image"], r["question"], 8).text for r in EXAM[:3]]
    assert branches.text == said
    children = engine.fork(branches, [2, 0, 1])
    engine.read(children, "\nAnswer:")
    engine.write(children, limit=3, temperature=1.0)
    assert len(engine.score(children, ENDS)) == 3
    assert engine.meter.spent[0].again > engine.meter.spent[2].again > 0
    assert engine.meter.spent[1].again == 0
    thoughts = Once(temperature=1.0).think(*asked, EXAM[:3], seed=1, batch=3)
    assert thoughts == Once(temperature=1.0).think(*asked, EXAM[:3], seed=1, batch=1)


def test_a_budget_holds_on_a_chat_model(asked):
    whole = engine_for(*asked)
    whole.open(EXAM[:1])
    read = whole.meter.spent[0].tokens
    engine = engine_for(*asked, limit=read + 5)
    branches = engine.fork(engine.open(EXAM[:1]), 2)
    pieces = engine.write(branches, limit=20)
    assert [len(p.ids) for p in pieces] == [5, 0] or pieces[0].why == "end"
    assert pieces[1].why == "budget"
    assert engine.meter.left(0) >= 0
    with pytest.raises(BudgetSpent):
        engine.score(branches, ENDS)


def test_a_pool_goes_on_in_another_process(tmp_path):
    "A model that is loaded anew has the same weights, but for those that nothing reads"
    rows = scene_examples(4, "validation")
    first = sample_pool(*load_minivlm(device="cpu"), rows, 2, file=tmp_path / "pool.jsonl")
    lines = (tmp_path / "pool.jsonl").read_text().splitlines()
    (tmp_path / "pool.jsonl").write_text("\n".join(lines[:3]) + "\n")  # two of four questions
    again = sample_pool(*load_minivlm(device="cpu"), rows, 2, file=tmp_path / "pool.jsonl")
    assert again.chains == first.chains
