"""Encoders that return a map: every kind is built, saved, loaded, cached and asked."""

import numpy as np
import pytest
import torch
import transformers as T
from PIL import Image
from torch import nn
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

from minivlm_cot.core import InputError, set_seed
from minivlm_cot.model import (
    MapEncoder,
    MiniVLM,
    MiniVLMConfig,
    MiniVLMProcessor,
    fit_encoder,
    prepared_side,
    set_side,
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
    vision_fingerprint,
)
from minivlm_cot.real.cost import training_cost
from minivlm_cot.training import cache_features, features_key, FeatureStore

SIDE = 64  # pixels
TOKENIZER = train_tokenizer(
    ["The red cube is at b4. It is red.", "red: 1 a1, 2 b4, so 2.", "Is the cone red?"] * 20
)
PROCESSOR = MiniVLMProcessor(small_image_processor(SIDE), TOKENIZER)
LANGUAGE = small_language_config(
    TOKENIZER, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1
)
TOWER = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64)
STAGES = dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
SWIN = dict(image_size=SIDE, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2])
ENCODERS = dict(  # at 64 pixels: channels of the result, of the map before it
    resnet=(T.ResNetConfig(embedding_size=8, layer_type="basic", **STAGES), 32, 24),
    bottleneck=(T.ResNetConfig(embedding_size=8, **STAGES), 32, 24),
    regnet=(T.RegNetConfig(embedding_size=8, groups_width=8, **STAGES), 32, 24),
    convnext=(T.ConvNextConfig(**STAGES), 32, 24),
    convnextv2=(T.ConvNextV2Config(**STAGES), 32, 24),
    efficientnet=(
        T.EfficientNetConfig(
            width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, image_size=SIDE
        ),
        320,
        32,
    ),
    mobilenet=(T.MobileNetV2Config(depth_multiplier=0.25), 1280, 24),
    segformer=(T.SegformerConfig(num_attention_heads=[1, 1, 2, 2], **STAGES), 32, 24),
    poolformer=(T.PoolFormerConfig(**STAGES), 32, 24),
    swin=(T.SwinConfig(window_size=2, **SWIN), 128, 64),
    swinv2=(T.Swinv2Config(window_size=2, **SWIN), 128, 64),
)


class Plain(nn.Module):
    "A classifier as packages have it: features by a method, one activation for all layers"

    def __init__(self):
        super().__init__()
        widths = [3, 4, 8, 8, 16, 16, 32]
        pairs = zip(widths, widths[1:])
        self._blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 2 if n != 4 else 1, 1), nn.BatchNorm2d(b), nn.Conv2d(b, b, 1)
            )
            for n, (a, b) in enumerate(pairs)
        )
        self._swish, self._fc = nn.ReLU6(), nn.Linear(32, 10)

    def extract_features(self, x):
        for block in self._blocks:
            x = self._swish(block(x))
        return x

    def forward(self, x):
        return self._fc(self.extract_features(x).mean((2, 3)))


class Wrong(nn.Module):
    "Its configuration promises a summary vector that it does not give"

    def __init__(self):
        super().__init__()
        self.config, self.patches = T.ViTConfig(**TOWER), nn.Conv2d(3, 32, 16, 16)

    def forward(self, pixel_values):
        return BaseModelOutput(last_hidden_state=self.patches(pixel_values).flatten(2).mT)


def pictures(n, side=SIDE, seed=0):
    draw = np.random.default_rng(seed)
    return [Image.fromarray(draw.integers(0, 255, (side, side, 3), np.uint8)) for _ in range(n)]


def build(vision, seed=0, **options):
    set_seed(seed)
    options = dict(image_size=SIDE, device="cpu", summary=False) | options
    return MiniVLM.from_components(vision, LANGUAGE, **options).eval()


def logits(model, side=SIDE):
    prompt = torch.tensor([TOKENIZER("The red")["input_ids"]] * 2)
    pixels = MiniVLMProcessor(small_image_processor(side), TOKENIZER).pixels(pictures(2, side))
    with torch.no_grad():
        return model(prompt, pixel_values=pixels).logits


def same(model, back, side=SIDE):
    "The same weights and statistics; a kernel may round otherwise where they lie otherwise"
    one, other = model.state_dict(), back.state_dict()
    assert one.keys() == other.keys() and all(torch.equal(x, other[k]) for k, x in one.items())
    assert torch.allclose(logits(model, side), logits(back, side), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_kind_comes_back_the_same(name, tmp_path):
    vision, last, before = ENCODERS[name]
    for n, (options, tokens, width) in enumerate(
        [
            (dict(), 4, last),
            (dict(drop_cls=True, pool=2), 1, last),
            (dict(image_size=96), 9, last),
            (dict(depths=(-2, -1)), 4, 4 * before + last),
            (dict(depths=(-2, -1), grid="fine"), 16, before + last),
            (dict(depths=(-2,), pool=2), 4, before),
        ]
    ):
        model = build(vision, **options)
        c = model.config
        assert (c.n_image_tokens, c.vision_config.hidden_size, c.extra_tokens) == (tokens, width, 0)
        model.save_pretrained(tmp_path / f"{n}")
        back = T.AutoModel.from_pretrained(tmp_path / f"{n}")
        side = options.get("image_size", SIDE)
        same(model, back, side)


def test_a_module_without_configuration_is_listened_to(tmp_path):
    set_seed(0)
    plain = Plain().eval()
    before = [p.clone() for p in plain.state_dict().values()]
    model = build(plain, depths=(-2, -1))
    c = model.config.vision_config
    assert (c.map_size, c.hidden_size, c.module_names) == (2, 4 * 16 + 32, ["_swish"])
    pixels = PROCESSOR.pixels(pictures(2))
    with torch.no_grad():
        x = pixels
        for n, block in enumerate(plain._blocks):
            x = plain._swish(block(x))
            finer = x if n == 4 else finer if n > 4 else None
        finer, x = (
            nn.functional.layer_norm(m.movedim(1, -1), m.shape[1:2]).movedim(-1, 1)
            for m in (finer, x)
        )
        wanted = torch.cat([nn.functional.pixel_unshuffle(finer, 2), x], 1).flatten(2).mT
        assert torch.equal(model.encode_image(pixels), wanted)
    assert all(torch.equal(p, q) for p, q in zip(before, plain.state_dict().values()))
    model.save_pretrained(tmp_path)
    same(model, MiniVLM.from_pretrained(tmp_path, vision_encoder=Plain()))
    with pytest.raises(InputError, match="no configuration builds"):
        MiniVLM.from_pretrained(tmp_path)


def test_batch_norm_stands_still_while_frozen():
    model = build(ENCODERS["resnet"][0])
    prompt = torch.tensor([TOKENIZER("The red")["input_ids"]] * 2)
    pixels = PROCESSOR.pixels(pictures(2))
    for frozen in (True, False):
        model.set_train_parts(vision=not frozen).train()
        before = [b.clone() for b in model.vision_encoder.buffers()]
        model(prompt, pixel_values=pixels, labels=prompt).loss.backward()
        moved = [not torch.equal(a, b) for a, b in zip(before, model.vision_encoder.buffers())]
        assert any(moved) != frozen and len(moved) > 9
        model.set_train_parts()


@pytest.mark.parametrize("name", ["resnet", "convnext", "efficientnet", "swinv2"])
def test_a_batch_writes_what_each_row_writes_alone(name):
    model = build(ENCODERS[name][0], depths=(-2, -1))
    texts, shown = ["Is the cone red?", "The"], pictures(2)
    together = model.generate(**PROCESSOR(shown, texts), max_new_tokens=6)
    for row, text, picture in zip(together, texts, shown):
        alone = model.generate(**PROCESSOR([picture], [text]), max_new_tokens=6)[0]
        assert row[: len(alone)].tolist() == alone.tolist()


@pytest.mark.parametrize("name", ["resnet", "convnext", "efficientnet"])
def test_features_are_kept_for_each_way_of_reading_the_map(name, tmp_path):
    shown, keys = pictures(3), set()
    for options in (
        {},
        dict(depths=(-2, -1)),
        dict(depths=(-2, -1), grid="fine"),
        dict(depths=(-2,)),
    ):
        model = build(ENCODERS[name][0], **options)
        keys.add(features_key(model, PROCESSOR))
        with torch.no_grad():
            wanted = model.encode_image(PROCESSOR.pixels(shown)).numpy()
        store = FeatureStore(tmp_path, model, PROCESSOR, precision="fp32")
        rows = store.rows(shown)
        kept = store.array[rows]
        assert np.abs(kept.astype(np.float32) - wanted).max() < 0.01
        assert np.abs(cache_features(model, PROCESSOR, shown) - wanted).max() < 0.01
        model.save_pretrained(tmp_path / "model")
        back = MiniVLM.from_pretrained(tmp_path / "model")
        assert features_key(back, PROCESSOR) == features_key(model, PROCESSOR)
    assert len(keys) == 4


def test_where_an_encoder_came_from_is_no_part_of_its_features(tmp_path):
    set_seed(0)
    T.ResNetModel(ENCODERS["resnet"][0]).save_pretrained(tmp_path / "resnet")
    named = build(str(tmp_path / "resnet"))
    given = build(T.ResNetModel.from_pretrained(tmp_path / "resnet"))
    given.config.vision_config.encoder_config._name_or_path = "elsewhere"
    given.vision_encoder.config.encoder_config.id2label = {0: "cat"}
    assert features_key(named, PROCESSOR) == features_key(given, PROCESSOR)


def test_an_encoder_is_found_again_by_its_name(tmp_path):
    set_seed(0)
    T.ResNetModel(ENCODERS["resnet"][0]).save_pretrained(tmp_path / "resnet")
    model = build(str(tmp_path / "resnet"), depths=(-2, -1))
    model.save_pretrained(tmp_path / "model", vision=False)
    assert model.config.vision_fingerprint == vision_fingerprint(
        T.AutoModel.from_pretrained(tmp_path / "resnet")
    )
    same(model, MiniVLM.from_pretrained(tmp_path / "model"))
    changed = T.ResNetModel.from_pretrained(tmp_path / "resnet")
    next(b for n, b in changed.named_buffers() if n.endswith("running_var")).mul_(2)
    changed.save_pretrained(tmp_path / "resnet")
    with pytest.raises(InputError, match="its weights differ"):
        MiniVLM.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    "vision,options,message",
    [
        (ENCODERS["resnet"][0], dict(depths=(-9,)), "gives 4 maps, of .16, 8, 4, 2. cells"),
        (ENCODERS["resnet"][0], dict(depths=(0,)), "depths -4 to -1"),
        (ENCODERS["resnet"][0], dict(grid="middle"), "coarse or fine"),
        (ENCODERS["resnet"][0], dict(depths=(-2, -1), image_size=80), "that 32 divides"),
        (ENCODERS["resnet"][0], dict(image_size=80, pool=2), "does not divide the 3 patches"),
        (small_vision_config(SIDE, 16), dict(depths=(-2, -1)), "gives no map"),
        (nn.Linear(3, 3), {}, "cannot read a picture"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 3)), {}, "gives no map"),
        (nn.Conv2d(3, 5, (9, 3)), {}, "for a square picture"),
        (Wrong(), {}, "not the .17, 32"),
        (T.LevitConfig(), dict(image_size=224), "levit gives does not follow"),
    ],
)
def test_what_does_not_fit_is_an_error_when_it_is_built(vision, options, message):
    with pytest.raises(InputError, match=message):
        build(vision, **options)


def test_pictures_of_another_size_are_refused():
    model = build(ENCODERS["resnet"][0])
    for shape, message in (
        ((96, 96), "built for 64 × 64"),
        ((65, 65), "built for 64 × 64"),
        ((32, 128), "32 × 128 pixels"),  # as many cells as (64, 64)
    ):
        with pytest.raises(InputError, match=message):
            model.encode_image(torch.zeros(1, 3, *shape))
    with pytest.raises(InputError, match="32 × 128 pixels"):  # 16 patches too
        build(small_vision_config(SIDE, 16)).encode_image(torch.zeros(1, 3, 32, 128))


def test_a_configuration_alone_does_not_guess():
    for name in ("resnet", "convnext", "mobilenet", "swinv2"):
        c = MiniVLMConfig(vision_config=ENCODERS[name][0], text_config=LANGUAGE)
        with pytest.raises(InputError, match="does not follow"):
            c.n_image_tokens
    c = build(ENCODERS["resnet"][0]).config
    c.image_size = 96
    with pytest.raises(InputError, match="does not follow"):
        c.n_image_tokens


def test_a_map_encoder_is_measured_anew_at_another_size():
    set_seed(0)
    once = fit_encoder(T.ResNetModel(ENCODERS["resnet"][0]), SIDE, (-2, -1))
    again = fit_encoder(once, 96)
    assert isinstance(again, MapEncoder) and again.encoder is once.encoder
    assert (once.config.map_size, again.config.map_size) == (2, 3)
    assert [*again.config.depths] == [-2, -1]


@pytest.mark.parametrize("kernel", ["sdpa", "eager", "small"])
def test_a_kernel_is_chosen_for_the_language_model_alone(kernel, tmp_path):
    model = build(ENCODERS["resnet"][0], attn_implementation=kernel)
    model.save_pretrained(tmp_path)
    back = MiniVLM.from_pretrained(tmp_path, attn_implementation=kernel)
    for each in (model, back):
        assert each.language_model.config._attn_implementation == kernel


@pytest.mark.parametrize("side", [224, 384])
def test_the_size_that_an_image_processor_makes_is_looked_at(side, tmp_path):
    shown = ConvNextImageProcessorPil(size=dict(shortest_edge=side))  # below 384 it crops
    shown.save_pretrained(tmp_path)
    T.ConvNextModel(ENCODERS["convnext"][0]).save_pretrained(tmp_path)
    model = build(str(tmp_path), image_size=None)
    assert model.config.image_size == side == prepared_side(shown)
    assert model.config.n_image_tokens == (side // 32) ** 2


@pytest.mark.parametrize("side", [64, 320, 448])
def test_image_processors_are_set_to_a_size(side):
    crop = dict(height=90, width=90)
    for processor in (
        ConvNextImageProcessorPil(size=dict(shortest_edge=224)),
        CLIPImageProcessorPil(size=dict(shortest_edge=90), crop_size=crop),
        small_image_processor(80),
    ):
        set_side(processor, side)
        assert prepared_side(processor) == side
    with pytest.raises(InputError, match="cannot be made to prepare"):
        set_side(lambda images, return_tensors: dict(pixel_values=torch.zeros(1, 3, 5, 6)), side)


def test_what_an_encoder_of_maps_costs_is_counted():
    with torch.device("meta"):
        vision = fit_encoder(T.AutoModel.from_config(T.ResNetConfig()), 224).config
    cost = training_cost(MiniVLMConfig(vision_config=vision, text_config=LANGUAGE))
    assert abs(cost.flops_per_picture / 8.2e9 - 1) < 0.01  # of ResNet-50: 4.1e9 products and sums


@pytest.mark.parametrize("name,width", [("resnet10t", 512), ("mobilenetv3_small_050", 288)])
def test_networks_of_timm_are_read_where_it_is_installed(name, width, tmp_path):
    pytest.importorskip("timm", reason="timm is no dependency: install timm and torchvision")
    model = build(T.TimmWrapperConfig(architecture=name), depths=(-1,))
    assert (model.config.n_image_tokens, model.config.vision_config.hidden_size) == (4, width)
    model.save_pretrained(tmp_path)
    same(model, MiniVLM.from_pretrained(tmp_path))
