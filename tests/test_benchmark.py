"""The benchmark times the library's own functions, not copies of them."""

import pytest
import torch
from minivlm_cot.engine import (
    Lengths,
    answering_ways,
    make_batch,
    pooled_model,
    preset_model,
    run_benchmark,
    scaling,
    training_ways,
)
from minivlm_cot.engine.benchmark import _chains, _equal_words
from minivlm_cot.core import InputError
from minivlm_cot.generation import generate_answers, generate_both
from minivlm_cot.model import MiniVLM


@pytest.fixture(scope="module")
def model():
    return preset_model("demo", "cpu")


def learned(model):
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def nothing_finite(module, args, out):
    return out * float("nan")


RUNGS = [
    "+ logits where learned",
    "+ bf16",
    "+ 4 texts a step",
    "+ attention for short texts",
    "+ both arms behind one picture",
    "+ four texts behind one picture",
    "4 image tokens, both arms",
]


@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_is_the_step_of_training(model, rung):
    "That step passes over a gradient that is not finite, and says so; another ruins the weights"
    way = training_ways(model, pooled_model(model, 2), batch_size=4, compiled=False)[rung]
    hook = model.projector.register_forward_hook(nothing_finite)
    before = {n: p.detach().clone() for n, p in learned(model).items()}
    try:
        said = way.run()
    finally:
        hook.remove()
    assert all(torch.equal(p, before[n]) for n, p in learned(model).items())
    assert said["skipped"] and said["sequences"] == way.items
    assert not way.run().get("skipped")
    assert model.language_model.config._attn_implementation == "sdpa"


def test_with_fewer_image_tokens_all_that_learns_is_stepped(model):
    pooled = pooled_model(model, 2)
    assert {id(p) for p in learned(pooled).values()} == {id(p) for p in learned(model).values()}
    way = training_ways(model, pooled, batch_size=4, compiled=False)["4 image tokens, both arms"]
    before = {n: p.detach().clone() for n, p in learned(pooled).items()}
    way.run()
    assert not any(torch.equal(p, before[n]) for n, p in learned(pooled).items() if p.ndim == 2)
    assert all(p.grad is None for p in learned(pooled).values())


def test_the_dials_are_steps_of_training_too(model):
    before = {n: p.detach().clone() for n, p in learned(model).items()}
    hook = model.projector.register_forward_hook(nothing_finite)
    try:
        scaling(model, progress=False)
    finally:
        hook.remove()
    assert all(torch.equal(p, before[n]) for n, p in learned(model).items())
    assert model.language_model.config._attn_implementation == "sdpa"


def counting(monkeypatch, name):
    "Count how often the library's own method is called"
    calls, own = [], getattr(MiniVLM, name)

    def counted(self, *args, **kwargs):
        calls.append(name)
        return own(self, *args, **kwargs)

    monkeypatch.setattr(MiniVLM, name, counted)
    return calls


def test_both_arms_and_chains_are_the_librarys_own(model, monkeypatch):
    both, one = counting(monkeypatch, "continue_arms"), counting(monkeypatch, "continue_prompts")
    ways = answering_ways(model, 2, few=1)
    said = ways["ours"].run()
    assert (len(both), len(one)) == (1, 0)
    limits = dict(cot=Lengths().response, direct=5)
    for arm, answers in said.items():  # none ended before
        assert {(a.n_tokens, a.truncated) for a in answers} == {(limits[arm], True)}
    ways["plain"].run()
    assert (len(both), len(one)) == (1, 0)  # the plain way is not
    chains = _chains(model)
    counts = {name: len(way.run()) for name, way in chains.items()}
    assert list(counts.values()) == [1, 16, 1, 1]
    assert len(one) == 4


def test_all_three_ways_are_given_and_say_the_same(model):
    ways = answering_ways(model, 3, few=3)
    ours, plain, theirs = (ways[n].run() for n in ("ours", "plain", "transformers' generate"))
    lengths = [[35] * 3, [5] * 3]
    assert [[a.n_tokens for a in answers] for answers in ours.values()] == lengths
    for ids in (plain, theirs):
        assert [[len(row) for row in part] for part in ids] == lengths
    assert _equal_words(model, 3)["fp32_as_plain"] == 1


def test_other_words_are_seen(model, monkeypatch):
    "A library that wrote other words, or stopped before the end, would not pass"
    from minivlm_cot.engine import benchmark

    def wrong(*args, **kwargs):
        said = generate_both(*args, **kwargs)
        for a in said["cot"]:
            a.text = a.text.replace(a.text.split(" ")[3], "w0")
        return said

    monkeypatch.setattr(benchmark, "generate_both", wrong)
    assert _equal_words(model, 2)["fp32_as_plain"] < 1

    def short(*args, **kwargs):
        return dict(cot=generate_answers(*args[:4], "cot", 7))

    monkeypatch.setattr(benchmark, "generate_both", short)
    with pytest.raises(ValueError):
        _equal_words(model, 2)


def test_a_batch_is_what_the_collator_makes(model):
    for k in (1, 2, 4):
        batch = make_batch(model, 4, per_picture=k)
        assert batch["attention_mask"].shape == batch["input_ids"].shape == batch["labels"].shape
        names = {"input_ids", "labels", "attention_mask", "image_features"}
        assert batch.keys() == names | ({"segments"} if k > 1 else set())
    assert "pixel_values" in make_batch(model, 4, padded=True, picture="pixel_values")


def test_texts_part_where_they_shall(model):
    "The same word by chance behind the question would make a row shorter than the others"
    for seed in range(60):
        batch = make_batch(model, 64, per_picture=2, seed=seed)
        assert batch["input_ids"].shape == (32, 20 + 2 * 40)


def test_what_is_unknown_is_refused():
    with pytest.raises(InputError, match="Unknown preset"):
        run_benchmark("gpt-9")
