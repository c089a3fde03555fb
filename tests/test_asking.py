"""Asking: the weights that answer, seeds and batches, limits, memory."""

import json
import math
import tempfile

import pytest
import torch
from transformers import LlamaConfig

from minivlm_cot.core import InputError, free_memory
from minivlm_cot.dataset import (
    ARMS,
    CoTReasoningDataset,
    format_pair,
    gold_answer,
    parse_answer,
    tokenize_pairs,
)
from minivlm_cot.evaluation import Report, evaluate_cot, exact_match
from minivlm_cot.generation import (
    AskOptions,
    fitting_batch_size,
    generate_answers,
    generate_both,
    inference_copy,
    response_limit,
    row_generators,
    sample_chains,
    sample_token,
)
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    load_minivlm,
    save_minivlm,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.scenes import scene_examples
from minivlm_cot.training import TrainConfig, train_cot_vlm

EXAMPLES = scene_examples(13, "train")
TEXTS = [t for e in EXAMPLES for arm in ARMS for t in format_pair(e, arm)]
TINY = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)


def build(language=None):
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS, 320)
    vision = small_vision_config(32, 16, **TINY)
    language = language or small_language_config(tokenizer, num_key_value_heads=2, **TINY)
    model = MiniVLM.from_components(vision, language, device="cpu", summary=False).eval()
    return model, MiniVLMProcessor(small_image_processor(32), tokenizer)


def questions(n):
    return [e["image"] for e in EXAMPLES[:n]], [e["question"] for e in EXAMPLES[:n]]


def test_the_copy_in_bf16_follows_a_fused_optimizer():
    tokenizer = train_tokenizer(TEXTS, 320)
    size = dict(hidden_size=384, intermediate_size=64, num_attention_heads=4)
    model, processor = build(
        LlamaConfig(
            vocab_size=54_000,
            num_hidden_layers=1,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **size,
        )
    )
    first = inference_copy(model, "bf16")
    before = first.language_model.get_input_embeddings().weight.clone()
    data, right = CoTReasoningDataset(EXAMPLES[:8], processor, arms=("direct",)), []

    def validate(model, step):
        same = [
            a.data.bfloat16().equal(b.data)
            for a, b in zip(model.parameters(), inference_copy(model, "bf16").parameters())
        ]
        answers = {
            p: [
                a.answer
                for a in generate_answers(model, processor, *questions(8), "direct", 4, precision=p)
            ]
            for p in ("fp32", "bf16")
        }
        right.append(
            {
                p: sum(a == gold_answer(e) for a, e in zip(said, EXAMPLES))
                for p, said in answers.items()
            }
        )
        return dict(same=float(all(same)))

    config = TrainConfig(
        out=tempfile.mkdtemp(),
        epochs=40,
        batch_size=8,
        lr_language=2e-3,
        lr_projector=2e-3,
        warmup=1,
        compile="",
        validate_every=20,
    )
    history = train_cot_vlm(model, processor, data, config, validate, progress=False)
    assert [v["same"] for v in history.validations] == [1.0, 1.0]
    after = inference_copy(model, "bf16").language_model.get_input_embeddings().weight
    assert not after.equal(before)
    assert right[-1]["fp32"] >= 7 and abs(right[-1]["bf16"] - right[-1]["fp32"]) <= 1


@pytest.mark.parametrize("change", ["data", "in place", "load_state_dict"])
def test_the_copy_follows_every_way_of_changing_weights(change):
    model, _ = build()
    weight = model.projector.projection[0].weight
    inference_copy(model, "bf16")
    with torch.no_grad():
        if change == "data":
            weight.data = weight.data + 1
        elif change == "in place":
            weight.add_(1)
        else:
            model.load_state_dict({k: v + 1 for k, v in model.state_dict().items()})
    asked = inference_copy(model, "bf16").projector.projection[0].weight
    assert asked.equal(weight.bfloat16())


def test_a_seed_gives_the_same_texts_at_every_batch_size():
    model, processor = build()

    def ask(size, n=7, arm="cot"):
        return [
            a.text
            for a in generate_answers(
                model, processor, *questions(n), arm, 12, size, temperature=1.0, seed=3
            )
        ]

    assert ask(7) == ask(1) == ask(3)
    assert ask(7)[:4] == ask(2, 4)  # nor do later questions matter
    assert len(set(ask(7))) > 1


def test_chains_do_not_depend_on_how_many_are_drawn():
    model, processor = build()
    image, question = EXAMPLES[0]["image"], EXAMPLES[0]["question"]
    options = AskOptions(max_new_tokens=10, seed=0)
    asked = model, processor, image, question
    many, few = (sample_chains(*asked, k, 1.0, options) for k in (6, 2))
    assert [a.text for a in many[:2]] == [a.text for a in few]
    assert len({a.text for a in many}) > 1


def test_choose_draws_as_often_as_probable():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).repeat(4000, 1)
    shares = sample_token(logits, 1.0, row_generators(0, range(4000))).bincount(minlength=3) / 4000
    assert (shares - logits[0].softmax(-1)).abs().max() < 0.03
    assert sample_token(logits, 1e-40, row_generators(0, range(4000))).eq(2).all()
    never = torch.tensor([[-math.inf, 0.0, -math.inf]]).repeat(50, 1)
    assert sample_token(never, 1.0).eq(1).all()
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="temperature"):
            sample_token(logits, wrong)


@pytest.mark.parametrize("wrong", [0, -3, 2.5, True])
def test_sizes_that_are_none_are_refused(wrong):
    model, processor = build()
    for options in (dict(max_new_tokens=wrong), dict(batch_size=wrong)):
        with pytest.raises(InputError, match="whole number"):
            generate_answers(model, processor, *questions(1), "direct", **options)
    with pytest.raises(InputError, match="whole number"):
        generate_both(model, processor, *questions(1), (wrong, 4))


def test_limits_follow_what_was_taught(tmp_path):
    model, processor = build()
    assert (response_limit(model, "cot"), response_limit(model, "direct")) == (150, 20)
    long = dict(EXAMPLES[0], rationales=["It is red and round. " * 20])
    data = CoTReasoningDataset([long], processor)
    config = TrainConfig(out=tmp_path, precision="fp32", compile="")
    train_cot_vlm(model, processor, data, config, progress=False)
    taught = {a: sum(x != -100 for x in data[i]["labels"]) for i, a in enumerate(ARMS)}
    assert model.config.response_tokens == taught and taught["cot"] > 250
    again, _ = load_minivlm(save_minivlm(model, processor, tmp_path / "model"), "cpu")
    assert response_limit(again, "cot") == taught["cot"] + taught["cot"] // 4 + 8
    assert response_limit(again, "direct") < 20


def test_answers_that_ran_into_the_limit_are_counted():
    model, processor = build()
    said = generate_both(model, processor, *questions(13), (3, 2))
    assert all(a.truncated for a in said["cot"])  # random weights do not know the end mark
    report = evaluate_cot(model, processor, EXAMPLES, answers=said, blind=())
    arms = report.to_dict()["arms"]
    assert arms["cot"]["truncated_rate"] == 1.0
    assert "ran into the limit: CoT 100.0%" in report.table()


def test_reports_of_before_still_read():
    model, processor = build()
    said = generate_both(model, processor, *questions(13), (3, 2))
    rows = evaluate_cot(model, processor, EXAMPLES, answers=said, blind=()).rows
    old = json.loads(json.dumps(rows))
    for row in old:
        for answer in row["answers"].values():
            del answer["truncated"]
    report = Report(old)
    assert report.to_dict()["arms"]["cot"]["truncated_rate"] is None
    assert "ran into the limit" not in report.table()


def test_a_perfect_pupil_is_not_cut_short(real_scienceqa):
    tokenizer, rows = real_scienceqa
    processor = MiniVLMProcessor(small_image_processor(32), tokenizer)
    model, _ = build()
    data = CoTReasoningDataset(rows, processor)
    model.config.response_tokens = dict(data.response_tokens)
    assert data.cut_rationales == 0 and not data.left_out
    right = dict(cot=0, direct=0)
    for row in rows:
        for arm in ARMS:
            (item,) = tokenize_pairs(tokenizer, [format_pair(row, arm)], None)
            learned = [i for i, x in zip(item["input_ids"], item["labels"]) if x != -100]
            text = tokenizer.decode(learned[: response_limit(model, arm)][:-1])
            right[arm] += exact_match(parse_answer(text, arm), gold_answer(row))
    assert right["cot"] == right["direct"] >= len(rows) - 1


@pytest.fixture
def real_scienceqa():
    from transformers import PreTrainedTokenizerFast

    from minivlm_cot.dataset import load_examples, real_data

    data = real_data()
    if data is None:
        pytest.skip("MINIVLM_DATA is not set")
    file = str(data / "tokenizers/smollm2/tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, eos_token="<|endoftext|>")
    sample = data / "scienceqa/scienceqa_text_sample.jsonl"
    return tokenizer, load_examples("scienceqa", "train", folder=sample)


def test_rows_that_do_not_fit_are_left_out_by_name():
    _, processor = build()
    long = dict(EXAMPLES[0], question="What is it? " * 80, question_id="long")
    data = CoTReasoningDataset([*EXAMPLES[:3], long], processor, max_length=150)
    assert {data._about[t][0] for item in data._items for t in item} == {0, 1, 2}
    assert list(data.left_out) == [3] and "Question long" in data.left_out[3]
    with pytest.raises(InputError, match="No row fits"):
        CoTReasoningDataset([long], processor, max_length=150)


def test_rationales_that_were_cut_are_counted():
    _, processor = build()
    long = dict(EXAMPLES[0], rationales=["It is red and round. " * 20])
    assert CoTReasoningDataset([*EXAMPLES[:3], long], processor, max_length=150).cut_rationales == 1


def test_memory_where_there_is_no_sysconf(monkeypatch):
    import os

    monkeypatch.delattr(os, "sysconf")
    monkeypatch.delattr(os, "sysconf_names")
    model, _ = build()
    assert fitting_batch_size(model, 100) >= 1


@pytest.mark.parametrize("place", ["", "box/inner/"])
def test_a_container_has_less_memory_than_its_machine(tmp_path, place):
    base = tmp_path / "sys/fs/cgroup"
    (base / place).mkdir(parents=True)
    (base / place / "memory.max").write_text("3000000\n")
    (base / place / "memory.current").write_text("2500000\n")
    (base / place / "memory.stat").write_text("anon 5\ninactive_file 400000\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"0::/{place.strip('/')}\n")
    assert free_memory(tmp_path) == 900_000
    (base / place / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 1e6


def test_a_container_of_the_older_kind(tmp_path):
    folder = tmp_path / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("5000000\n")
    (folder / "memory.usage_in_bytes").write_text("1000000\n")
    assert free_memory(tmp_path) == 4_000_000
