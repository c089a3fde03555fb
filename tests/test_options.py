"""Numbers that cannot be meant, for every public option: one sentence, before anything is done.

NumPy's numbers are numbers.
"""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from test_asking import EXAMPLES, TINY, build, questions

from minivlm_cot.core import (
    InputError,
    check_seed,
    check_sizes,
    real_number,
    set_seed,
    whole_number,
)
from minivlm_cot.dataset import CoTReasoningDataset
from minivlm_cot.evaluation import (
    bootstrap_difference,
    clustered_interval,
    evaluate_cot,
    mcnemar_exact,
    predict_aokvqa,
    smallest_detectable_difference,
    wilson_interval,
)
from minivlm_cot.generation import (
    AskOptions,
    arm_limits,
    check_temperature,
    decode,
    fitting_batch_size,
    generate_answers,
    generate_both,
    generate_cot_answer,
    generate_direct_answer,
    rank_both,
    rank_choices,
    response_limit,
    row_generators,
    sample_chains,
    sample_token,
    Sampling,
)
from minivlm_cot.training import Recipe
from minivlm_cot.model import check_texts, small_language_config
from minivlm_cot.training import (
    TrainConfig,
    add_lora,
    newest_checkpoint,
    remember_limits,
    train_cot_vlm,
)

NONE_AT_ALL = [
    0,
    -3,
    2.5,
    8.0,
    True,
    False,
    np.True_,
    np.float64(2),
    math.nan,
    "8",
    b"8",
    [8],
    torch.tensor(True),
    1j,
]
assert TINY


@pytest.fixture(scope="module")
def pair():
    return build()


@pytest.mark.parametrize("wrong", NONE_AT_ALL, ids=repr)
def test_generation_refuses_what_is_no_size(pair, wrong):
    images, asked = questions(2)
    one, prompts = (*pair, images[0], asked[0]), ["Question: What?\nAnswer:"] * 2
    embeds, mask = torch.zeros(1, 4, 32), torch.ones(1, 4, dtype=torch.long)
    ranked = [["red", "blue"]] * 2
    asks = [
        lambda: generate_answers(*pair, images, asked, "cot", wrong),
        lambda: generate_answers(*pair, images, asked, "cot", 3, wrong),
        lambda: generate_both(*pair, images, asked, (wrong, 3)),
        lambda: generate_both(*pair, images, asked, (3, wrong)),
        lambda: generate_both(*pair, images, asked, (3, 3), wrong),
        lambda: generate_cot_answer(*one, wrong),
        lambda: generate_direct_answer(*one, wrong),
        lambda: sample_chains(*one, wrong, options=AskOptions(max_new_tokens=3)),
        lambda: sample_chains(*one, 2, options=AskOptions(max_new_tokens=wrong)),
        lambda: rank_choices(*pair, images, asked, ranked, options=AskOptions(wrong)),
        lambda: rank_both(*pair, images, asked, ranked, ["", ""], AskOptions(wrong)),
        lambda: pair[0].continue_prompts(pair[1], images, prompts, Sampling(wrong)),
        lambda: pair[0].continue_prompts(pair[1], images, prompts, Sampling(3, copies=wrong)),
        lambda: decode(pair[0], embeds, mask, 0, Sampling(wrong)),
        lambda: decode(pair[0], embeds, mask, 0, Sampling(3, copies=wrong)),
        lambda: row_generators(0, [0], wrong),
        lambda: fitting_batch_size(pair[0], 9, wrong),
        lambda: Sampling(wrong),
        lambda: arm_limits((wrong, 2)),
    ]
    for ask in asks:
        with pytest.raises(InputError, match="whole number"):
            ask()


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "0.7", True, None, [0.7], 1j], ids=repr)
def test_what_is_no_temperature_is_refused(pair, wrong):
    images, asked = questions(1)
    for ask in (
        lambda: generate_answers(*pair, images, asked, "cot", 3, temperature=wrong),
        lambda: sample_chains(*pair, images[0], asked[0], 2, wrong),
        lambda: sample_token(torch.zeros(1, 3), wrong),
        lambda: pair[0].continue_prompts(
            pair[1], images, ["Question: What?\n"], Sampling(3, wrong)
        ),
    ):
        with pytest.raises(InputError, match="temperature"):
            ask()
    assert check_temperature(np.float32(0.5)) == 0.5


@pytest.mark.parametrize("wrong", [2.5, "1", True, 2**70, [1]], ids=repr)
def test_what_is_no_seed_is_refused(pair, wrong, tmp_path):
    images, asked = questions(1)
    for ask in (
        lambda: generate_answers(*pair, images, asked, "cot", 3, temperature=1.0, seed=wrong),
        lambda: set_seed(wrong),
        lambda: TrainConfig(seed=wrong),
        lambda: bootstrap_difference([1, 0], [0, 1], seed=wrong),
        lambda: evaluate_cot(*pair, EXAMPLES[:2], seed=wrong),
        lambda: check_seed(wrong),
    ):
        with pytest.raises(InputError, match="seed is"):
            ask()


def test_numbers_of_numpy_are_numbers(pair):
    images, asked = questions(3)
    for number in (np.int64, np.int32, np.uint8, torch.tensor):
        said = generate_answers(
            *pair,
            images,
            asked,
            "cot",
            number(4),
            number(2),
            temperature=np.float32(1),
            seed=number(3),
        )
        assert [a.text for a in said] == [
            a.text
            for a in generate_answers(*pair, images, asked, "cot", 4, 2, temperature=1.0, seed=3)
        ]
        short = AskOptions(max_new_tokens=number(3), seed=number(0))
        assert len(sample_chains(*pair, images[0], asked[0], number(2), options=short)) == 2
        assert generate_both(*pair, images, asked, np.array([3, 2]), number(2)) == generate_both(
            *pair, images, asked, (3, 2), 2
        )
        assert type(whole_number(number(4), "n")) is int and check_sizes(a=number(4)) == 4


def test_one_for_each_question(pair):
    images, asked = questions(2)
    for ask in (generate_both, lambda *a, **k: generate_answers(*a, arm="cot", **k)):
        for wrong in (
            dict(images=images[:1], questions=asked),
            dict(images=None, questions=asked),
            dict(images=images, questions="ab"),
            dict(images=images, questions=asked, choices=[["red"]]),
            dict(images=images, questions=asked, choices=[["red"]] * 3),
        ):
            with pytest.raises(InputError):
                ask(*pair, **wrong)
    for wrong in (5, None, (5,), (1, 2, 3), "55", {"cot": 5, "direct": 5}):
        for ask in (
            lambda: generate_both(*pair, images, asked, wrong),
            lambda: evaluate_cot(*pair, EXAMPLES[:2], max_new_tokens=wrong),
            lambda: predict_aokvqa(*pair, EXAMPLES[:2], max_new_tokens=wrong),
        ):
            with pytest.raises(InputError, match="max_new_tokens"):
                ask()
    with pytest.raises(InputError, match="2 texts"):
        sampling = Sampling(2, 1.0, row_generators(0, [0]))
        pair[0].continue_prompts(pair[1], images, asked, sampling)
    with pytest.raises(InputError, match="Unknown arm"):
        response_limit(pair[0], "aloud")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, None, "2", math.nan, np.True_], ids=repr)
def test_training_refuses_what_is_no_count(wrong):
    for name in ("epochs", "batch_size", "gradient_accumulation", "save_every"):
        with pytest.raises(InputError, match=f"{name} is"):
            TrainConfig(**{name: wrong})
    for name in (
        "pictures",
        "encoder_steps",
        "base_turns",
        "cot_epochs",
        "batch_size",
        "validation",
        "test",
        "ood",
    ):
        with pytest.raises(InputError, match=f"{name} is"):
            Recipe(**{name: wrong}).check()
    if wrong is not None and wrong != 0:
        for name in ("validate_every", "num_workers", "warmup"):
            with pytest.raises(InputError, match=f"{name} is"):
                TrainConfig(**{name: wrong})


@pytest.mark.parametrize("wrong", [-1, True, None, "1e-4", math.nan, [1e-4]], ids=repr)
def test_training_refuses_what_is_no_rate(wrong):
    for name in ("lr_language", "lr_projector", "weight_decay", "decay", "clip"):
        with pytest.raises(InputError, match=f"{name} is"):
            TrainConfig(**{name: wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        dict(fresh="no"),
        dict(fresh=1),
        dict(gradient_checkpointing="false"),
        dict(gradient_checkpointing=None),
        dict(out=None),
        dict(out=3),
        dict(cache=None),
        dict(cache=True),
        dict(compile=None),
        dict(compile=True),
        dict(compile="nobody"),
        dict(optimizer=None),
        dict(schedule=3),
        dict(precision=True),
    ],
    ids=repr,
)
def test_training_refuses_other_choices(wrong):
    with pytest.raises(InputError):
        TrainConfig(**wrong)


def test_a_run_with_numbers_of_numpy_goes_on(pair, tmp_path):
    model, processor = build()
    numbers = dict(
        epochs=np.int64(1),
        batch_size=np.int32(2),
        save_every=np.int64(1),
        seed=np.int64(0),
        lr_language=np.float32(1e-3),
        warmup=np.uint8(1),
    )
    config = TrainConfig(out=tmp_path, precision="fp32", compile="", **numbers)
    assert json.dumps(config.settings)
    train_cot_vlm(
        model, processor, CoTReasoningDataset(EXAMPLES[:4], processor), config, progress=False
    )
    assert newest_checkpoint(tmp_path / "checkpoint.pt")["step"] == 4
    plain = {k: v.item() for k, v in numbers.items()}
    again = TrainConfig(out=tmp_path, precision="fp32", compile="", **plain)
    assert again.settings == config.settings and again.identity == config.identity
    assert json.dumps(asdict(Recipe(pictures=np.int64(3), seed=np.int64(1)).check()))


@pytest.mark.parametrize("wrong", [0, -4, 2.5, True, "16", None], ids=repr)
def test_lora_refuses_what_is_no_rank(pair, wrong):
    pytest.importorskip("peft")
    with pytest.raises(InputError, match="rank is"):
        add_lora(pair[0], wrong)


def test_evaluation_refuses_what_is_no_share():
    for wrong in (0, 1, 2, -1, math.nan, "0.9", None, True):
        for ask in (
            lambda: wilson_interval(1, 2, wrong),
            lambda: clustered_interval([1, 0], confidence=wrong),
            lambda: bootstrap_difference([1, 0], [0, 1], confidence=wrong),
            lambda: smallest_detectable_difference(9, power=wrong),
            lambda: smallest_detectable_difference(9, alpha=wrong),
        ):
            with pytest.raises(InputError):
                ask()
    for wrong in (0, -3, True, "9", None):
        for ask in (
            lambda: bootstrap_difference([1, 0], [0, 1], n=wrong),
            lambda: smallest_detectable_difference(wrong),
            lambda: wilson_interval(0, wrong),
        ):
            with pytest.raises(InputError):
                ask()
    assert wilson_interval(np.int64(1), np.int64(2)) == wilson_interval(1, 2)


def test_a_negative_seed_is_a_seed(pair):
    assert bootstrap_difference([1, 0, 1], [0, 1, 0], seed=-1) == bootstrap_difference(
        [1, 0, 1], [0, 1, 0], seed=-1
    )
    set_seed(-1)


@pytest.mark.parametrize(
    "wrong", [["yes", "no"], [None, True], [math.nan, 1.0], [2, 1], [0.5, 1]], ids=repr
)
def test_right_or_not_and_nothing_else(wrong):
    with pytest.raises(InputError, match="right or not"):
        mcnemar_exact(wrong, [True, False])
    with pytest.raises(InputError, match="right or not"):
        clustered_interval(wrong)
    assert mcnemar_exact([1, 0], np.array([1.0, 0.0]))["both"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        dict(batch_size=0),
        dict(batch_size=2.5),
        dict(blind="cot"),
        dict(blind=("aloud",)),
        dict(max_new_tokens=(0, 2)),
    ],
    ids=repr,
)
def test_an_exam_refuses_before_it_asks(wrong):
    with pytest.raises(InputError):
        evaluate_cot(None, None, EXAMPLES[:2], **wrong)


def rationales(*texts):
    return dict(EXAMPLES[0], rationales=list(texts))


def test_a_limit_is_never_lower_than_what_was_taught(tmp_path):
    model, processor = build()

    def teach(row, name):
        config = TrainConfig(out=tmp_path / name, precision="fp32", compile="")
        train_cot_vlm(
            model, processor, CoTReasoningDataset([row], processor), config, progress=False
        )
        return dict(model.config.response_tokens)

    long = teach(rationales("It is red and round. " * 20), "long")
    assert teach(rationales("It is red."), "short") == long
    assert teach(rationales("It is red and round. " * 25), "longer")["cot"] > long["cot"]
    model.config.response_tokens = dict(cot=7, caption=30)
    remember_limits(model, object())
    assert model.config.response_tokens == dict(cot=7, caption=30)


@pytest.mark.parametrize("together", [True, False])
def test_every_rationale_is_checked_before_the_first_step(together, tmp_path):
    model, processor = build(
        small_language_config(
            build()[1].tokenizer, num_key_value_heads=2, max_position_embeddings=200, **TINY
        )
    )
    short, long = "It is red.", "It is red and round. " * 40
    for texts in ((short, long), (long, short), (short, short, short, long)):
        data = CoTReasoningDataset([rationales(*texts)] * 3, processor, together=together)
        with pytest.raises(
            InputError, match=f"Question {EXAMPLES[0]['question_id']}.*has 200 positions"
        ):
            train_cot_vlm(
                model,
                processor,
                data,
                TrainConfig(out=tmp_path / "run", precision="fp32", compile=""),
                progress=False,
            )
        assert not (tmp_path / "run").exists()
    check_texts(model, CoTReasoningDataset([rationales(short, short + " Yes.")], processor))
    processor.tokenizer.add_tokens(["<look>"])
    for texts in ((short, "It <look> is red."), ("It <look> is red.", short)):
        with pytest.raises(InputError, match="resize_token_embeddings"):
            check_texts(model, CoTReasoningDataset([rationales(*texts)], processor))


def test_limits_count_every_rationale(tmp_path):
    model, processor = build()
    rows = [rationales("It is red.", "It is red and round. " * n) for n in (3, 4, 5)]
    data = CoTReasoningDataset(rows, processor, together=True)
    train_cot_vlm(
        model,
        processor,
        data,
        TrainConfig(out=tmp_path, precision="fp32", compile=""),
        progress=False,
    )
    every = CoTReasoningDataset(rows, processor, every_rationale=True)
    assert model.config.response_tokens == every.response_tokens
    assert {n for n, _ in data.later_texts()} <= {0, 1, 2} and len(data.later_texts()) == 3
    assert every.later_texts() == []
