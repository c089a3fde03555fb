"""All questions of a picture behind it: the same losses, gradients and words as one by one."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from test_architectures import APART, NO_CACHE, ONE_BY_ONE, PACKED, TOKENIZER, WINDOWS, build

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Task
from minivlm_cot.dataset import Collator, CoTReasoningDataset, same_pictures
from minivlm_cot.model import MiniVLMProcessor, small_image_processor
from minivlm_cot.training import TrainConfig, train_cot_vlm
from minivlm_cot.training.identity import data_identity
from minivlm_cot.training.steps import count_texts

PROCESSOR = MiniVLMProcessor(small_image_processor(40), TOKENIZER)
ASKED = [
    "What colour is it?",
    "What colour is the ball?",
    "Is the small cube left of it?",
    "Is the small cube left of the ball, and is the ball red, or is it blue?",
    "What is left?",
]


def rows(pictures=("red", "blue", "red"), rationales=2):
    "Each picture's five questions, those of all pictures mixed; every other one has no rationale"
    images = [Image.new("RGB", (40, 40), colour) for colour in pictures]
    found = [
        dict(
            question_id=f"{p}-{q}",
            image_id=p,
            question=asked,
            choices=["red", "no"],
            correct_choice_idx=q % 2,
            rationales=[f"It is {k} left. " * (k + 1) for k in range(rationales * (q % 2))],
            image=image,
        )
        for p, image in enumerate(images)
        for q, asked in enumerate(ASKED)
    ]
    return random.Random(0).sample(found, len(found))


def learned(model, data):
    "Loss and all gradients of one batch of everything"
    loss = model(**Collator(PROCESSOR)([data[i] for i in range(len(data))])).loss
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return loss.item(), found


KINDS = dict(
    llama=PACKED["llama"],
    gpt2=PACKED["gpt2"],
    window=WINDOWS["mistral"],  # looks back less far than the packed row is long
    bloom=APART["bloom"],
    lfm2=ONE_BY_ONE["lfm2"],
    mamba=NO_CACHE["mamba"],
)


@pytest.mark.parametrize("most", [512, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_questions_learn_what_single_texts_teach(kind, most):
    model, _ = build(KINDS[kind]())
    packed = CoTReasoningDataset(rows(), PROCESSOR, together="picture", max_packed=most)
    apart = CoTReasoningDataset(rows(), PROCESSOR)
    assert len(packed) == 3 if most == 512 else len(packed) > 3
    (loss, gradients), (wanted, alone) = learned(model, packed), learned(model, apart)
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert gradients.keys() == alone.keys() and len(alone) > 10
    for name, gradient in alone.items():
        assert torch.allclose(gradients[name], gradient, atol=2e-6, rtol=1e-4), name
    assert max(g.abs().max() for g in alone.values()) > 1e-2


def test_an_item_is_a_picture_with_its_questions_in_every_arm():
    data = CoTReasoningDataset(rows(), PROCESSOR, together="picture")
    apart = CoTReasoningDataset(rows(), PROCESSOR)
    texts = sorted((t["question_id"], t["arm"], t["input_ids"]) for t in apart)
    items = [data[i] for i in range(len(data))]
    assert [Counter(i["arm"]) for i in items] == [dict(direct=5, cot=2)] * 3
    assert [len({q.split("-")[0] for q in i["question_id"]}) for i in items] == [1] * 3
    told = []
    for item in items:
        assert len(item["question_id"]) == len(item["arm"])
        for k, (name, arm) in enumerate(zip(item["question_id"], item["arm"])):
            span = [s for s, (a, b) in enumerate(item["segments"]) if a <= k <= b]
            told.append((name, arm, [item["input_ids"][s] for s in span]))
    assert sorted(told) == texts  # every text, and under its own name
    assert count_texts(Collator(PROCESSOR)(items)) == len(texts) == 21
    assert data.lengths == [len(i["labels"]) for i in items]
    assert sum(data.lengths) < 0.75 * sum(apart.lengths)  # “Question: ” is there once
    assert data.rows_per_arm == apart.rows_per_arm and data.left_out == {}


def test_no_item_is_longer_than_was_allowed_in_any_epoch():
    data = CoTReasoningDataset(rows(rationales=4), PROCESSOR, together="picture", max_packed=120)
    asked, seen = [], set()
    for epoch in range(8):
        data.set_epoch(epoch)
        seen.add(tuple(data.lengths))
        asked.append([sorted(set(data[i]["question_id"])) for i in range(len(data))])
        for item in data._items:
            assert sum(len(data._texts[t]["labels"]) for t in item) <= 120
    assert len(seen) > 1 and all(a == asked[0] for a in asked)  # other texts, the same items
    alone = CoTReasoningDataset(rows(), PROCESSOR, together="picture", max_packed=1)
    assert len(alone) == 15  # a question that is longer stands alone, with all its texts


def test_what_is_one_picture():
    data = rows()
    features = torch.randn(2, 4, 16)
    index = [r["image_id"] % 2 for r in data]

    def items(some=None, **dials):
        made = CoTReasoningDataset(some or data, PROCESSOR, together="picture", **dials)
        return len(made), made

    assert items()[0] == 3
    n, made = items(image_features=features, feature_index=index)
    assert n == 3  # one row of features, but two names
    nameless = [{k: v for k, v in r.items() if k != "image_id"} for r in data]
    assert items(nameless)[0] == 3
    assert items(nameless, image_features=features, feature_index=index)[0] == 2
    assert all(
        torch.equal(item["image_features"], features[int(item["question_id"][0][0]) % 2])
        for item in made
    )
    copies = [r | dict(image=r["image"].copy()) for r in data]
    assert items(copies)[0] == 3  # the pixels tell, where the name is the same
    one = [r | dict(image_id="all") for r in copies]
    assert items(one)[0] == 2  # red twice
    own = torch.randn(len(data), 4, 16)
    assert items([r | dict(image=None) for r in data], image_features=own)[0] == 15
    assert items(image_features=own)[0] == 3


def test_same_pictures(tmp_path):
    features = np.random.rand(3, 2, 4)
    assert same_pictures([features[0], features[1], features[0]]) == [0, 1, 0]
    assert same_pictures(features) == [0, 1, 2]
    assert same_pictures(torch.tensor(features)[[0, 0]]) == [0, 1]  # copies lie elsewhere
    assert same_pictures(["a.png", tmp_path, "a.png", str(tmp_path)]) == [0, 1, 0, 1]
    assert same_pictures(["a.png"] * 3, [1, 2, 1]) == [0, 1, 0]
    file = dict(path="a.png", bytes=None), dict(path="b.png", bytes=b"x"), dict(bytes=b"x")
    assert same_pictures(file) == [0, 1, 1]
    assert same_pictures([]) == []


def test_questions_that_a_task_makes_of_a_row():
    class Two(Task):
        styles = ("direct",)

        def questions(self, row):
            return [row | dict(question=q, question_id=q) for q in ASKED[: row["n"]]]

        def images(self, row):
            return [row["shown"]]

        def prompt(self, row, style):
            return f"Question: {row['question']}\nAnswer:"

        def target(self, row, style):
            return " red"

    made = [dict(n=n, shown=Image.new("RGB", (40, 40), c)) for n, c in ((3, "red"), (2, "blue"))]
    data = CoTReasoningDataset(made, PROCESSOR, together="picture", task=Two())
    assert [sorted(data[i]["question_id"]) for i in range(2)] == [sorted(ASKED[:3]), ASKED[:2]]


def test_a_run_counts_pictures_and_is_known_by_its_packing(tmp_path):
    model, _ = build(PACKED["llama"]())
    data = CoTReasoningDataset(rows(), PROCESSOR, together="picture")
    config = TrainConfig(str(tmp_path), batch_size=2, precision="fp32", compile="", epochs=2)
    history = train_cot_vlm(model, PROCESSOR, data, config, progress=False)
    assert len(history.rows) == 4 and history.sequences == 2 * 21
    by_row = data_identity(CoTReasoningDataset(rows(), PROCESSOR, together=True))
    assert "max_packed" not in by_row["data"]  # what is stored of older runs is still theirs
    assert data_identity(data)["data"]["max_packed"] == 512
    other = CoTReasoningDataset(rows(), PROCESSOR, together="picture", max_packed=60)
    with pytest.raises(InputError, match="max_packed 512 → 60"):
        train_cot_vlm(model, PROCESSOR, other, config, progress=False)


def test_an_unknown_way_to_pack_is_refused():
    for wrong in ("pictures", 2, None):
        with pytest.raises(InputError, match='use False, True or "picture"'):
            CoTReasoningDataset(rows(), PROCESSOR, together=wrong)
    with pytest.raises(InputError, match="max_packed"):
        CoTReasoningDataset(rows(), PROCESSOR, together="picture", max_packed=0)
