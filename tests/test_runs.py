"""What belongs to a run, and what a step may do."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from minivlm_cot.core import InputError, fingerprint, folder_lock
from minivlm_cot.core.contracts import Task
from minivlm_cot.dataset import Collator, CoTReasoningDataset
from minivlm_cot.commands import train_demo
from minivlm_cot.training import Recipe
from minivlm_cot.real import adopt_training, export_checkpoint, read_old_checkpoint
from minivlm_cot.training import History, TrainConfig, data_identity, differences
from minivlm_cot.training import steps_per_epoch, train_cot_vlm, training_step
from tiny_runs import model_for, parts, quick


@pytest.fixture(scope="module")
def made():
    return parts()


@pytest.fixture()
def run(made, tmp_path):
    "Train in one folder, with changes"
    rows, processor = made

    def train(
        rows=rows, seed=0, processor=processor, model=None, data=None, data_changes=None, **changes
    ):
        data = data or CoTReasoningDataset(
            rows, processor, **dict(together=True) | (data_changes or {})
        )
        model = model or model_for(processor, seed)
        return train_cot_vlm(
            model, processor, data, quick(tmp_path, **changes), progress=False
        ), model

    return train


def other_picture(rows):
    "The first row's picture with one other pixel"
    pixels = np.array(rows[0]["image"])
    pixels[0, 0] = 255 - pixels[0, 0]
    return [rows[0] | dict(image=Image.fromarray(pixels)), *rows[1:]]


@pytest.mark.parametrize(
    "name, changed",
    {
        "settings .lr_language": lambda rows: dict(lr_language=1e-4),
        "number of rows": lambda rows: dict(rows=rows[:8]),
        "texts": lambda rows: dict(rows=[rows[0] | dict(question="How many dogs?"), *rows[1:]]),
        "pictures": lambda rows: dict(rows=other_picture(rows)),
        r"arms \['cot', 'direct'\] → \['direct'\]": lambda rows: dict(
            data_changes=dict(arms=("direct",))
        ),
        "with_choices False → True": lambda rows: dict(data_changes=dict(with_choices=True)),
        r"base weights \(language_model": lambda rows: dict(seed=1),
    }.items(),
)
def test_a_run_with_anything_else_is_refused(run, made, name, changed):
    first, model = run()
    assert run()[0].losses == first.losses  # unchanged: what is finished comes back
    with pytest.raises(InputError, match="other .*" + name.replace("settings .", r"settings \(")):
        run(**changed(made[0]))
    assert run()[0].losses == first.losses  # and nothing was spoilt


def test_another_processor_is_refused(run, made):
    run()
    rows, processor = made
    _, other = parts()
    other.image_processor.image_mean = [0.1, 0.2, 0.3]
    with pytest.raises(InputError, match=r"processor \(image_processor\)"):
        run(processor=other)


def test_features_are_pictures_too(run, made):
    rows, processor = made
    kept = np.random.default_rng(0).standard_normal((16, 16, 32)).astype(np.float16)
    def data(f):
        return CoTReasoningDataset(rows, processor, together=True, image_features=f)
    run(data=data(kept))
    with pytest.raises(InputError, match="pictures"):
        run(data=data(kept[::-1].copy()))


def test_files_with_the_same_name_are_told_apart(run, made, tmp_path):
    path = tmp_path / "picture.png"
    made[0][0]["image"].save(path)
    rows = [made[0][0] | dict(image=str(path)), *made[0][1:]]
    run(rows=rows)
    run(rows=rows)
    made[0][1]["image"].save(path)
    with pytest.raises(InputError, match="pictures"):
        run(rows=rows)


def test_a_new_projector_does_not_stop_a_run_that_goes_on(run, made):
    first, model = run()
    other = model_for(made[1])
    kept = {n: p.clone() for n, p in other.state_dict().items() if "projector" not in n}
    torch.manual_seed(99)
    other = type(other).from_components(
        other.vision_encoder, other.language_model, drop_cls=True, device="cpu", summary=False
    )
    other.load_state_dict(kept, strict=False)
    assert run(model=other)[0].losses == first.losses


def test_an_older_checkpoint_goes_on_with_a_sentence(run, tmp_path, capsys):
    first, _ = run()
    path = tmp_path / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    found = state["identity"]
    state["identity"] = fingerprint(
        fingerprint(found["settings"]), found["rows"], found["processes"]
    )
    torch.save(state, path)
    assert run()[0].losses == first.losses
    assert "older kind" in capsys.readouterr().out
    with pytest.raises(InputError, match="other settings or data"):
        run(seed=0, weight_decay=0.5)


def test_fresh_starts_over(run):
    first, model = run()
    assert run(fresh=True)[0].losses == first.losses
    again, _ = run(fresh=True, model=model)  # from the weights that it has now
    assert again.losses != first.losses


def test_two_processes_in_one_folder(run, tmp_path):
    code = (
        "import time; from minivlm_cot.core import folder_lock\n"
        f"with folder_lock({str(tmp_path)!r}): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    with pytest.raises(InputError, match="Another process"):
        run()
    other.kill()
    other.wait()
    assert run()[0].finished  # the lock died with its owner


@pytest.mark.parametrize("n, size, k", [(10, 8, 8), (16, 8, 8), (8, 8, 4), (12, 4, 4)])
def test_more_accumulation_than_batches(made, tmp_path, n, size, k):
    rows, processor = made
    rows, ends = rows[:n], []
    for name, changes in dict(
        many=dict(batch_size=size, gradient_accumulation=k), one=dict(batch_size=n)
    ).items():
        model = model_for(processor, attention_dropout=0.0)
        config = quick(tmp_path / name, epochs=3, clip=1e9, **changes)
        history = train_cot_vlm(model, processor, rows, config, progress=False)
        assert len(history.rows) == 3 == 3 * steps_per_epoch(n, config)
        assert {r["sequences"] for r in history.rows} == {2 * n}
        ends.append(history.losses)
    np.testing.assert_allclose(*ends, rtol=2e-4)


def spoiled(model, bad):
    "Its gradient is not finite in these steps"
    count = [0]

    def spoil(gradient):
        count[0] += 1
        return gradient * float("nan") if count[0] in bad else gradient

    model.projector.projection[0].weight.register_hook(spoil)
    return model


def test_a_bad_gradient_is_passed_over(run, made, tmp_path):
    history, model = run(model=spoiled(model_for(made[1]), {2}), epochs=3)
    assert history.skipped == 1 and history.finished and History.load(tmp_path).skipped == 1
    assert all(p.isfinite().all() for p in model.parameters())
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert all(w.isfinite().all() for w in saved.values())


def test_bad_gradients_end_the_run_with_a_state_that_loads(run, made, tmp_path):
    with pytest.raises(
        InputError, match="not finite in 10 steps in a row.*lower the learning rates"
    ):
        run(model=spoiled(model_for(made[1]), set(range(4, 99))), epochs=8)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3 and all(w.isfinite().all() for w in state["model"].values())
    assert run(epochs=8)[0].finished  # the cause is gone: it goes on from there


def test_weights_that_are_lost_are_not_saved(run, made, tmp_path):
    run(epochs=1)
    model = model_for(made[1])
    with pytest.raises(InputError, match="lower the learning rates"):
        run(model=model, lr_language=1e38, lr_projector=1e38, clip=1e30, fresh=True, epochs=8)
    if (tmp_path / "checkpoint.pt").exists():
        saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
        assert all(w.isfinite().all() for w in saved.values())


@pytest.mark.parametrize(
    "wrong",
    [
        dict(save_every=0),
        dict(clip=0),
        dict(clip=-1.0),
        dict(lr_language=-1.0),
        dict(lr_projector=float("nan")),
        dict(weight_decay=-0.1),
        dict(warmup=-1),
        dict(decay=1.5),
        dict(epochs=0),
        dict(batch_size=2.5),
        dict(validate_every=-1),
        dict(num_workers=-1),
        dict(gradient_accumulation=0),
        dict(precision="fp8"),
    ],
)
def test_options_that_cannot_be_meant(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def test_exported_training_state_counts_epochs(made, tmp_path):
    rows, processor = made
    vision = model_for(processor).config.vision_config
    model = type(model_for(processor)).from_components(
        vision, model_for(processor).language_model, device="cpu", summary=False
    )
    config = quick(tmp_path / "run", epochs=3)
    history = train_cot_vlm(model, processor, rows, config, progress=False)
    path = export_checkpoint(model, processor, tmp_path / "old", run=config.out)
    state = read_old_checkpoint(path)
    assert state["epoch"] == 3
    np.testing.assert_allclose(state["losses"], np.reshape(history.losses, (3, -1)).mean(1))
    assert adopt_training(path, model, len(rows), quick(tmp_path / "on", epochs=4)) == len(
        history.rows
    )


@pytest.mark.parametrize("fresh", [False, True])
def test_a_demo_touches_nothing_that_is_not_its_own(tmp_path, fresh):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("somebody's")
    with pytest.raises(InputError, match="model but no recipe.json"):
        train_demo(tmp_path, Recipe.short(), "cpu", fresh, progress=False)
    assert (tmp_path / "model" / "weights").read_text() == "somebody's"
    assert not (tmp_path / "recipe.json").exists()


def test_a_run_from_before_rows_said_their_source_goes_on(made):
    rows, processor = made
    before, now = (
        data_identity(CoTReasoningDataset([r | more for r in rows], processor))
        for more in ({}, dict(source="aokvqa"))
    )
    assert before == now


def test_another_task_with_the_same_rows_is_another_run(made):
    class Echo(Task):
        name = "echo"

        def __init__(self, target):
            self.said = target

        def prompt(self, row, style):
            return row["question"]

        def target(self, row, style):
            return self.said

    rows, processor = made
    data, found = CoTReasoningDataset(rows, processor), []
    for data.task in (None, Echo("yes"), Echo("no")):
        found.append(data_identity(data))
    assert all(differences(one, other) == ["texts"] for one, other in combinations(found, 2))


def test_a_step_is_no_longer_than_clipped_gradients_allow(made):
    rows, processor = made
    model, config = model_for(processor).train(), quick("unused", clip=1e-3)
    learned = [p for p in model.parameters() if p.requires_grad]
    plain = torch.optim.SGD([dict(params=learned, full_lr=1.0)], lr=1.0)
    data = CoTReasoningDataset(rows[:4], processor)
    batch = Collator(processor)([data[i] for i in range(len(data))])
    before = [p.detach().clone() for p in learned]
    training_step(model, [plain], [batch], config, Accelerator(cpu=True))
    moved = torch.stack([(p - q).norm() for p, q in zip(learned, before)]).norm()
    assert 0.9e-3 < moved < 1.1e-3  # SGD of rate 1 moves by the gradient: its norm is the limit
