"""Language models of many kinds: what the probe allows is exact, what is not is refused.

The table in the notebook of `model.probing` is held to this.
"""

import re
from pathlib import Path

import pytest
import torch
import transformers as T
from PIL import Image

from minivlm_cot.core import InputError, set_seed
from minivlm_cot.dataset import ARMS, Collator, CoTReasoningDataset, format_pair, format_prompt
from minivlm_cot.generation import AskOptions, generate_answers, generate_both, rank_choices
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    capabilities,
    join_prefix,
    logits_of,
    small_image_processor,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.training import TrainConfig, train_cot_vlm

ROOT = Path(__file__).parent.parent
WORDS = [
    "What colour is the ball?",
    "Is the small cube left of it?",
    "Let me think step by step:",
    "Question: Choices: Answer: red blue no yes",
]
TOKENIZER = train_tokenizer(WORDS * 9)
V = dict(
    vocab_size=len(TOKENIZER),
    bos_token_id=0,
    eos_token_id=TOKENIZER.eos_token_id,
    pad_token_id=TOKENIZER.pad_token_id,
)
STD = dict(initializer_range=0.2)
N = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256, **V
)
F = dict(intermediate_size=64, **N, **STD)
G = dict(num_key_value_heads=2, **F)
H = dict(head_dim=8, **G)
P = dict(n_embd=32, n_layer=2, n_head=4, n_positions=256, **V, **STD)
NEAR = dict(sliding_window=40)  # shorter than the texts below

PACKED = dict(
    llama=lambda: T.LlamaConfig(**G),
    mistral=lambda: T.MistralConfig(**G, sliding_window=None),
    qwen2=lambda: T.Qwen2Config(**G),
    qwen3=lambda: T.Qwen3Config(**H),
    gpt2=lambda: T.GPT2Config(**P),
    gpt_neox=lambda: T.GPTNeoXConfig(**F),
    gemma=lambda: T.GemmaConfig(**H),
    phi=lambda: T.PhiConfig(**G),
    phi3=lambda: T.Phi3Config(**G),
    olmo=lambda: T.OlmoConfig(**G),
    olmo2=lambda: T.Olmo2Config(**G),
    stablelm=lambda: T.StableLmConfig(**G),
    starcoder2=lambda: T.Starcoder2Config(**G, sliding_window=None),
    granite=lambda: T.GraniteConfig(**G, logits_scaling=8.0),
    cohere=lambda: T.CohereConfig(**G, logit_scale=0.0625),
    opt=lambda: T.OPTConfig(**N, ffn_dim=64, word_embed_proj_dim=32, init_std=0.2),
    falcon=lambda: T.FalconConfig(**N, **STD),
    smollm3=lambda: T.SmolLM3Config(**G),
    gptj=lambda: T.GPTJConfig(**P, rotary_dim=4),
    gpt_bigcode=lambda: T.GPTBigCodeConfig(**P),
    mixtral=lambda: T.MixtralConfig(**G, num_local_experts=4),
    glm=lambda: T.GlmConfig(**H),
    nemotron=lambda: T.NemotronConfig(**G),
    bert_decoder=lambda: T.BertConfig(**F, is_decoder=True),
)
WINDOWS = dict(
    mistral=lambda: T.MistralConfig(**G, **NEAR),
    gemma2=lambda: T.Gemma2Config(
        **H, **NEAR, final_logit_softcapping=3.0, attn_logit_softcapping=5.0
    ),
    gemma3_text=lambda: T.Gemma3TextConfig(**H, **NEAR),
    cohere2=lambda: T.Cohere2Config(**G, **NEAR),
    gpt_oss=lambda: T.GptOssConfig(**H, **NEAR, num_local_experts=4),
    gpt_neo=lambda: T.GPTNeoConfig(
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=40,
        max_position_embeddings=256,
        **V,
        **STD,
    ),
)
APART = dict(  # one text a row; a batch is exact, padding included
    bloom=lambda: T.BloomConfig(hidden_size=32, n_layer=2, n_head=4, **V, **STD),
    falcon_alibi=lambda: T.FalconConfig(**N, **STD, alibi=True),
)
ONE_BY_ONE = dict(
    mpt=lambda: T.MptConfig(d_model=32, n_layers=2, n_heads=4, max_seq_len=256, **V, **STD),
    lfm2=lambda: T.Lfm2Config(**G, layer_types=["conv", "full_attention"]),
    falcon_h1=lambda: T.FalconH1Config(
        **G,
        mamba_d_ssm=32,
        mamba_d_head=8,
        mamba_n_heads=4,
        mamba_d_state=8,
        lm_head_multiplier=0.1,
    ),
    granitemoehybrid=lambda: T.GraniteMoeHybridConfig(
        **G,
        layer_types=["mamba", "attention"],
        mamba_n_heads=8,
        mamba_d_head=8,
        mamba_d_state=8,
        num_local_experts=0,
        shared_intermediate_size=64,
    ),
    qwen3_next=lambda: T.Qwen3NextConfig(
        **H,
        layer_types=["linear_attention", "full_attention"],
        linear_num_value_heads=4,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        mlp_only_layers=[0, 1],
    ),
)
NO_CACHE = dict(
    mamba=lambda: T.MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **V, **STD),
    mamba2=lambda: T.Mamba2Config(
        hidden_size=32,
        num_hidden_layers=2,
        state_size=4,
        num_heads=4,
        head_dim=16,
        n_groups=1,
        **V,
        **STD,
    ),
    rwkv=lambda: T.RwkvConfig(hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, **V),
    openai_gpt=lambda: T.OpenAIGPTConfig(**P),
)
REFUSED = dict(
    bert=lambda: T.BertConfig(**F),
    roberta=lambda: T.RobertaConfig(**F, is_decoder=True),
    xlnet=lambda: T.XLNetConfig(d_model=32, n_layer=2, n_head=4, d_inner=64, **V),
)
TITLES = {
    "packed, and in batches": "packed",
    "the same, up to its window; longer rows one by one": "window",
    "in batches, one text a row": "apart",
    "one by one": "one_by_one",
    "one by one, without a cache": "no_cache",
    "not at all": "refused",
}
GROUPS = dict(zip(TITLES.values(), (PACKED, WINDOWS, APART, ONE_BY_ONE, NO_CACHE, REFUSED)))
ALLOWED = [
    pytest.param(kind, name, id=f"{name}-{kind}")
    for kind in GROUPS
    if kind != "refused"
    for name in GROUPS[kind]
]

QUESTIONS = [
    "What colour is it?",
    "Is the small cube left of the ball, and is the ball red, or is it blue?",
]
ROWS = [
    dict(
        question_id=str(n),
        question=q,
        choices=["red", "no"],
        correct_choice_idx=n,
        direct_answers=None,
        rationales=["The ball is left. " * (n + 1)],
        image=Image.new("RGB", (40, 40), colour),
    )
    for n, (q, colour) in enumerate(zip(QUESTIONS, ("red", "blue")))
]


def build(config):
    set_seed(0)
    vision = small_vision_config(
        40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = MiniVLM.from_components(
        vision, config, drop_cls=True, device="cpu", summary=False
    ).eval()
    return model, MiniVLMProcessor(small_image_processor(40), TOKENIZER)


@torch.no_grad()
def own_logits(model, processor, image, ids):
    "What transformers' own forward says of one picture and one text, alone and without a cache"
    picture = model.embed_image(processor.pixels(image))
    embeds, mask, positions = join_prefix(
        picture, model.get_input_embeddings()(torch.tensor([ids]))
    )
    out = model.language_model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False
    )
    return out.logits[0, picture.shape[1] - 1 :]


def greedy(model, processor, image, prompt, steps):
    ids, new = TOKENIZER(prompt, add_special_tokens=False)["input_ids"], []
    while len(new) < steps and (not new or new[-1] != TOKENIZER.eos_token_id):
        new.append(own_logits(model, processor, image, ids + new)[-1].argmax().item())
    return TOKENIZER.decode(
        [i for i in new if i != TOKENIZER.eos_token_id], skip_special_tokens=True
    )


def losses_alone(model, processor):
    "Summed loss and learned tokens, text by text"
    total, count = 0.0, 0
    for row in ROWS:
        for arm in ARMS:
            prompt, response = (
                TOKENIZER(t, add_special_tokens=False)["input_ids"] for t in format_pair(row, arm)
            )
            response = response + [TOKENIZER.eos_token_id]
            logits = own_logits(model, processor, row["image"], prompt + response)[len(prompt) : -1]
            total += torch.nn.functional.cross_entropy(
                logits, torch.tensor(response), reduction="sum"
            ).item()
            count += len(response)
    return total / count


@pytest.mark.parametrize("kind,name", ALLOWED)
def test_packed_batch_and_alone_agree(kind, name):
    model, processor = build(GROUPS[kind][name]())
    found = capabilities(model.language_model)
    ways = dict(
        packed=(True, True),
        window=(True, True),
        apart=(False, True),
        one_by_one=(False, False),
        no_cache=(False, False),
    )
    assert (found.packed and found.cached, found.batched) == ways[kind]
    assert found.cached == (kind != "no_cache")
    assert (found.window is not None) == (kind == "window")
    wanted, collate = losses_alone(model, processor), Collator(processor)
    for together in (True, False):
        data = CoTReasoningDataset(ROWS, processor, together=together)
        with torch.no_grad():
            assert model(
                **collate([data[i] for i in range(len(data))])
            ).loss.item() == pytest.approx(wanted, rel=1e-5)
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


@pytest.mark.parametrize("kind,name", ALLOWED)
def test_ranks_and_logits_are_the_models_own(kind, name):
    model, processor = build(GROUPS[kind][name]())
    ranks = rank_choices(
        model,
        processor,
        [r["image"] for r in ROWS],
        QUESTIONS,
        [r["choices"] for r in ROWS],
        options=AskOptions(batch_size=2),
    )
    for row, found in zip(ROWS, ranks):
        for choice, rank in zip(row["choices"], found):
            given, said = (
                TOKENIZER(t, add_special_tokens=False)["input_ids"]
                for t in (format_prompt(row["question"], "direct"), f" {choice}")
            )
            said = said + [TOKENIZER.eos_token_id]
            log_p = own_logits(model, processor, row["image"], given + said)[
                len(given) : -1
            ].log_softmax(-1)
            assert rank == pytest.approx(
                log_p.gather(-1, torch.tensor(said)[:, None]).sum().item(), rel=1e-4
            )
    lm, ids = model.language_model, torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        hidden = lm.base_model(input_ids=ids, use_cache=False).last_hidden_state
        assert torch.allclose(
            logits_of(lm, hidden), lm(input_ids=ids, use_cache=False).logits, atol=1e-5
        )


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_the_first_step_and_the_first_word(name, tmp_path):
    model, processor = build(REFUSED[name]())
    with pytest.raises(InputError, match="cannot be used here"):
        train_cot_vlm(
            model,
            processor,
            ROWS,
            TrainConfig(out=str(tmp_path / "run"), precision="fp32"),
            progress=False,
        )
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="cannot be used here"):
        generate_answers(model, processor, [ROWS[0]["image"]], QUESTIONS[:1], "cot", 4)


def test_an_unpacked_step_learns_what_single_texts_teach():
    gradients = []
    for together in (True, False):
        model, processor = build(ONE_BY_ONE["lfm2"]())
        data = CoTReasoningDataset(ROWS, processor, together=together)
        model(**Collator(processor)([data[i] for i in range(len(data))])).loss.backward()
        gradients.append(model.projector.projection[0].weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-6) and gradients[0].abs().max() > 0


def test_the_chapter_names_them_all():
    chapter = (ROOT / "nbs/03_model/02_probing.ipynb").read_text(encoding="utf-8")
    rows = {a: b for a, b in re.findall(r'"\| ([^|]+) \| ([^|]+) \|', chapter) if a in TITLES}
    named = {TITLES[k]: {n.strip() for n in v.split(",")} for k, v in rows.items()}
    assert named == {kind: set(group) for kind, group in GROUPS.items()}
