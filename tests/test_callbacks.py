"""A callback needs no edit anywhere: it hears every event, in order, and can end the run."""

from contextlib import contextmanager

import pytest
import torch

from minivlm_cot.core import InputError
from minivlm_cot.core.contracts import Callback
from minivlm_cot.training import History, train_cot_vlm
from tiny_runs import model_for, parts, quick

STEPS = 8  # two epochs of sixteen rows, four at a time


class Listener(Callback):
    "Writes down what it hears, with what the run knows at that moment"

    def __init__(self, heard, name="", last=None):
        self.heard, self.name, self.last = heard, name, last

    def before_fit(self, run):
        self.heard.append(f"{self.name}before_fit {run.done} of {run.total}")

    @contextmanager
    def around_fit(self, run):
        self.heard.append(f"{self.name}begin")
        assert run.model.training
        yield
        self.heard.append(f"{self.name}end")

    def before_step(self, run):
        assert run.done == run.step and run.rate > 0
        self.heard.append(f"{self.name}before_step {run.step}")

    def after_step(self, run):
        assert run.done == run.step + 1 == run.row["step"] == len(run.history.rows)
        self.heard.append(f"{self.name}after_step {run.step}")
        if run.done == self.last:
            run.stop()

    def after_fit(self, run):
        assert run.history.finished
        assert not (run.row and run.model.training)  # no row: nothing was left to do
        self.heard.append(f"{self.name}after_fit")


@pytest.fixture(scope="module")
def made():
    return parts()


def train(made, out, *callbacks, validate=None, **changes):
    rows, processor = made
    model = model_for(processor)
    config = quick(out, **changes)
    history = train_cot_vlm(model, processor, rows, config, validate, False, callbacks)
    return history, model


def steps(first, last):
    return [f"{when}_step {k}" for k in range(first, last) for when in ("before", "after")]


def test_it_hears_every_event_in_order(made, tmp_path):
    heard = []
    train(made, tmp_path, Listener(heard))
    assert heard == [f"before_fit 0 of {STEPS}", "begin", *steps(0, STEPS), "end", "after_fit"]


def test_it_changes_nothing_by_listening(made, tmp_path):
    plain, model = train(made, tmp_path / "plain")
    heard, other = train(made, tmp_path / "heard", Listener([]), Callback())
    assert plain.losses == heard.losses
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def test_several_are_told_in_their_order(made, tmp_path):
    heard = []
    train(made, tmp_path, Listener(heard, "1 "), Listener(heard, "2 "), epochs=1)
    assert heard[:2] == [f"{n} before_fit 0 of 4" for n in (1, 2)]
    assert heard[2:6] == ["1 begin", "2 begin", "1 before_step 0", "2 before_step 0"]
    assert heard[-4:] == ["2 end", "1 end", "1 after_fit", "2 after_fit"]


@pytest.mark.parametrize("last", [1, 3, 4, STEPS])
def test_it_can_stop_a_run_that_goes_on_later(made, tmp_path, last):
    whole, model = train(made, tmp_path / "whole")
    heard = []
    part, _ = train(made, tmp_path / "part", Listener(heard, last=last), save_every=100)
    assert part.losses == whole.losses[:last] and part.finished == (last == STEPS)
    assert heard[-1] == ("after_fit" if last == STEPS else "end")
    saved = torch.load(tmp_path / "part" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == last
    heard.clear()
    history, other = train(made, tmp_path / "part", Listener(heard), save_every=100)
    assert history.losses == whole.losses == History.load(tmp_path / "part").losses
    assert heard[0] == f"before_fit {last} of {STEPS}" and heard[-1] == "after_fit"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def test_a_finished_run_takes_no_step(made, tmp_path):
    train(made, tmp_path)
    heard = []
    train(made, tmp_path, Listener(heard))
    assert heard == [f"before_fit {STEPS} of {STEPS}", "after_fit"]


def test_it_hears_of_a_step_after_its_validation_and_before_its_checkpoint(made, tmp_path):
    seen = []

    class Look(Callback):
        def after_step(self, run):
            seen.append((len(run.history.validations), run.checkpoint.exists()))

    train(made, tmp_path, Look(), validate=lambda *_: dict(x=1), validate_every=1, save_every=1)
    assert seen == [(k, k > 1) for k in range(1, STEPS + 1)]


def test_it_can_change_the_rate_and_note_a_line(made, tmp_path):
    class Half(Callback):
        def before_step(self, run):
            run.rate = run.rate / 2

        def after_step(self, run):
            run.note(dict(half=run.rate, step=run.done))

    usual, _ = train(made, tmp_path / "usual")
    half, _ = train(made, tmp_path / "half", Half())
    assert [2 * r["lr"] for r in half.rows] == [r["lr"] for r in usual.rows]
    noted = History.load(tmp_path / "half").validations
    assert noted == [dict(half=r["lr"], step=r["step"]) for r in half.rows]


def test_its_error_ends_the_run_and_undoes_what_was_around(made, tmp_path):
    class Fails(Callback):
        def after_step(self, run):
            self.attention = run.model.language_model.config._attn_implementation
            raise RuntimeError("mine")

    fails, (rows, processor) = Fails(), made
    model = model_for(processor)
    before = model.language_model.config._attn_implementation
    with pytest.raises(RuntimeError, match="mine"):
        train_cot_vlm(model, processor, rows, quick(tmp_path), None, False, [fails])
    assert model.language_model.config._attn_implementation == before
    assert len(History.load(tmp_path).losses) == 1


@pytest.mark.parametrize("wrong", [Listener, print, "Bar"])
def test_what_is_no_callback_is_refused_before_anything_is_written(made, tmp_path, wrong):
    with pytest.raises(InputError, match="is no callback"):
        train(made, tmp_path / "new", wrong)
    assert not (tmp_path / "new").exists()
