"""Added words, missing marks, too long texts, memory that ends, and other libraries' calls."""

import errno

import pytest
import torch
import transformers as T
from PIL import Image

import minivlm_cot.model.building as building
from minivlm_cot.core import InputError, set_seed
from minivlm_cot.dataset import CoTReasoningDataset
from minivlm_cot.generation import (
    AskOptions,
    ChatVLM,
    fitting_batch_size,
    generate_answers,
    generate_both,
    generate_cot_answer,
    inference_copy,
    rank_choices,
    sample_chains,
)
from minivlm_cot.model import (
    Capabilities,
    MiniVLM,
    MiniVLMProcessor,
    capabilities,
    check_length,
    load_minivlm,
    probe,
    save_minivlm,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.training import TrainConfig, train_cot_vlm

TEXT = ["What colour is the ball?", "Let me think step by step:", "Question: Answer: red blue"] * 9
RED = Image.new("RGB", (40, 40), "red")
SMALL = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
)


def words(tokenizer):
    return dict(
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build(config=None, **kwargs):
    set_seed(0)
    tokenizer = train_tokenizer(TEXT)
    config = config(tokenizer) if config else small_language_config(tokenizer, **SMALL)
    vision = small_vision_config(
        40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = MiniVLM.from_components(
        vision, config, drop_cls=True, device="cpu", summary=False, **kwargs
    ).eval()
    return model, MiniVLMProcessor(small_image_processor(40), tokenizer)


def row(question="What colour is it?"):
    return dict(
        question_id="a",
        question=question,
        choices=["red", "blue"],
        correct_choice_idx=0,
        direct_answers=None,
        rationales=["It is red."],
        image=RED,
    )


def test_another_table_of_words_is_the_language_models():
    model, processor = build()
    given = torch.nn.Embedding(len(processor.tokenizer), SMALL["hidden_size"])
    model.set_input_embeddings(given)
    assert model.language_model.get_input_embeddings() is given is model.get_input_embeddings()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("through_the_part", [True, False])
def test_added_words_are_kept(tied, through_the_part, tmp_path):
    model, processor = build(
        lambda tok: small_language_config(tok, **SMALL, tie_word_embeddings=tied)
    )
    processor.tokenizer.add_tokens(["<think>", "<look>"], special_tokens=True)
    n = len(processor.tokenizer)
    (model.language_model if through_the_part else model).resize_token_embeddings(n)
    again, processor_again = load_minivlm(save_minivlm(model, processor, tmp_path / "m"), "cpu")
    for m in (model, again):
        sizes = [
            len(m.get_input_embeddings().weight),
            len(m.get_output_embeddings().weight),
            m.config.text_config.vocab_size,
            m.language_model.config.vocab_size,
        ]
        assert sizes == [n] * 4
        assert (m.get_input_embeddings().weight is m.get_output_embeddings().weight) == tied
    x = processor(images=RED, text="<look> What?")
    with torch.no_grad():
        assert torch.equal(model(**x).logits, again(**x).logits)
    assert processor_again.tokenizer("<look>")["input_ids"] == [n - 1]


def test_words_that_the_model_has_no_vectors_for_are_refused(tmp_path):
    model, processor = build()
    processor.tokenizer.add_tokens(["<think>"])
    with pytest.raises(InputError, match="resize_token_embeddings"):
        generate_cot_answer(model, processor, RED, "<think> What?", 2)
    with pytest.raises(InputError, match="resize_token_embeddings"):
        train_cot_vlm(
            model,
            processor,
            [row("What is <think>?")],
            TrainConfig(out=str(tmp_path / "run"), precision="fp32"),
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_without_an_end_mark_is_refused():
    bare = T.PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(TEXT).backend_tokenizer, pad_token="<pad>"
    )
    with pytest.raises(InputError, match="no end mark"):
        MiniVLMProcessor(small_image_processor(40), bare)
    bare.eos_token = "<eos>"
    assert MiniVLMProcessor(small_image_processor(40), bare).tokenizer.pad_token == "<pad>"


def table(tok):
    return T.GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=64, **words(tok))


def rotary(tok):
    return small_language_config(tok, **SMALL, max_position_embeddings=64)


@pytest.mark.parametrize("config", [table, rotary])
def test_too_long_is_refused_before_the_first_word_or_step(config, tmp_path):
    model, processor = build(config)
    long = "What colour is it? " * 30
    asks = [
        lambda: generate_cot_answer(model, processor, RED, long, max_new_tokens=2),
        lambda: generate_both(model, processor, [RED], [long], max_new_tokens=(2, 2)),
        lambda: sample_chains(model, processor, RED, long, 2, options=AskOptions(max_new_tokens=2)),
        lambda: rank_choices(model, processor, [RED], [long], [["red", "blue"]]),
        lambda: model.generate(**processor(images=RED, text=long), max_new_tokens=2),
        lambda: model(**processor(images=RED, text=long)),
        lambda: train_cot_vlm(
            model,
            processor,
            CoTReasoningDataset([row(long)], processor, max_length=4096, together=True),
            TrainConfig(out=str(tmp_path / "run"), precision="fp32"),
            progress=False,
        ),
    ]
    for ask in asks:
        with pytest.raises(InputError, match="has 64 positions"):
            ask()
    assert not (tmp_path / "run").exists()
    assert generate_cot_answer(model, processor, RED, "What?", max_new_tokens=2).n_tokens <= 2


def test_what_is_to_be_written_counts_where_the_table_ends():
    model, processor = build(table)
    with pytest.raises(InputError, match="lower max_new_tokens"):
        generate_cot_answer(model, processor, RED, "What?", max_new_tokens=60)
    with pytest.raises(InputError, match="lower max_new_tokens"):
        generate_both(model, processor, [RED], ["What?"], max_new_tokens=(60, 2))
    model, processor = build(rotary)
    assert generate_cot_answer(model, processor, RED, "What?", max_new_tokens=60).n_tokens <= 60


def test_a_packed_row_may_be_longer_than_its_texts():
    model, _ = build(table)
    check_length(
        model.language_model, torch.ones(1, 1, 100, 100), positions=torch.arange(50).repeat(2)[None]
    )
    with pytest.raises(InputError):
        check_length(
            model.language_model, torch.ones(1, 1, 100, 100), positions=torch.arange(100)[None]
        )


def test_the_ready_model_says_so_too():
    model, processor = load_minivlm(device="cpu")
    with pytest.raises(InputError, match="has 512 positions"):
        generate_cot_answer(
            model,
            processor,
            Image.new("RGB", (80, 80)),
            "What colour is the ball? " * 480,
            max_new_tokens=4,
        )


def gemma2(tok):
    return T.Gemma2Config(
        **SMALL, head_dim=16, attn_logit_softcapping=2.0, initializer_range=0.2, **words(tok)
    )


@pytest.mark.parametrize("kernel", ["eager", None])
def test_a_cap_on_attention_scores_holds_with_every_kernel(kernel):
    model, processor = build(gemma2, **(dict(attn_implementation=kernel) if kernel else {}))
    x = processor(images=RED, text="What colour is the ball?")
    with torch.no_grad():
        wanted = model(**x).logits
        model.language_model.set_attn_implementation("small")
        assert torch.allclose(model(**x).logits, wanted, atol=1e-5)
        model.language_model.set_attn_implementation("eager")
        assert torch.allclose(model(**x).logits, wanted, atol=1e-5)
    assert (
        generate_cot_answer(
            model, processor, RED, "What?", max_new_tokens=3, options=AskOptions(precision="bf16")
        ).n_tokens
        <= 3
    )


def test_a_kernel_that_changes_the_result_is_not_taken():
    def sinks(tok):
        return T.GptOssConfig(
            **SMALL, head_dim=16, num_local_experts=4, initializer_range=0.2, **words(tok)
        )

    model, processor = build(sinks)
    assert not capabilities(model.language_model).small
    assert inference_copy(model, "bf16").language_model.config._attn_implementation == "eager"
    assert (
        generate_cot_answer(
            model, processor, RED, "What?", max_new_tokens=3, options=AskOptions(precision="bf16")
        ).n_tokens
        <= 3
    )


def test_names_of_sizes_differ():
    def neo(tok):
        return T.GPTNeoConfig(
            hidden_size=32,
            num_layers=2,
            num_heads=2,
            attention_types=[[["global", "local"], 1]],
            **words(tok),
        )

    model, processor = build(neo)
    assert fitting_batch_size(model, 50) >= 1
    assert (
        generate_both(model, processor, [RED], ["What?"], max_new_tokens=(2, 2))["cot"][0].n_tokens
        <= 2
    )
    assert len(rank_choices(model, processor, [RED], ["What?"], [["red", "blue"]])[0]) == 2


def test_one_by_one_also_where_several_are_drawn():
    def lfm2(tok):
        return T.Lfm2Config(
            **SMALL | dict(num_hidden_layers=2),
            layer_types=["conv", "full_attention"],
            initializer_range=0.2,
            **words(tok),
        )

    model, processor = build(lfm2)
    short = AskOptions(max_new_tokens=3, seed=0)
    assert len(sample_chains(model, processor, RED, "What?", 3, options=short)) == 3
    two = processor(images=[RED, RED], text=["What?", "What colour is the ball?"])
    with pytest.raises(InputError, match="ask one by one"):
        model.generate(**two, max_new_tokens=2)
    texts = [
        generate_answers(model, processor, [RED], [q], "direct", 4)[0].text
        for q in ("What?", "What colour is the ball?")
    ]
    assert [
        a.text
        for a in generate_answers(
            model, processor, [RED, RED], ["What?", "What colour is the ball?"], "direct", 4
        )
    ] == texts


def test_the_probe_leaves_no_trace():
    model, _ = build()
    model.train()
    before, state = torch.get_rng_state(), {n: w.clone() for n, w in model.named_parameters()}
    found = probe(model.language_model)
    assert torch.equal(before, torch.get_rng_state()) and model.language_model.training
    assert all(torch.equal(w, state[n]) and w.grad is None for n, w in model.named_parameters())
    assert found == capabilities(model.language_model) == Capabilities(small=True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_ends_is_no_broken_file(error, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(MiniVLM, "from_pretrained", fail)
    with pytest.raises(InputError, match="not enough memory"):
        load_minivlm(device="cpu")
    monkeypatch.setattr(building.AutoConfig, "from_pretrained", fail)
    with pytest.raises(InputError, match="not enough memory"):
        MiniVLM.from_components("some/encoder", "some/model")


def test_the_processor_is_called_like_others(tmp_path):
    model, processor = build()
    texts = ["What?", "What colour is the ball?"]
    x = processor(images=[RED, RED], text=texts, return_tensors="pt", padding=True)
    assert (
        set(x) == {"input_ids", "attention_mask", "pixel_values"} and x["attention_mask"][0, 0] == 0
    )
    assert processor(images=RED, text=texts[0], return_tensors="pt")["pixel_values"].shape == (
        1,
        3,
        40,
        40,
    )
    assert processor(text=texts, padding=True, truncation=True, max_length=2, return_tensors="pt")[
        "input_ids"
    ].shape == (2, 2)
    assert processor(text=texts, padding="max_length", max_length=40)["input_ids"].shape == (2, 40)
    with pytest.raises(InputError, match="one tensor"):
        processor(text=texts, padding=False)
    with pytest.raises(InputError, match="use 'pt'"):
        processor(text=texts, return_tensors="np")
    save_minivlm(model, processor, tmp_path / "m")
    again = T.AutoModelForImageTextToText.from_pretrained(tmp_path / "m")
    assert type(again) is MiniVLM
    read = T.AutoProcessor.from_pretrained(tmp_path / "m")(
        images=[RED, RED], text=texts, return_tensors="pt", padding=True
    )
    assert torch.equal(
        again.generate(**read, max_new_tokens=3, do_sample=False),
        model.generate(**x, max_new_tokens=3, do_sample=False),
    )


class Bare(T.ProcessorMixin):
    def __init__(self, template=None, tokenizer=None):
        self.chat_template, self.tokenizer = template, tokenizer or train_tokenizer(TEXT)

    def apply_chat_template(self, turns, chat_template=None, **kwargs):
        return (chat_template or self.chat_template) + turns[0]["content"][1]["text"]

    def __call__(self, text, images, **kwargs):
        return T.BatchFeature(dict(self.tokenizer(text, padding=True, return_tensors="pt")))


class Stand(torch.nn.Module):
    device = torch.device("cpu")


def test_chat_models_without_template_or_padding_token():
    asked = [RED, RED], ["Question: What?\nAnswer:", "Question: What colour?\nAnswer:"]
    with pytest.raises(InputError, match="no chat template"):
        ChatVLM(Stand()).inputs(Bare(), *asked)
    unpadded = T.PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(TEXT).backend_tokenizer, eos_token="<eos>"
    )
    assert ChatVLM(Stand()).inputs(Bare("<s>", unpadded), *asked)["attention_mask"].shape[0] == 2
    without = T.PreTrainedTokenizerFast(tokenizer_object=train_tokenizer(TEXT).backend_tokenizer)
    with pytest.raises(InputError, match="neither a padding token"):
        ChatVLM(Stand()).inputs(Bare("<s>", without), *asked)
    only_here = train_tokenizer(TEXT)
    only_here.chat_template = "<s>"
    assert ChatVLM(Stand()).inputs(Bare(None, only_here), *asked)["input_ids"].shape[0] == 2
