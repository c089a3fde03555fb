"Rows with several pictures: learned, asked, ranked and kept as rows with one"

import numpy as np
import pytest
import torch

from minivlm_cot.core import InputError
from minivlm_cot.dataset import as_pictures, Collator, CoTReasoningDataset, held_pictures
from minivlm_cot.dataset import open_pictures, same_pictures
from minivlm_cot.dataset import rows as rows_module
from minivlm_cot.evaluation.exam import blind_row
from minivlm_cot.generation import ask_all, AskOptions, Chain, Direct, rank_choices
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import scene_examples
from minivlm_cot.tasks import swap_pictures
from minivlm_cot.training import epoch_batches, TrainConfig, train_cot_vlm
from minivlm_cot.training.features import cache_dataset
from minivlm_cot.visualization import picture_of

IMAGES = [e["image"] for e in scene_examples(12, "train")]


def row(number, pictures):
    "A question about so many pictures"
    said = dict(choices=["two", "three"], correct_choice_idx=number % 2, direct_answers=["two"])
    names = dict(question_id=f"q{number}", image_id=f"set {number}")
    texts = dict(question=f"Which of {pictures} has more?", rationales=["picture 1: 2; so 2."])
    return said | names | texts | dict(images=IMAGES[number : number + pictures])


ROWS = [row(number, 1 + number % 3) for number in range(8)]


@pytest.fixture(scope="module")
def pair():
    model, processor = load_minivlm(device="cpu")
    return model.name_pictures(processor, 3), processor


def loss_of(pair, data, numbers):
    "Mean loss of items, and how many tokens it is the mean of"
    batch = Collator(pair[1])([data[n] for n in numbers])
    with torch.no_grad():
        return pair[0](**batch).loss.item(), int((batch["labels"] != -100).sum())


def test_packed_texts_cost_what_they_cost_alone(pair):
    apart, packed = (CoTReasoningDataset(ROWS, pair[1], together=t) for t in (False, "picture"))
    alone = [loss_of(pair, apart, [n]) for n in range(len(apart))]
    joined = [loss_of(pair, packed, [n]) for n in range(len(packed))]
    sums = [sum(loss * n for loss, n in some) for some in (alone, joined)]
    assert len(packed) == len(ROWS) < len(apart)
    np.testing.assert_allclose(*sums, rtol=1e-5)


def test_no_batch_holds_rows_that_show_other_numbers_of_pictures(pair):
    data = CoTReasoningDataset(ROWS, pair[1], together=True)
    assert data.pictures_shown == data.item_pictures == [1 + n % 3 for n in range(8)]
    batches = epoch_batches(data, TrainConfig(batch_size=3), 0)
    assert sorted(i for batch in batches for i in batch) == list(range(8))
    assert all(len({ROWS[i]["question"] for i in batch}) == 1 for batch in batches)
    with pytest.raises(InputError, match="different numbers of pictures"):
        Collator(pair[1])([data[0], data[1]])


def test_stored_features_say_what_pictures_say(pair, tmp_path):
    drawn, stored = (CoTReasoningDataset(ROWS, pair[1]) for _ in range(2))
    cache_dataset(stored, pair[0], tmp_path, "fp32", progress=False)
    assert stored.feature_index[:3] == [0, [1, 2], [2, 3, 4]]
    for n in (2, 4):  # two pictures, three pictures
        said = [loss_of(pair, data, [n])[0] for data in (drawn, stored)]
        np.testing.assert_allclose(*said, rtol=2e-3)  # float16


def test_a_training_reads_them_and_a_model_without_markers_refuses(pair, tmp_path):
    model, processor = load_minivlm(device="cpu")
    data = CoTReasoningDataset(ROWS, processor, together=True)
    config = TrainConfig(out=tmp_path / "run", epochs=4, batch_size=3, lr_language=1e-3)
    with pytest.raises(InputError, match="Question q1 shows 2 pictures, and the model reads one"):
        train_cot_vlm(model, processor, data, config, progress=False)
    model.name_pictures(processor, 3)
    history = train_cot_vlm(model, processor, data, config, progress=False)
    assert len(history.losses) == 12
    assert sum(history.losses[-3:]) < sum(history.losses[:3])
    model.save_pretrained(tmp_path / "kept")
    processor.save_pretrained(tmp_path / "kept")
    again, _ = load_minivlm(tmp_path / "kept", device="cpu")
    pixels = processor.pixels([IMAGES[:3]])
    with torch.no_grad():
        assert torch.equal(again.eval().embed_image(pixels), model.eval().embed_image(pixels))


def test_a_batch_says_what_each_row_says_alone(pair):
    how, ways = AskOptions(max_new_tokens=6), [Chain(), Direct()]
    said = ask_all(ways, *pair, ROWS, None, how)
    for style, answers in said.items():
        alone = [ask_all(ways, *pair, [r], None, how)[style][0].text for r in ROWS]
        assert [a.text for a in answers] == alone


def test_choices_are_ranked_with_all_pictures(pair):
    asked = [[r[name] for r in ROWS] for name in ("images", "question", "choices")]
    whole = rank_choices(*pair, *asked)
    alone = [rank_choices(*pair, *([some[n]] for some in asked))[0] for n in range(len(ROWS))]
    np.testing.assert_allclose(whole, alone, atol=0.05)  # bf16
    turned = rank_choices(*pair, [r["images"][::-1] for r in ROWS], *asked[1:])
    assert all(a == b for a, b in zip(whole[::3], turned[::3]))  # one picture has no order
    assert all(a != b for a, b in zip(whole[1::3], turned[1::3]))


def test_the_same_pictures_in_the_same_order_are_read_once():
    a, b, c = IMAGES[:3]
    assert same_pictures([[a, b], [a, b], [b, a], [a, b, c], a]) == [0, 0, 2, 3, 4]


def test_a_scene_is_drawn_once_whenever_it_is_read(pair, monkeypatch):
    drawn = []
    draw = rows_module.draw_scene
    monkeypatch.setattr(rows_module, "draw_scene", lambda scene: drawn.append(1) or draw(scene))
    row = {k: v for k, v in scene_examples(1, "train")[0].items() if k != "image"}
    for read in (held_pictures, as_pictures, open_pictures):
        drawn.clear()
        assert read(row).size == (80, 80)
        assert len(drawn) == 1


def test_blind_rows_are_grey_in_every_picture_and_figures_show_all():
    grey = blind_row(ROWS[2])
    assert [i.getcolors()[0][1] for i in grey["images"]] == [(127, 127, 127)] * 3
    assert picture_of(ROWS[2]).width > 3 * IMAGES[0].width


def test_pictures_of_unknown_scenes_are_not_swapped():
    with pytest.raises(InputError, match="q2 has no scenes and program"):
        swap_pictures(ROWS[2])
