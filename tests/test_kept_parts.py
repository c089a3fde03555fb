"""A model that keeps only what it learned: the rest is found by name and known by fingerprint."""

import json
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from minivlm_cot.commands import minivlm_train
from minivlm_cot.core import InputError, set_seed
from minivlm_cot.generation import generate_direct_answer
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    check_named,
    load_minivlm,
    save_minivlm,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.training import add_lora
from transformers import AutoModel, AutoModelForCausalLM

TOKENIZER = train_tokenizer(["The red cube is at b4. It is red.", "Is the cone red?"] * 20)
PROCESSOR = MiniVLMProcessor(small_image_processor(), TOKENIZER)
SMALL = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
BATCH = PROCESSOR(images=Image.new("RGB", (90, 70), "red"), text="Is the cone red?")


@pytest.fixture
def named(tmp_path):
    "Two parts in folders of their own, and a model of them"
    set_seed(0)
    vision = AutoModel.from_config(small_vision_config(**SMALL))
    grouped = dict(**SMALL, num_key_value_heads=1)
    language = AutoModelForCausalLM.from_config(small_language_config(TOKENIZER, **grouped))
    vision.save_pretrained(tmp_path / "vision")
    language.save_pretrained(tmp_path / "language")
    return build(tmp_path)


def build(place):
    parts = str(place / "vision"), str(place / "language")
    return MiniVLM.from_components(*parts, device="cpu", summary=False).eval()


@torch.no_grad()
def logits(model):
    return model.eval()(**BATCH).logits


def keep(model, folder, vision=False, language=False):
    save_minivlm(model, PROCESSOR, folder, vision=vision, language=language)
    return load_minivlm(folder, device="cpu")[0]


@pytest.mark.parametrize("vision", [True, False])
def test_only_the_projector_is_kept_and_the_logits_come_back(named, tmp_path, vision):
    named.set_train_parts(language=False)
    loaded = keep(named, tmp_path / "kept", vision)
    parts = {n.split(".")[0] for n in load_file(tmp_path / "kept/model.safetensors")}
    assert parts == ({"projector", "vision_encoder"} if vision else {"projector"})
    assert torch.equal(logits(loaded), logits(named))
    again = keep(loaded, tmp_path / "again", vision)  # and once more, from the loaded one
    assert torch.equal(logits(again), logits(named))
    whole = keep(again, tmp_path / "whole", True, True)  # or with everything
    assert whole.config.language_fingerprint is None
    assert torch.equal(logits(whole), logits(named))


def test_a_fresh_process_asks_it_about_a_photograph(named, tmp_path):
    keep(named, tmp_path / "kept")
    Image.new("RGB", (300, 200), "green").save(tmp_path / "mine.jpg")
    asked = [str(tmp_path / "mine.jpg"), "Is the cone red?", "--model", str(tmp_path / "kept")]
    script = "from minivlm_cot.commands import minivlm_ask; minivlm_ask()"
    (tmp_path / "ask.py").write_text(script)
    command = [sys.executable, str(tmp_path / "ask.py"), *asked, "--max_new_tokens", "4"]
    done = subprocess.run([*command, "--direct"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = generate_direct_answer(
        named, PROCESSOR, tmp_path / "mine.jpg", "Is the cone red?", max_new_tokens=4
    )
    assert done.stdout.strip() == str(answer).strip()
    assert "corrupted" not in done.stderr


def test_a_changed_part_is_refused(named, tmp_path):
    keep(named, tmp_path / "kept")
    other = AutoModelForCausalLM.from_config(named.language_model.config)
    other.save_pretrained(tmp_path / "language")
    with pytest.raises(InputError, match="language is not the one that .*kept"):
        load_minivlm(tmp_path / "kept")


def test_a_missing_part_is_named(named, tmp_path):
    keep(named, tmp_path / "kept")
    (tmp_path / "language/config.json").unlink()
    with pytest.raises(InputError, match="Cannot load the language model from .*language"):
        load_minivlm(tmp_path / "kept")


def test_a_language_model_that_has_learned_is_not_left_out(named, tmp_path):
    keep(named, tmp_path / "kept")
    before = (tmp_path / "kept/model.safetensors").read_bytes()
    with torch.no_grad():
        named.get_input_embeddings().weight[0, 0] += 1e-6  # less than bfloat16 can tell
    named.set_train_parts(language=False)  # frozen now, but it was not
    with pytest.raises(InputError, match="has learned.*language=True"):
        keep(named, tmp_path / "kept")
    assert (tmp_path / "kept/model.safetensors").read_bytes() == before
    assert named.config.language_fingerprint is None


def test_new_words_are_a_change(named, tmp_path):
    named.resize_token_embeddings(len(TOKENIZER) + 3)
    with pytest.raises(InputError, match="has learned"):
        keep(named, tmp_path / "kept")


def test_a_language_model_without_a_name_is_not_left_out(named, tmp_path):
    model = MiniVLM.from_components(
        str(tmp_path / "vision"), named.language_model, device="cpu", summary=False
    )
    with pytest.raises(InputError, match="came without a name"):
        keep(model, tmp_path / "kept")


def corrected(named):
    "A model with corrections that change its logits"
    pytest.importorskip("peft")
    plain = logits(named)
    set_seed(1)
    lora = add_lora(named, 4, dropout=0)
    with torch.no_grad():
        for name, p in lora.named_parameters():
            if p.requires_grad:
                p.add_(0.1 * torch.randn_like(p))
    assert (logits(lora) - plain).abs().max() > 1e-2
    return lora


@pytest.mark.parametrize("vision", [True, False])
def test_corrections_are_kept_beside_the_projector(named, tmp_path, vision):
    lora = corrected(named)
    said = logits(lora)
    loaded = keep(lora, tmp_path / "kept", vision)
    assert type(loaded).__name__ == "MiniVLM" and not hasattr(loaded, "peft_config")
    assert torch.allclose(logits(loaded), said, atol=1e-5)
    weights = load_file(tmp_path / "kept/model.safetensors")
    assert all(n.startswith(("projector.projection", "vision_encoder")) for n in weights)
    assert torch.equal(logits(lora), said)  # saving has not touched it
    assert torch.equal(logits(lora.merge_and_unload()), logits(loaded))
    with pytest.raises(InputError, match="has learned"):  # the corrections are part of it now
        keep(loaded, tmp_path / "again")


def test_a_plain_model_does_not_inherit_corrections(named, tmp_path):
    keep(corrected(named), tmp_path / "kept")
    plain = build(tmp_path)
    loaded = keep(plain, tmp_path / "kept")
    assert not list((tmp_path / "kept/lora").glob("*"))
    assert torch.equal(logits(loaded), logits(plain))


def test_corrections_need_peft(named, tmp_path, monkeypatch):
    lora = corrected(named)
    save_minivlm(lora, PROCESSOR, tmp_path / "kept", vision=False, language=False)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="need the package peft: pip install peft"):
        load_minivlm(tmp_path / "kept")


@pytest.mark.parametrize("lora", [0, 4])
def test_a_light_training_keeps_what_has_learned(named, tmp_path, lora):
    pytest.importorskip("peft")
    record = dict(question="Is the cone red?", rationales=["It is red."], choices=["yes", "no"])
    record |= dict(correct_choice_idx=0, direct_answers=["yes"] * 10)
    rows = tmp_path / "rows"
    rows.mkdir()
    for n in (1, 2):
        Image.new("RGB", (60, 40), "red").save(rows / f"{n:012d}.jpg")
    records = [record | dict(image_id=n, question_id=f"q{n}") for n in (1, 2)]
    (rows / "aokvqa_v1p0_train.json").write_text(json.dumps(records))
    for place in ("vision", "language"):
        PROCESSOR.save_pretrained(tmp_path / place)
    parts = dict(vision=str(tmp_path / "vision"), language=str(tmp_path / "language"))
    more = dict(source="aokvqa", folder=str(rows), epochs=1, lora=lora, light=True, device="cpu")
    minivlm_train(out=str(tmp_path / "run"), **parts, **more)
    weights = load_file(tmp_path / "run/model/model.safetensors")
    assert {n.split(".")[0] for n in weights} == {"projector"} | (
        set() if lora else {"language_model"}
    )
    loaded, _ = load_minivlm(tmp_path / "run/model", device="cpu")
    assert not torch.equal(logits(loaded), logits(named))


def test_a_light_training_refuses_a_nameless_part_before_it_trains(named, tmp_path):
    save_minivlm(
        MiniVLM.from_components(
            named.vision_encoder, named.language_model, device="cpu", summary=False
        ),
        PROCESSOR,
        tmp_path / "base",
    )
    with pytest.raises(InputError, match="came without a name"):
        check_named(load_minivlm(tmp_path / "base", device="cpu")[0])
