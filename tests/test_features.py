"""Stored features belong to the picture that is seen and to the encoder that is asked.

That holds however many runs share the store.
"""

import numpy as np
import pytest
import torch
import transformers as T
from PIL import Image

from minivlm_cot.core import InputError, set_seed
from minivlm_cot.dataset import CoTReasoningDataset
from minivlm_cot.model import (
    MiniVLM,
    MiniVLMProcessor,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.training import (
    FeatureStore,
    TrainConfig,
    cache_dataset,
    cache_features,
    features_key,
    train_cot_vlm,
)

TINY = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
PROCESSOR = MiniVLMProcessor(
    small_image_processor(40), train_tokenizer(["Question: Answer: red blue What is it?"] * 9)
)


def build(seed=0, vision=None):
    set_seed(seed)
    language = small_language_config(PROCESSOR.tokenizer, **TINY | dict(num_key_value_heads=2))
    return MiniVLM.from_components(
        vision or small_vision_config(40, **TINY),
        language,
        drop_cls=True,
        device="cpu",
        summary=False,
    ).eval()


def noise(seed, n):
    return [
        Image.fromarray(np.random.default_rng((seed, i)).integers(0, 255, (40, 40, 3), np.uint8))
        for i in range(n)
    ]


def right(model, images):
    with torch.no_grad():
        return model.encode_image(PROCESSOR.pixels(images)).numpy()


def agree(store, model, images):
    found = store.rows(images)  # looking may add rows to the array
    return np.abs(store.array[found].astype(np.float32) - right(model, images)).max() < 0.1


def test_two_runs_grow_one_store(tmp_path):
    model = build()
    one, two = FeatureStore(tmp_path, model, PROCESSOR), FeatureStore(tmp_path, model, PROCESSOR)
    many, few, both = noise(0, 24), noise(1, 2), noise(2, 3)
    rows = one.rows(many + both)
    mapped, before = one.array, np.array(one.array)
    assert agree(two, model, few + both) and agree(one, model, few) and agree(two, model, many)
    assert np.array_equal(mapped, before) and one.rows(many + both) == rows
    assert len(FeatureStore(tmp_path, model, PROCESSOR).number) == 29


def test_a_damaged_row_is_computed_again(tmp_path):
    model, images = build(), noise(0, 4)
    store = FeatureStore(tmp_path, model, PROCESSOR)
    store.rows(images)
    with open(store.folder / "rows.bin", "r+b") as f:
        f.seek(store.row_bytes)
        f.write(bytes(store.row_bytes))
    again = FeatureStore(tmp_path, model, PROCESSOR)
    assert agree(again, model, images)
    assert agree(FeatureStore(tmp_path, model, PROCESSOR), model, images)


@pytest.mark.parametrize(
    "torn",
    [
        b"0123",
        b"0123456789abcdef 1 0123",
        b"nonsense\n",
        b"\xff\n",
        b"0123456789abcdef 99999 01234567\n",
    ],
)
def test_a_torn_list_loses_nothing(tmp_path, torn):
    model = build()
    store = FeatureStore(tmp_path, model, PROCESSOR)
    store.rows(noise(0, 3))
    for name, tail in (("rows.bin", b"half a row"), ("names.txt", torn)):
        with open(store.folder / name, "ab") as f:
            f.write(tail)
    again = FeatureStore(tmp_path, model, PROCESSOR)
    assert agree(again, model, noise(0, 3) + noise(1, 3))
    last = FeatureStore(tmp_path, model, PROCESSOR)
    assert len(last.number) == 6 and agree(last, model, noise(1, 3))


def test_pictures_that_look_different_have_different_rows(tmp_path):
    upright, turned = noise(0, 1)[0], noise(0, 1)[0]
    turned.getexif()[274] = 3
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    grey, black = Image.new("L", (40, 40), 1), Image.new("1", (40, 40), 0)
    store = FeatureStore(tmp_path, build(), PROCESSOR)
    assert (
        len(
            set(
                store.rows([upright, turned, clear, Image.new("RGB", (40, 40), "red"), grey, black])
            )
        )
        == 6
    )
    assert len(set(store.rows([upright, np.asarray(upright), upright.convert("RGBA")]))) == 1


@pytest.mark.parametrize(
    "change", [dict(hidden_act="relu"), dict(layer_norm_eps=0.1), dict(num_attention_heads=4)]
)
def test_another_configuration_with_the_same_weights_is_another_encoder(change):
    form = dict(TINY, image_size=40, patch_size=20)
    one, other = (
        build(vision=T.CLIPVisionConfig(**form)),
        build(vision=T.CLIPVisionConfig(**form | change)),
    )
    other.vision_encoder.load_state_dict(one.vision_encoder.state_dict())
    assert features_key(one, PROCESSOR) != features_key(other, PROCESSOR)
    other = build(vision=T.CLIPVisionConfig(**form))
    other.vision_encoder.load_state_dict(one.vision_encoder.state_dict())
    assert features_key(one, PROCESSOR) == features_key(other, PROCESSOR)


def rows(n):
    return [
        dict(
            question_id=i,
            image_id=i,
            question="What is it?",
            choices=["red", "blue"],
            correct_choice_idx=0,
            direct_answers=None,
            rationales=["It is red."],
            image=p,
        )
        for i, p in enumerate(noise(5, n))
    ]


def test_features_too_large_for_half_precision_are_refused(tmp_path):
    model = build()
    with torch.no_grad():
        model.vision_encoder.layernorm.weight.fill_(1e6)
    with pytest.raises(InputError, match="float32"):
        FeatureStore(tmp_path, model, PROCESSOR).rows(noise(0, 2))
    with pytest.raises(InputError, match="float32"):
        cache_features(model, PROCESSOR, noise(0, 2))
    assert np.isfinite(right(model, noise(0, 2))).all()


def quick(folder, **changes):
    return TrainConfig(**dict(out=folder, epochs=1, batch_size=2, compile="", warmup=1) | changes)


def test_a_dataset_serves_each_model_its_own_features(tmp_path):
    data = CoTReasoningDataset(rows(4), PROCESSOR, together=True)
    for seed in range(2):
        model = build(seed)
        train_cot_vlm(model, PROCESSOR, data, quick(tmp_path / f"{seed}"), progress=False)
        own = right(model.eval(), [rows(4)[1]["image"]])[0]
        assert np.abs(data[1]["image_features"].numpy() - own).max() < 0.1
    train_cot_vlm(build(2), PROCESSOR, data, quick(tmp_path / "2", cache=""), progress=False)
    assert "pixel_values" in data[0]


def test_features_made_beforehand_are_kept_for_their_model(tmp_path):
    model, data = build(), CoTReasoningDataset(rows(4), PROCESSOR, together=True)
    cache_dataset(data, model, tmp_path / "store", progress=False).rows(noise(9, 1))
    train_cot_vlm(model, PROCESSOR, data, quick(tmp_path / "run", cache=""), progress=False)
    assert "image_features" in data[0] and not (tmp_path / "run" / "features").exists()


def test_an_encoder_set_to_learn_learns_or_is_refused(tmp_path):
    data = CoTReasoningDataset(rows(4), PROCESSOR, together=True)
    model = build()
    cache_dataset(data, model, tmp_path / "store", progress=False)
    model.set_train_parts(vision=True)
    before = [p.clone() for p in model.vision_encoder.parameters()]
    train_cot_vlm(model, PROCESSOR, data, quick(tmp_path / "run"), progress=False)
    assert any(not torch.equal(p, q) for p, q in zip(model.vision_encoder.parameters(), before))
    given = CoTReasoningDataset(
        rows(4),
        PROCESSOR,
        together=True,
        image_features=right(model, [r["image"] for r in rows(4)]),
    )
    with pytest.raises(InputError, match="set to learn"):
        train_cot_vlm(model, PROCESSOR, given, quick(tmp_path / "other"), progress=False)
