"""Mixed datasets: exact draws, runs that go on exactly, losses by task, a base in two forms."""

import pytest
import torch

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Callback
from minivlm_cot.dataset import Questions
from minivlm_cot.model import load_minivlm
from minivlm_cot.real.adopting import build_from_base
from minivlm_cot.tasks.captions import Captions
from minivlm_cot.tasks.mixing import deal, MixedDataset, Mixture, share_out
from minivlm_cot.tasks.one_for_all import save_base
from minivlm_cot.tasks.task_losses import task_losses, TaskLosses
from minivlm_cot.training import TrainConfig, train_cot_vlm

TWO = Mixture((Captions(), Questions()))


def mixed(processor, how="balance", **dials):  # name → value, of MixedDataset
    dials = dict(arms=("direct",)) | dials
    return MixedDataset(TWO.rows("train", 12), processor, TWO, how, **dials)


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def after_step(self, run):
        if run.done == self.step:
            run.stop()


def fit(out, data=None, more=(), **dials):  # name → value, of TrainConfig
    model, processor = load_minivlm(device="cpu")
    config = TrainConfig(str(out), epochs=2, batch_size=4, precision="fp32", **dials)
    data = data or mixed(processor)
    return train_cot_vlm(model, processor, data, config, progress=False, callbacks=more)


@pytest.mark.parametrize("n, count", [(7, 3), (3, 7), (5, 5), (1, 4)])
def test_nothing_comes_again_before_all_have_come(n, count):
    drawn = [card for epoch in range(6) for card in deal(n, count, epoch, "seed")]
    for k in range(len(drawn) // n):
        assert sorted(drawn[k * n : (k + 1) * n]) == list(range(n))


@pytest.mark.parametrize("size", range(3, 40))
def test_all_items_are_shared_out(size):
    counts = share_out(dict(a=1 / 3, b=1 / 3, c=1 / 3), size)
    assert sum(counts.values()) == size and max(counts.values()) - min(counts.values()) <= 1


def test_a_stopped_mixture_goes_on_exactly(tmp_path):
    whole = fit(tmp_path / "whole", more=[TaskLosses()])
    first = fit(tmp_path / "parts", more=[TaskLosses(), StopAt(4)])
    rest = fit(tmp_path / "parts", more=[TaskLosses()])
    assert len(first.losses) == 4 and len(whole.losses) == 12
    assert rest.losses == whole.losses and rest.validations == whole.validations


@pytest.mark.parametrize("size", [6, 40])  # fewer than there are, and more
def test_an_epoch_has_the_items_that_were_drawn(tmp_path, size):
    _, processor = load_minivlm(device="cpu")
    data = mixed(processor, size=size)
    assert len(data.item_pictures) == len(data) == size != len(data.names)
    history = fit(tmp_path / "run", data)
    assert sum(row["sequences"] for row in history.rows) == 2 * size  # two epochs


def test_a_run_that_was_mixed_otherwise_is_refused(tmp_path):
    processor = load_minivlm(device="cpu")[1]
    fit(tmp_path, more=[StopAt(1)])
    other = mixed(processor, dict(captions=2, questions=1))
    assert len(other) == len(mixed(processor))
    with pytest.raises(InputError, match="texts"):
        fit(tmp_path, other)


def test_losses_of_parts_of_a_step_add_up(tmp_path):
    history = fit(tmp_path, more=[TaskLosses()], gradient_accumulation=3)
    told = [row["learned"] for row in history.validations]
    assert len(told) == len(history.rows) == 4
    for row, parts in zip(history.rows, told):
        loss, tokens = map(sum, zip(*parts.values()))
        assert tokens == row["tokens"] and abs(loss / tokens - row["loss"]) < 1e-4


def test_workers_are_refused_where_the_dataset_must_tell(tmp_path):
    with pytest.raises(InputError, match="num_workers=0"):
        fit(tmp_path, more=[TaskLosses()], num_workers=1)


def test_texts_behind_one_picture_are_of_one_task():
    model, processor = load_minivlm(device="cpu")
    both = dict(how="concatenate", arms=("cot", "direct"))
    data = mixed(processor, together="picture", **both)
    assert len(data) == 24  # not 12: description and question of a picture stand apart
    losses = task_losses(model, data, precision="fp32")
    assert set(losses) == {"captions", "questions"} and min(losses.values()) >= 0
    alone = task_losses(model, mixed(processor, **both), precision="fp32")
    for name, loss in losses.items():
        assert abs(alone[name] - loss) < 1e-3 * (1 + loss)


def test_the_base_in_the_older_form_says_the_same(tmp_path, monkeypatch):
    model, processor = load_minivlm(device="cpu")
    model.config.drop_cls = False
    path = save_base(model, processor, tmp_path / "mini-vlm-multitask")
    for part in ("vision", "language"):  # other folders of these names are not meant
        (tmp_path / "elsewhere" / part).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    older, own, found = build_from_base(tmp_path, device="cpu")
    assert found == path
    newer, _ = load_minivlm(path.parent, device="cpu")
    row = Captions().rows("test", 1)[0]
    asked = dict(
        input_ids=torch.tensor([own.tokenizer(TWO.tasks[0].prompt(row, "direct"))["input_ids"]]),
        pixel_values=own.pixels(row["image"]),
    )
    with torch.no_grad():
        said = [m(**asked).logits for m in (model, older, newer)]
    for other in said[1:]:
        torch.testing.assert_close(other, said[0], atol=1e-4, rtol=1e-4)
