"""The study on photographs: mirrored pictures, blind twins, runs that are kept and gone on with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from test_layouts import daquar
from tiny_runs import model_for, parts

from minivlm_cot.commands import minivlm_photographs
from minivlm_cot.core import InputError, load_json
from minivlm_cot.core.pictures import open_image
from minivlm_cot.dataset import CoTReasoningDataset, real_data
from minivlm_cot.generation import Answer
from minivlm_cot.model import fetch_part
from minivlm_cot.real import photographs, trials
from minivlm_cot.real.photographs import forget, grey_rows, Mirrored, mirrored_rows
from minivlm_cot.real.photographs import RealRecipe, shared_rows
from minivlm_cot.real.study import gain, marks, shares
from minivlm_cot.real.trials import Exam, run_trial
from minivlm_cot.scenes import scene_examples
from minivlm_cot.tasks import Rooms


def rows(tmp_path, split="train"):
    return Rooms(folder=str(daquar(tmp_path))).rows(split)


@pytest.fixture
def small(monkeypatch):
    "Small random parts in the place of pretrained ones"
    _, processor = parts()
    monkeypatch.setattr(photographs, "real_parts", lambda recipe, device: (
        model_for(processor, recipe.seed), processor
    ))
    return processor


def test_mirrored_twice_is_the_same(tmp_path):
    changes = dict(question="what is left of the bed on the right side?")
    row = rows(tmp_path)[0] | changes | dict(image=scene_examples(1)[0]["image"])
    once = mirrored_rows([row])[0]
    assert once["question"] == "what is right of the bed on the left side?"
    assert once["image_id"] != row["image_id"]
    there, seen = (np.asarray(open_image(r["image"])) for r in (row, once))
    assert (there[:, ::-1] == seen).all() and not (there == seen).all()
    twice = mirrored_rows([once])[0]
    assert twice["question"] == row["question"]
    assert (np.asarray(open_image(twice["image"])) == there).all()


def test_coins_decide_which_side_is_shown(tmp_path, small):
    plain = rows(tmp_path)
    made = dict(arms=("direct",), together="picture")
    two = [CoTReasoningDataset(some, small, **made) for some in (plain, mirrored_rows(plain))]
    data, seen = Mirrored(*two, seed=0), set()
    for epoch in range(12):
        data.set_epoch(epoch)
        seen |= {(i, side) for i, side in enumerate(data.chosen)}
    assert seen == {(i, side) for i in range(len(data)) for side in (0, 1)}
    data.set_epoch(3)
    before = data.chosen
    data.set_epoch(4)
    data.set_epoch(3)
    assert data.chosen == before
    with pytest.raises(InputError, match="mirrored ones"):
        Mirrored(two[0], CoTReasoningDataset(plain[:1], small, **made))


def test_a_share_lies_within_a_larger_one(tmp_path):
    whole = rows(tmp_path)
    small, large = ({r["image_id"] for r in shared_rows(whole, s)} for s in (0.3, 0.7))
    assert small < large < {r["image_id"] for r in whole}
    kept = [r for r in whole if r["image_id"] in small]
    assert shared_rows(whole, 0.3) == kept, "all questions of a picture go together"
    with pytest.raises(InputError, match="none is left"):
        shared_rows(whole, 0.01)


def test_a_blind_twin_sees_one_grey_picture(tmp_path, small):
    model, processor = model_for(small), small
    some = rows(tmp_path)
    both = photographs.photograph_data(RealRecipe(blind=True), some, processor).both
    shown = [np.asarray(r["image"]) for data in both for r in data.examples]
    assert all((x == shown[0]).all() for x in shown)
    assert [r["question"] for r in grey_rows(some)] == [r["question"] for r in some]
    before = {n: w.clone() for n, w in model.named_parameters()}
    forget(model, "language")
    changed = {n for n, w in model.named_parameters() if not w.equal(before[n])}
    assert changed and all(n.startswith("language_model.") for n in changed)
    with pytest.raises(InputError, match="Only vision or language"):
        forget(model, "projector")


def test_a_trial_is_kept_and_another_refused(tmp_path, small, monkeypatch):
    exam = Exam(str(daquar(tmp_path / "data")), "fit", "validation")
    recipe, out = RealRecipe(epochs=1, mirrored=False, aligned=0), tmp_path / "trial"
    whole = trials.save_minivlm  # these small parts have no names by which they could be found
    monkeypatch.setattr(trials, "save_minivlm", lambda *vlm, vision: whole(*vlm))
    found = run_trial(recipe, exam, out, keep=True)
    card = (out / "model/README.md").read_text(encoding="utf-8")
    assert "DAQUAR, split `fit`" in card and f"| direct | {len(exam.rows('validation'))} |" in card
    assert len(found["answers"]["direct"]) == len(exam.rows("validation"))
    assert not list(out.glob("checkpoint*")), "a finished run needs no checkpoint"
    monkeypatch.setattr(trials, "train_real", None)  # it would be an error to train again
    assert run_trial(recipe, exam, out) == found
    with pytest.raises(InputError, match="its recipe differs"):
        run_trial(replace(recipe, blind=True), exam, out)
    with pytest.raises(InputError, match="its exam differs"):
        run_trial(recipe, replace(exam, pictures=1), out)


def test_a_projector_that_learned_other_words_is_not_taken_over(tmp_path, small, monkeypatch):
    "A folder that a quick look left holds a projector; another recipe's or pictures' is made anew"
    taught = []
    monkeypatch.setattr(photographs, "lite_classifier", lambda name: None)
    monkeypatch.setattr(photographs, "align_to_words", lambda *given: taught.append(given))
    features = [torch.rand(4, 8, generator=torch.Generator().manual_seed(n)) for n in range(5)]

    def start(recipe, some):
        photographs.real_start(model_for(small), small, recipe, some, tmp_path)
        return len(taught)

    assert start(RealRecipe(), features) == 1
    assert start(RealRecipe(), features) == 1, "what this run learned before is read"
    assert start(RealRecipe(seed=1), features) == 2
    assert start(RealRecipe(seed=1), features[1:]) == 3


def test_shares_and_gains_are_counted_by_picture(tmp_path):
    asked, task = rows(tmp_path, "test"), Rooms()
    right = [Answer(e["question"], "direct", "", e["direct_answers"][0], "", 1) for e in asked]
    wrong = [replace(a, answer="a zeppelin") for a in right]
    good, bad = marks(right, asked, task), marks(wrong, asked, task)
    assert good.all() and not bad.any()
    found = shares([good, bad], asked)
    assert found["all"]["share"] == 0.5 and found["all"]["n"] == len(asked)
    assert found["single"]["n"] == sum(len(e["named"]) == 1 for e in asked) < len(asked)
    assert gain([good], [bad], asked)["difference"] == 1
    low, high = gain([good], [good], asked)["ci"]
    assert low < 0 < high, "a handful of pictures cannot show that there is no difference"


@pytest.mark.parametrize(
    "given, said",
    [
        (dict(trials="photos"), "Unknown trial 'photos'"),
        (dict(trials=","), "There is no trial"),
        (dict(seeds="one"), "seeds is 'one'"),
        (dict(split="train"), "use test or validation"),
        (dict(folder="nowhere"), "There is no folder nowhere"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_spent(tmp_path, given, said, capsys):
    with pytest.raises(SystemExit):
        minivlm_photographs(out=str(tmp_path / "out"), **given)
    assert said in capsys.readouterr().err


def test_real_parts_on_photographs(tmp_path):
    "Two minutes: the whole command with pretrained parts, on six pictures; real ones, if there are"
    needed = "efficientnet-lite-code", "efficientnet-lite2", "imagenet-words", "smollm2-135m"
    try:
        for name in needed:
            fetch_part(name)
    except InputError as e:
        pytest.skip(f"no pretrained parts: {e}")
    here = real_data() is not None and (real_data() / "daquar").exists()
    folder = None if here else str(daquar(tmp_path / "data"))
    small = dict(pictures=6, epochs=1, trials="photographs")
    minivlm_photographs(out=str(tmp_path / "out"), folder=folder, **small)
    numbers = load_json(tmp_path / "out/numbers.json")["photographs"]
    assert np.isfinite(numbers["losses"]).all()
    assert numbers["direct"]["all"]["n"] > (20 if here else 3)
    assert "index.html" in {p.name for p in (tmp_path / "out").iterdir()}
