"""Step head and self-check under odd input: empty chains, other models, broken files."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from minivlm_cot.core import InputError
from minivlm_cot.model import load_minivlm
from minivlm_cot.reasoning import (
    CHECK,
    chain_steps,
    correction,
    exercises,
    fit_step_head,
    Once,
    Refine,
    revised,
    SelfCheck,
    StepHead,
)
from minivlm_cot.scenes import scene_examples


@pytest.fixture(scope="module")
def ready():
    return load_minivlm(device="cpu")


@pytest.fixture(scope="module")
def asked(ready):
    rows = scene_examples(13, "validation")
    return rows, [t.chain for t in Once().think(*ready, rows)]


@pytest.mark.parametrize("judge", [StepHead.load, SelfCheck])
def test_a_judge_scores_every_step_whatever_stands_beside_it(ready, asked, judge):
    rows, chains = asked
    judge = judge(*ready) if judge is SelfCheck else judge(None, *ready)
    odd = ["", ".", "no idea at all", chains[0].split(". ")[0], chains[0] + " " + chains[0]]
    mixed = judge.score(rows + [rows[0]] * len(odd), chains + odd)
    assert [len(own) for own in mixed] == [len(chain_steps(c)) for c in chains + odd]
    assert all(0 <= s <= 1 for own in mixed for s in own)
    alone = [judge.score([row], [chain])[0] for row, chain in zip(rows, chains)]
    assert np.allclose(np.concatenate(alone), np.concatenate(mixed[:13]), atol=1e-4)


def test_a_beginning_has_the_scores_of_the_whole(ready, asked):
    rows, chains = asked
    n = max(range(13), key=lambda n: len(chain_steps(chains[n])))
    whole = StepHead.load(None, *ready).score([rows[n]], [chains[n]])[0]
    begun = StepHead.load(None, *ready).score([rows[n]], [" ".join(chain_steps(chains[n])[:2])])[0]
    assert np.allclose(begun, whole[:2], atol=1e-4)


def test_a_head_of_another_model_is_refused(ready, tmp_path):
    model, processor = load_minivlm(device="cpu")
    with torch.no_grad():
        next(model.projector.parameters()).add_(1)
    with pytest.raises(InputError, match="another model"):
        StepHead.load(None, model, processor)


@pytest.mark.parametrize(
    "weights", [{}, {"0.weight": torch.zeros(1, 129)}, {"0.weight": torch.zeros(3)}]
)
def test_half_a_head_is_refused(ready, tmp_path, weights):
    save_file(weights, tmp_path / "half.safetensors")
    with pytest.raises(InputError, match="no whole step head"):
        StepHead.load(tmp_path / "half.safetensors", *ready)


def test_no_head_is_refused(ready, tmp_path):
    with pytest.raises(InputError, match="no whole step head"):
        StepHead.load(tmp_path / "none.safetensors", *ready)


def test_a_head_is_fitted_alike_each_time():
    states = torch.randn(300, 9, generator=torch.Generator().manual_seed(1))
    good = states[:, 0] > 0
    one, two = (fit_step_head(states, good, width) for width in (4, 4))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
    said = fit_step_head(states, good, 0, epochs=1000)(states)[:, 0] > 0
    assert (said == good).float().mean() > 0.95
    with pytest.raises(InputError, match="both kinds"):
        fit_step_head(states, [True] * 300)


def test_every_correction_leads_to_the_right_chain():
    for row in scene_examples(130, "ood_hops") + scene_examples(130, "train"):
        gold = chain_steps(row["rationales"][0])
        if len(set(gold)) < len(gold):  # a step that is said twice: no exercise is made of it
            assert correction(row, " ".join(gold[:-1])) is None
            continue
        for end in range(1, len(gold) + 1):
            chain = " ".join(gold[:end])
            assert revised(chain + CHECK + correction(row, chain)) == gold
            chain = " ".join([*gold[: end - 1], "This is no step."])
            assert f"step {end} is wrong" in correction(row, chain)
            assert revised(chain + CHECK + correction(row, chain)) == gold


@pytest.mark.parametrize(
    "check", [" step 99 is wrong. Fix: a.", " step 0 is wrong. Fix: a.", "", " x"]
)
def test_a_senseless_check_breaks_nothing(check):
    assert all(isinstance(step, str) for step in revised(f"a. b.{CHECK}{check}\nAnswer: 1"))


def test_no_exercise_from_nothing():
    assert exercises([], [], 10) == []
    rows = scene_examples(3, "train")
    assert exercises(rows, [[""], ["\n"], []], 10) == []


@pytest.mark.parametrize("limit", [110, 130, 160])
def test_refining_keeps_to_its_budget(ready, limit):
    rows = scene_examples(13, "validation")
    for thought in Refine(2).think(*ready, rows, limit=limit):
        assert thought.spent.tokens <= limit
