"""Every encoder with every language model: built, saved, loaded, with each kernel and each type."""

import tempfile

import pytest
import torch
import transformers as T
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from minivlm_cot.core import InputError, set_seed
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    small_attention,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)

TOKENIZER = train_tokenizer(
    ["The red cube is at b4. It is red.", "red: 1 a1, 2 b4, so 2.", "Is the cone red?"] * 20
)
PIXELS = MiniVLMProcessor(small_image_processor(), TOKENIZER).pixels(
    [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
)
PROMPT = torch.tensor(
    [TOKENIZER(text)["input_ids"][:1] for text in ("The red cube is at b4.", "Is the cone red?")]
)
SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
TOWER = dict(**SMALL, intermediate_size=64, image_size=80, patch_size=20)
GROUPED = dict(**SMALL, num_key_value_heads=1)
WORDS = dict(
    vocab_size=len(TOKENIZER),
    bos_token_id=0,
    eos_token_id=TOKENIZER.eos_token_id,
    pad_token_id=TOKENIZER.pad_token_id,
)
ENCODERS = dict(  # and how many image tokens each gives at 80 pixels
    ViT=(small_vision_config(**SMALL), 17),
    CLIP=(T.CLIPConfig(vision_config=TOWER), 17),
    DINOv2=(T.Dinov2Config(**SMALL, image_size=100, patch_size=20), 17),
    registers=(T.Dinov2WithRegistersConfig(**SMALL, image_size=100, patch_size=20), 21),
    SigLIP=(T.SiglipVisionConfig(**TOWER), 16),
)
LANGUAGES = dict(
    Llama=small_language_config(TOKENIZER, **GROUPED),
    untied=small_language_config(TOKENIZER, **GROUPED, tie_word_embeddings=False),
    Qwen2=T.Qwen2Config(**GROUPED, intermediate_size=64, **WORDS),
    GPT2=T.GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=256, **WORDS),
)


def build(vision, language, **kwargs):
    return MiniVLM.from_components(vision, language, device="cpu", summary=False, **kwargs).eval()


def round_trip(vision, language, **kwargs):
    "Build, save, load through the Auto class: how many image tokens, and how far the logits moved"
    vlm = build(vision, language, image_size=80, **kwargs)
    with tempfile.TemporaryDirectory() as place:
        vlm.save_pretrained(place)
        back = T.AutoModel.from_pretrained(place)
    ends = back.get_input_embeddings().weight is back.get_output_embeddings().weight
    assert ends == bool(vlm.config.text_config.tie_word_embeddings)
    with torch.no_grad():
        before, after = (m(PROMPT, pixel_values=PIXELS).logits for m in (vlm, back))
    return vlm.config.n_image_tokens, (after - before).abs().max().item()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_pair_comes_back_the_same(encoder, language):
    vision, tokens = ENCODERS[encoder]
    assert round_trip(vision, LANGUAGES[language]) == (tokens, 0.0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_pooling_takes_the_patches_whatever_stands_before_them(encoder):
    assert round_trip(ENCODERS[encoder][0], LANGUAGES["Llama"], pool=2) == (4, 0.0)


def test_an_encoder_is_shown_smaller_pictures_than_it_was_made_for():
    vision = small_vision_config(image_size=160, **SMALL)
    assert round_trip(vision, LANGUAGES["Llama"]) == (17, 0.0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_small_attention_gives_the_logits_of_the_usual_kernel(language):
    set_seed(0)
    vlm = build(ENCODERS["ViT"][0], LANGUAGES[language], attn_implementation="sdpa")
    left, texts = torch.tensor([[0, 1, 1], [1, 1, 1]]), torch.tensor([[5, 6, 7], [8, 9, 10]])
    for mask in (left, left.flip(1)):
        found = []
        for kernel in ("sdpa", "small"):
            vlm.language_model.set_attn_implementation(kernel)
            with torch.no_grad():
                found.append(vlm(texts, mask, pixel_values=PIXELS).logits[mask.bool()])
        assert torch.allclose(*found, rtol=0, atol=1e-5)


def test_small_attention_refuses_what_it_cannot_add():
    with pytest.raises(InputError, match="adds to its attention"):
        small_attention(None, None, None, None, None, s_aux=torch.ones(2))
    with pytest.raises(InputError, match="adds to its attention"):
        small_attention(None, None, None, None, None, position_bias=torch.ones(2))


@pytest.mark.parametrize(
    "both,config", [(T.CLIPModel, T.CLIPConfig), (T.SiglipModel, T.SiglipConfig)]
)
def test_of_two_towers_the_one_for_pictures_is_taken(both, config, tmp_path):
    texts = dict(**SMALL, intermediate_size=64, vocab_size=99)
    towers = both(config(vision_config=TOWER, text_config=texts)).eval()
    towers.save_pretrained(tmp_path)
    vlm = build(str(tmp_path), LANGUAGES["Llama"])
    with torch.no_grad():
        wanted = towers.vision_model(PIXELS).last_hidden_state
        assert torch.allclose(vlm.encode_image(PIXELS), wanted, rtol=0, atol=1e-5)


def test_the_image_processor_says_which_size_is_shown(tmp_path):
    dino = T.Dinov2Model(T.Dinov2Config(**SMALL, image_size=140, patch_size=20)).eval()
    dino.save_pretrained(tmp_path)
    crop = dict(height=80, width=80)
    CLIPImageProcessorPil(size=dict(shortest_edge=90), crop_size=crop).save_pretrained(tmp_path)
    vlm = build(str(tmp_path), LANGUAGES["Llama"])
    assert (vlm.config.image_size, vlm.config.n_image_tokens) == (80, 17)
    with torch.no_grad():
        wanted = dino(PIXELS).last_hidden_state
        assert torch.allclose(vlm.encode_image(PIXELS), wanted, rtol=0, atol=1e-5)


def test_type_and_kernel_are_passed_on_to_both_parts(tmp_path):
    options = dict(dtype=torch.bfloat16, attn_implementation="eager")
    half = build(ENCODERS["ViT"][0], LANGUAGES["Llama"], **options)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    for part in (half.vision_encoder, half.language_model):
        assert part.config._attn_implementation == "eager"
    half.save_pretrained(tmp_path)
    assert MiniVLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    assert MiniVLM.from_pretrained(tmp_path, dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("first", ["parts", "probing", "limits", "vlm", "processor", "saving"])
def test_whichever_module_comes_first_the_class_is_whole(first):
    import subprocess
    import sys

    code = f"""
import minivlm_cot.model.{first}
import minivlm_cot.model.vlm as vlm
import transformers as T

for name in ("forward", "generate", "save_pretrained", "from_pretrained", "from_components",
             "encode_image", "embed_image", "summary", "train", "get_input_embeddings"):
    assert name in vars(vlm.MiniVLM), name
config = T.AutoConfig.for_model("minivlm")
assert T.AutoModelForImageTextToText._model_mapping[type(config)] is vlm.MiniVLM
assert T.AutoModel._model_mapping[type(config)] is vlm.MiniVLM
"""
    subprocess.run([sys.executable, "-c", code], check=True)
