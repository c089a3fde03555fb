"""Every call by the names of the hub, against a server on this machine that plays the hub.

It holds ViT-B/16 and SmolLM-135M under their real names, with random weights, and A-OKVQA in the
hub's own form. Where `MINIVLM_DATA` is set, the models have the real configurations and tokenizer
and the rows are real ones with their photographs; otherwise small models and drawn pictures take
their place. One of the training pictures is torn on purpose, and two repositories want a login.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import transformers
from datasets import Dataset, Features, List, Value
from datasets import Image as Picture
from minivlm_cot.core import load_json, set_seed
from minivlm_cot.dataset import format_pair, load_examples, real_data
from minivlm_cot.model import (
    small_image_processor,
    small_language_config,
    small_vision_config,
    train_tokenizer,
)
from minivlm_cot.real import real_shape
from minivlm_cot.scenes import scene_examples

EYE, TONGUE = "google/vit-base-patch16-224", "HuggingFaceTB/SmolLM-135M"
END = dict.fromkeys(("eos_token", "bos_token", "unk_token"), "<|endoftext|>")
FIELDS = dict(
    image=Picture(),
    question_id=Value("string"),
    question=Value("string"),
    choices=List(Value("string")),
    correct_choice_idx=Value("int8"),
    direct_answers=Value("string"),
    difficult_direct_answer=Value("bool"),
    rationales=List(Value("string")),
)


def hub_models(root, data, rows):
    "Two repositories under the real names"
    images, words = root / "models" / EYE, root / "models" / TONGUE
    vit, llama = real_shape()
    if data is None:
        texts = [t for r in rows for arm in ("cot", "direct") for t in format_pair(r, arm)]
        tokenizer = train_tokenizer(texts)
        vit = small_vision_config(image_size=224, patch_size=16, num_hidden_layers=1)
        llama = small_language_config(tokenizer, num_hidden_layers=2)
    for config, auto, place in (
        (vit, "ViTForImageClassification", images),
        (llama, "LlamaForCausalLM", words),
    ):
        place.mkdir(parents=True)
        set_seed(0)
        getattr(transformers, auto)(config).save_pretrained(place)
    if data is None:
        small_image_processor(224).save_pretrained(images)
        tokenizer.save_pretrained(words)
        return
    for name, place in (("vit-base-patch16-224", images), ("SmolLM-135M", words)):
        shutil.copy(data / "configs" / name / "config.json", place)
    shutil.copy(data / "configs" / "vit-base-patch16-224" / "preprocessor_config.json", images)
    shutil.copy(data / "tokenizers" / "smollm2" / "tokenizer.json", words)
    known = dict(tokenizer_class="PreTrainedTokenizerFast") | END
    (words / "tokenizer_config.json").write_text(json.dumps(known))


def hub_rows(data):
    "Forty-eight rows of A-OKVQA with their pictures' bytes: real, or in the same form"
    if data is not None:
        with contextlib.redirect_stdout(io.StringIO()):
            real = load_examples("aokvqa", "validation", folder=data / "aokvqa", limit=48)
        return [
            r | dict(question_id=f"q{n}", bytes=Path(r["image"]).read_bytes())
            for n, r in enumerate(real)
        ]
    rows = []
    for e in scene_examples(48, "train"):
        e["image"].save(out := io.BytesIO(), "JPEG")
        more = dict(
            question_id=str(e["question_id"]),
            bytes=out.getvalue(),
            direct_answers=e["direct_answers"] * 10,
            difficult_direct_answer=False,
            rationales=e["rationales"] * 3,
        )
        rows.append(e | more)
    return rows


def hub_dataset(root, rows):
    "Parquet files as the hub holds them"
    place = root / "datasets" / "HuggingFaceM4/A-OKVQA" / "data"
    place.mkdir(parents=True)
    for split, part in dict(train=rows[:40], validation=rows[40:]).items():
        records = []
        for r in part:
            plain = {k: r[k] for k in FIELDS if k not in ("image", "direct_answers")}
            image = dict(bytes=r["bytes"], path=None)
            records.append(plain | dict(image=image, direct_answers=str(r["direct_answers"])))
        if split == "train":
            records[3]["image"]["bytes"] = records[3]["image"]["bytes"][:500]
        columns = {k: [r[k] for r in records] for k in FIELDS}
        table = Dataset.from_dict(columns, features=Features(FIELDS))
        table.to_parquet(place / f"{split}-00000-of-00001.parquet")


class Hub:
    "A running imitation, and programs that know this hub and no other"

    def __init__(self, root):
        self.root, self.data = root, real_data()
        self.rows = hub_rows(self.data)
        hub_models(root, self.data, self.rows)
        hub_dataset(root, self.rows)
        for gated in ("models/facebook/gated-model", "datasets/someone/gated-rows"):
            (root / gated).mkdir(parents=True)
            (root / gated / ".gated").touch()
        program = [sys.executable, Path(__file__).parent / "local_hub.py", root]
        self.server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        self.address = self.server.stdout.readline().strip()

    def run(self, code):
        "Run a program of its own; what it printed"
        known = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        env = dict(
            HF_ENDPOINT=self.address,
            HF_HUB_DISABLE_XET="1",
            HF_HOME=str(self.root / "cache"),
            HF_HUB_DISABLE_PROGRESS_BARS="1",
            PYTHONWARNINGS="ignore",
            TQDM_DISABLE="1",
            PYTHONPATH=os.pathsep.join([str(Path(__file__).parent.parent), *sys.path]),
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=known | env,
            cwd=self.root,
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("hub"))
    yield hub
    hub.server.terminate()
    hub.server.wait()
    shutil.rmtree(hub.root, ignore_errors=True)


BUILD = """
import torch
from minivlm_cot.model import MiniVLM, MiniVLMProcessor, save_minivlm
from minivlm_cot.dataset import load_examples
from minivlm_cot.training import TrainConfig, train_cot_vlm
from minivlm_cot.evaluation import evaluate_cot

vision, language = "google/vit-base-patch16-224", "HuggingFaceTB/SmolLM-135M"
model = MiniVLM.from_components(vision, language, pool=2, device="cpu")
processor = MiniVLMProcessor.from_components(vision, language)
rows = load_examples("aokvqa", "train", limit=20)  # streamed: only what is needed is fetched
config = TrainConfig(out="run", epochs=2, batch_size=2, warmup=2)
losses = train_cot_vlm(model, processor, rows, config, progress=False).losses
print(f"{len(losses)} steps, loss {losses[0]:.2f} → {sum(losses[-4:]) / 4:.2f}")
exam = load_examples("aokvqa", "validation", limit=4, stream=False)  # or the whole split first
report = evaluate_cot(model, processor, exam, max_new_tokens=(12, 6), blind=())
print(f"{report.to_dict()['n']} questions, both arms")
save_minivlm(model, processor, "saved", vision=False)  # of the encoder only its name is kept
x = processor(images=[e["image"] for e in exam], text=[e["question"] for e in exam])
with torch.no_grad():
    torch.save(model(**x).logits, "logits.pt")
"""

AGAIN = """
import torch, minivlm_cot
from transformers import AutoModel, AutoProcessor
from minivlm_cot.dataset import load_examples

model = AutoModel.from_pretrained("saved").eval()
processor = AutoProcessor.from_pretrained("saved")
exam = load_examples("aokvqa", "validation", limit=4)
x = processor(images=[e["image"] for e in exam], text=[e["question"] for e in exam])
with torch.no_grad():
    gap = (model(**x).logits - torch.load("logits.pt", weights_only=True)).abs().max().item()
print(f"largest difference: {gap}")
"""


def test_build_read_train_examine_and_save(hub):
    first = hub.run(BUILD)
    assert "20 steps" in first and "4 questions, both arms" in first and "1 left out" in first
    second = hub.run(AGAIN)  # a fresh process, from the saved folder
    assert second.splitlines()[-1] == "largest difference: 0.0"
    shutil.rmtree(hub.root / "run")  # gigabytes, which the tests behind it need not carry


PUSH = """
from minivlm_cot.model import *
words = train_tokenizer(["a red cube"])
vision, language = small_vision_config(), small_language_config(words)
model = MiniVLM.from_components(vision, language, device="cpu", summary=False)
processor = MiniVLMProcessor(small_image_processor(), words)
print(model.push_to_hub("me/small"), processor.push_to_hub("me/small"))
print(load_minivlm("me/small", "cpu")[0].summary())
"""


def test_to_the_hub_and_back(hub):
    said = hub.run(PUSH)
    files = sorted(p.name for p in (hub.root / "models" / "me" / "small").iterdir())
    assert "me/small/commit" in said
    assert files[-2:] == ["tokenizer.json", "tokenizer_config.json"]


REFUSED = """
from dataclasses import replace
from minivlm_cot.core import InputError
from minivlm_cot.model import MiniVLM, load_minivlm
from minivlm_cot.dataset import SOURCES, load_examples, load_with_fallback

SOURCES["gated"] = replace(SOURCES["aokvqa"], hub="someone/gated-rows")
gated, language = "facebook/gated-model", "HuggingFaceTB/SmolLM-135M"
for ask in (
    lambda: load_examples("gated"),
    lambda: load_examples("okvqa", "validation"),
    lambda: load_examples("aokvqa", "dreams"),
    lambda: load_minivlm("no/such-model"),
    lambda: MiniVLM.from_components(gated, language),
    lambda: load_with_fallback("vqav2", "aokvqa", split="validation", limit=2),
):
    try:
        print("got", ask()[1])
    except InputError as e:
        print("–", e)
"""


def test_what_the_hub_refuses_is_one_sentence(hub):
    said = hub.run(REFUSED)
    for part in (
        "needs a login",
        "lmms-lab/OK-VQA",
        "dreams",
        "no/such-model",
        "facebook/gated-model",
        "using aokvqa: 2 rows",
    ):
        assert part in said, part


COMMANDS = """
from minivlm_cot.commands import minivlm_eval, minivlm_train

minivlm_train(
    out="by_command", source="aokvqa", limit=4, pool=2, epochs=1, batch_size=2,
    with_choices=True, lora={lora}, device="cpu",
)
minivlm_eval(
    model="by_command/model", source="aokvqa", split="validation", limit=2, out="exam",
    with_choices=True, device="cpu",
)
"""


def test_the_commands_as_a_person_would_type_them(hub):
    said = hub.run(COMMANDS.format(lora=4 if hub.data is None else 16))
    exam = hub.root / "exam"
    asked = {r["question_id"] for r in hub.rows[40:42]}
    assert load_json(exam / "predictions_cot.json").keys() == asked
    assert "they teach cot: 4, direct: 4" in said
    assert (exam / "report.json").exists() and load_json(exam / "report.json")["n"] == 2
