"""Strategies: the two that stand, a third, and how they are asked."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_asking import EXAMPLES, build, questions

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Cost, Strategy
from minivlm_cot.dataset import Questions
from minivlm_cot.generation import (
    AskOptions,
    Chain,
    Direct,
    Sampling,
    ask_all,
    generate_answers,
    generate_both,
    in_batches,
    prompts_of,
    row_generators,
    sample_answers,
    sample_chains,
    strategies_named,
)

SHORT = AskOptions(max_new_tokens=(12, 4))


class Vote(Strategy):
    "The answer of most of three chains"

    name = "vote"

    def __call__(self, model, processor, rows, task=None, options=SHORT):
        prompts = prompts_of(rows, "cot", task, options)
        drawn = sample_answers(model, processor, prompts, 3, replace(options, temperature=1.0))
        elected = [Counter(a.answer for a in some).most_common(1)[0][0] for some in drawn]
        return [replace(some[0], answer=a) for some, a in zip(drawn, elected)]


@pytest.fixture(scope="module")
def pair():
    return build()


def test_both_together_are_both_alone(pair):
    both = generate_both(*pair, *questions(13), (12, 4))
    assert ask_all([Chain(), Direct()], *pair, EXAMPLES, options=SHORT) == both
    assert ask_all([Direct()], *pair, EXAMPLES, options=SHORT) == dict(direct=both["direct"])
    assert Chain()(*pair, EXAMPLES, options=replace(SHORT, batch_size=3)) == both["cot"]


@pytest.mark.parametrize("same", (True, False))
def test_arms_whose_prompts_are_alike_are_asked_one_by_one(pair, same):
    class OneLine(Questions):
        "A task that asks in one way, or whose direct prompt is the beginning of the other"

        def prompt(self, row, style):
            return f"{row['question']}\n" + ("" if same or style == "direct" else "Steps:")

    said = ask_all([Chain(), Direct()], *pair, EXAMPLES[:3], OneLine(), SHORT)
    assert said["cot"] == Chain()(*pair, EXAMPLES[:3], OneLine(), SHORT)
    assert said["direct"] == Direct()(*pair, EXAMPLES[:3], OneLine(), SHORT)


def test_names_stand_in_the_order_in_which_they_were_asked(pair):
    options = replace(SHORT, seed=1)
    said = ask_all([Direct(), Vote(), Chain()], *pair, EXAMPLES[:3], options=options)
    assert list(said) == ["direct", "vote", "cot"]
    assert {len(answers) for answers in said.values()} == {3}
    with pytest.raises(InputError, match="Two strategies are named 'vote'"):
        ask_all([Vote(), Vote()], *pair, EXAMPLES[:3])


def test_sampled_answers_of_many_rows_are_those_of_any_batch(pair):
    prompts = prompts_of(EXAMPLES[:5], "cot")
    options = AskOptions(max_new_tokens=10, temperature=1.0, seed=2)
    drawn = sample_answers(*pair, prompts, 3, options)
    assert [len(some) for some in drawn] == [3] * 5
    assert sample_answers(*pair, prompts, 3, replace(options, batch_size=2)) == drawn
    assert len({a.text for some in drawn for a in some}) > 5
    image, question = EXAMPLES[0]["image"], EXAMPLES[0]["question"]
    assert sample_chains(*pair, image, question, 3, 1.0, options) == drawn[0]


def test_sampling_asked_together_is_drawn_apart(pair):
    bold = replace(SHORT, temperature=1.0, seed=5)
    said = ask_all([Chain(), Direct()], *pair, EXAMPLES[:4], options=bold)
    alone = generate_answers(*pair, *questions(4), "cot", 12, temperature=1.0, seed=5)
    assert said["cot"] == alone


def test_what_an_answer_costs(pair):
    (said,) = Direct()(*pair, EXAMPLES[:1], options=SHORT)
    read = len(pair[1].tokenizer(said.prompt, add_special_tokens=False)["input_ids"])
    assert said.truncated and said.cost == Cost(4, read, 4)
    assert replace(said, truncated=False).cost == Cost(4, read, 5)  # the end mark takes one more
    assert replace(said, passes=2).cost == Cost(4, read, 2)


def test_choices_are_shown_where_they_are_wanted(pair):
    shown = prompts_of(EXAMPLES[:2], "direct", options=AskOptions(with_choices=True)).texts
    assert all("Choices: " in text for text in shown)
    old = prompts_of(EXAMPLES[:2], "direct", options=AskOptions(old_prompt=True)).texts
    assert old[0] == f"Question: {EXAMPLES[0]['question']} Answer:"


@pytest.mark.parametrize("names", ["aloud", "cot,aloud", "", " , ", "cot,chain", None])
def test_names_that_are_none(names):
    with pytest.raises(InputError, match="strategy"):
        strategies_named(names)


@pytest.mark.parametrize("names", ["chain,direct", "cot, direct", " chain ,direct,"])
def test_names_of_a_command_line(names):
    assert [type(s) for s in strategies_named(names)] == [Chain, Direct]


@pytest.mark.parametrize(
    "wrong",
    [
        dict(batch_size=0),
        dict(batch_size=True),
        dict(max_new_tokens=0),
        dict(max_new_tokens=(3, 0)),
        dict(max_new_tokens=(1, 2, 3)),
        dict(temperature=-1),
        dict(seed="1"),
    ],
)
def test_options_that_cannot_be_meant(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        AskOptions(**wrong)


def test_numbers_of_numpy_are_numbers():
    options = AskOptions(np.int64(3), np.array([3, 4]).tolist(), np.float32(1), np.uint8(7))
    assert options == AskOptions(3, (3, 4), 1.0, 7)
    sampling = Sampling(np.int64(3), np.float32(0.5), copies=torch.tensor(2))
    assert sampling == Sampling(3, 0.5, None, 2)


def test_generators_are_those_of_the_texts():
    own = row_generators(0, range(4))
    assert Sampling(1, 1.0, own).generators_of([2, 0]) == [own[2], own[0]]
    assert Sampling(1, 1.0, own[0]).generators_of([2, 0]) is own[0]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")])
def test_batches_shrink_where_memory_ends(error):
    done, sizes = [], []

    def do(batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise error
        done.extend(batch)

    in_batches(do, range(20), 16)
    assert done == list(range(20)) and sizes[:4] == [16, 8, 4, 2] and set(sizes[3:]) == {2}


def test_an_error_that_is_none_of_memory_is_told():
    def fail(batch):
        raise error

    for error in (RuntimeError("broken"), torch.OutOfMemoryError("CUDA out of memory.")):
        with pytest.raises(type(error), match=str(error)[:6]):
            in_batches(fail, [1], 1)
