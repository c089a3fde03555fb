"""A sliding window under any name: longer texts are read apart, others as before."""

import pytest
import torch
import transformers as T
from test_architectures import GROUPS, ROWS, G, build, greedy, losses_alone

import minivlm_cot.model.limits as limits
import minivlm_cot.model.probing as probing
from minivlm_cot.dataset import ARMS, Collator, CoTReasoningDataset, format_prompt
from minivlm_cot.generation import generate_answers, generate_both
from minivlm_cot.model import capabilities, may_batch, may_pack
from minivlm_cot.training import TrainConfig, train_cot_vlm


class SpanConfig(T.MistralConfig):
    model_type = "span"

    def __init__(self, reach=40, **kwargs):
        super().__init__(**kwargs | dict(sliding_window=None))
        self.reach = reach


class Span(T.MistralForCausalLM):
    "Mistral, whose window has another name"

    config_class = SpanConfig

    def __init__(self, config):
        super().__init__(config)
        body, whole = self.model, self.model.forward

        def forward(*args, **kwargs):
            body.config.sliding_window = config.reach
            try:
                return whole(*args, **kwargs)
            finally:
                body.config.sliding_window = None

        body.forward = forward


T.AutoConfig.register("span", SpanConfig)
T.AutoModelForCausalLM.register(SpanConfig, Span)
QUESTIONS = [
    "What colour is it?",
    "Is the small cube left of the ball, and is the ball red, or is it blue?",
]


def check_exact(model, processor):
    "Training's loss in the tree, and the words of batches, are those of one text alone"
    collate = Collator(processor)
    data = CoTReasoningDataset(ROWS, processor, together=True)
    with torch.no_grad():
        loss = model(**collate([data[i] for i in range(len(data))])).loss.item()
    assert loss == pytest.approx(losses_alone(model, processor), rel=1e-5)
    images = [r["image"] for r in ROWS]
    words = {
        arm: [
            greedy(model, processor, r["image"], format_prompt(r["question"], arm), 5) for r in ROWS
        ]
        for arm in ARMS
    }
    both = generate_both(model, processor, images, QUESTIONS, max_new_tokens=(5, 5), batch_size=2)
    assert {arm: [a.text for a in both[arm]] for arm in ARMS} == words
    assert [
        a.text
        for a in generate_answers(model, processor, images, QUESTIONS, "cot", 5, batch_size=2)
    ] == words["cot"]


@pytest.mark.parametrize("reach", [14, 25, 40, 60])
def test_a_window_under_an_unknown_name_is_seen(reach):
    model, processor = build(SpanConfig(**G, reach=reach))
    lm = model.language_model
    assert capabilities(lm).window is None and capabilities(lm).packed
    check_exact(model, processor)
    assert may_pack(lm, 10) and may_batch(lm, 10)
    assert not may_pack(lm, 128) and not may_batch(lm, 128)


@pytest.mark.parametrize("name", GROUPS["window"])
def test_windows_are_seen_without_their_names(name, monkeypatch):
    monkeypatch.setattr(probing, "_window", lambda config: None)
    monkeypatch.setattr(probing, "_BY_CONFIG", {})
    model, processor = build(GROUPS["window"][name]())
    assert capabilities(model.language_model).window is None
    assert not may_pack(model.language_model, 96) and not may_batch(model.language_model, 96)
    check_exact(model, processor)


def test_without_a_window_every_length_is_read_as_before():
    for name in ("llama", "gpt2", "qwen2"):
        model, _ = build(GROUPS["packed"][name]())
        assert may_pack(model.language_model, 200) and may_batch(model.language_model, 200)


def test_each_size_is_looked_at_once(monkeypatch):
    monkeypatch.setattr(probing, "_BY_CONFIG", {})
    model, processor = build(GROUPS["packed"]["llama"]())
    looks, real = [], limits._as_alone
    monkeypatch.setattr(limits, "_as_alone", lambda *args: looks.append(args[1:]) or real(*args))
    for length in (50, 60, 64, 20, 65, 90):
        assert may_batch(model.language_model, length)
    assert looks == [("batched", 64), ("batched", 96)]
    for question in QUESTIONS:  # alone: nothing to look at
        generate_answers(model, processor, [ROWS[0]["image"]], [question], "cot", 100)
    assert len(looks) == 2


def test_training_looks_before_its_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "_BY_CONFIG", {})
    model, processor = build(SpanConfig(**G, reach=20))
    real, when = limits._as_alone, []
    monkeypatch.setattr(
        limits, "_as_alone", lambda *args: when.append((tmp_path / "run").exists()) or real(*args)
    )
    config = TrainConfig(out=tmp_path / "run", precision="fp32", compile="", batch_size=2)
    train_cot_vlm(model, processor, ROWS, config, progress=False)
    assert when[0] is False
