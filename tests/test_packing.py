"""All questions of a picture behind it: the same losses, gradients and words as one by one."""

import random
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from test_architectures import APART, NO_CACHE, ONE_BY_ONE, PACKED, TOKENIZER, WINDOWS
from test_architectures import build, greedy

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Task
from minivlm_cot.dataset import ARMS, Collator, CoTReasoningDataset, format_prompt, same_pictures
from minivlm_cot.generation import ask_all, AskOptions, Chain, Direct, generate_answers
from minivlm_cot.generation import generate_both, in_batches, make_prompts, rank_both
from minivlm_cot.generation import sample_answers
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


def test_a_resumed_run_learns_from_the_same_items():
    one, other = (
        CoTReasoningDataset(rows(rationales=4), PROCESSOR, together="picture", max_packed=120)
        for _ in range(2)
    )
    for epoch in range(3):
        one.set_epoch(epoch)
    other.set_epoch(2)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.pop("pixel_values"), b.pop("pixel_values")) and a == b


def test_an_unknown_way_to_pack_is_refused():
    for wrong in ("pictures", 2, None):
        with pytest.raises(InputError, match='use False, True or "picture"'):
            CoTReasoningDataset(rows(), PROCESSOR, together=wrong)
    with pytest.raises(InputError, match="max_packed"):
        CoTReasoningDataset(rows(), PROCESSOR, together="picture", max_packed=0)


# ------------------------------------------------------------------ answering


def positions(model, run):
    "What runs, and how many pictures and positions pass the encoder and the language model"
    seen = dict(pictures=0, positions=0)

    def encoder(module, args, kwargs, out):
        seen["pictures"] += len(out.last_hidden_state)

    def body(module, args, kwargs, out):
        seen["positions"] += out.last_hidden_state[..., 0].numel()

    parts = (model.vision_encoder, encoder), (model.language_model.base_model, body)
    hooks = [part.register_forward_hook(hook, with_kwargs=True) for part, hook in parts]
    said = run()
    for hook in hooks:
        hook.remove()
    return said, seen


def mistaken(said, asked):
    "How many questions are answered otherwise about the red pictures and the blue one"
    found = {(r["question"], r["image_id"]): text for r, text in zip(asked, said)}
    return sum(found[q, 0] != found[q, 1] for q in ASKED)


@pytest.mark.parametrize("kind", KINDS)
def test_questions_behind_one_picture_are_answered_as_alone(kind):
    model, processor = build(KINDS[kind]())
    asked = rows()
    images, questions = [r["image"] for r in asked], [r["question"] for r in asked]
    wanted = {
        arm: [
            greedy(model, processor, r["image"], format_prompt(r["question"], arm), 6)
            for r in asked
        ]
        for arm in ARMS
    }
    assert len(set(wanted["direct"])) >= dict(bloom=4, mamba=1).get(kind, 6)
    if kind == "llama":  # a mistaken picture would be noticed
        assert mistaken(wanted["direct"], asked) > 2
    for size in (4, 5, 15):
        for arm in ARMS:
            said = generate_answers(model, processor, images, questions, arm, 6, batch_size=size)
            assert [a.text for a in said] == wanted[arm]
        both = generate_both(model, processor, images, questions, (6, 6), batch_size=size)
        assert {arm: [a.text for a in both[arm]] for arm in ARMS} == wanted


def test_a_picture_is_seen_and_read_once():
    model, processor = build(PACKED["llama"]())
    asked, T = rows(), model.config.n_image_tokens
    images, questions = [r["image"] for r in asked], [r["question"] for r in asked]
    prompts = make_prompts(images, questions, "direct")
    lengths = [len(ids) for ids in TOKENIZER(prompts.texts)["input_ids"]]

    def ask(images=images, **how):
        how = dict(max_new_tokens=1, batch_size=15) | how
        return lambda: generate_answers(model, processor, images, questions, "direct", **how)

    said, seen = positions(model, ask())
    assert seen == dict(pictures=3, positions=3 * T + 15 * max(lengths))
    copies = [i.copy() for i in images]  # nothing tells that they are the same
    same, apart = positions(model, ask(copies))
    assert apart == dict(pictures=15, positions=15 * (T + max(lengths))) and same == said
    assert [a.read for a in said] == lengths  # each counts its own prompt
    _, seen = positions(model, ask(batch_size=7))  # one picture's five and no others
    assert seen["pictures"] == 3
    _, seen = positions(model, ask(batch_size=3))  # does not hold a picture's five
    assert seen["pictures"] == 6
    whole = processor.pixels([images[0]] + images)
    features = model.encode_image(whole).detach()[1:]
    stored = features.numpy()
    index = same_pictures(images)  # Pillow holds two red pictures equal: `images.index` would too
    rows_of_one = [stored[k] for k in index]
    by_features = make_prompts(rows_of_one, questions, "direct", are_features=True)
    for given in (rows_of_one, [features[k] for k in index]):
        found, seen = positions(model, ask(None, image_features=given))
        assert found == said and seen == dict(pictures=0, positions=3 * T + 15 * max(lengths))
    assert by_features.first() == prompts.first() == index


def test_an_exam_knows_the_same_picture_by_its_name():
    model, processor = build(PACKED["llama"]())
    asked = [r | dict(image=r["image"].copy()) for r in rows()]
    options, both = AskOptions(max_new_tokens=4, batch_size=15), [Chain(), Direct()]
    said, seen = positions(model, lambda: ask_all(both, model, processor, asked, options=options))
    assert seen["pictures"] == 3
    one_by_one = AskOptions(max_new_tokens=4, batch_size=1)
    assert ask_all(both, model, processor, asked, options=one_by_one) == said


def test_samples_are_the_same_in_every_batch():
    model, processor = build(PACKED["llama"]())
    asked = rows()
    prompts = make_prompts([r["image"] for r in asked], [r["question"] for r in asked], "cot")
    drawn = [
        sample_answers(
            model, processor, prompts, 3, AskOptions(size, 5, temperature=1.5, seed=1)
        )
        for size in (1, 6, 15)
    ]
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({a.text for some in drawn[0] for a in some}) > 15


def test_batches_hold_whole_pictures():
    same, batches = [0, 0, 2, 3, 3, 3, 3, 7], []
    in_batches(lambda batch: batches.append(list(batch)), range(8), 3, same)
    assert batches == [[0, 1, 2], [3, 4, 5], [6, 7]]
    batches.clear()
    in_batches(lambda batch: batches.append(list(batch)), range(8), 4, same)
    assert batches == [[0, 1, 2], [3, 4, 5, 6], [7]]
    batches.clear()
    in_batches(lambda batch: batches.append(list(batch)), range(8), 3)
    assert batches == [[0, 1, 2], [3, 4, 5], [6, 7]]

    def too_much(batch):
        if len(batch) > 2:
            raise MemoryError
        batches.append(list(batch))

    batches.clear()
    in_batches(too_much, range(8), 8, same)
    assert sorted(sum(batches, [])) == list(range(8))


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_behind_one_picture_are_those_of_copies(kind):
    model, processor = build(KINDS[kind]())
    asked = rows()
    questions, choices = [r["question"] for r in asked], [["red", "no", "blue"]] * len(asked)
    images, chains = [r["image"] for r in asked], ["It is left. " * (n % 4) for n in range(15)]
    copies = [i.copy() for i in images]
    for size in (4, 15):
        ask = partial(rank_both, model, processor, options=AskOptions(batch_size=size))
        found, seen = positions(model, lambda: ask(images, questions, choices, chains))
        wanted, apart = positions(model, lambda: ask(copies, questions, choices, chains))
        assert seen["pictures"] < apart["pictures"] == 15
        for arm in ARMS:
            assert np.allclose(found[arm], wanted[arm], atol=1e-4)
