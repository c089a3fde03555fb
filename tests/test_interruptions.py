"""A run that is stopped or killed at any moment goes on as if nothing had happened.

It comes to the weights of the undisturbed one, bit for bit.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from minivlm_cot.core import InputError
from minivlm_cot.training import History, can_compile, previous_checkpoint, train_cot_vlm
from tiny_runs import model_for, parts, quick

SCRIPT = Path(__file__).with_name("tiny_runs.py")
MOMENTS = int(
    os.environ.get("MINIVLM_MOMENTS", 2)
)  # how often each signal is sent; more for a thorough look


COMPILED = """
import sys
from minivlm_cot.training import train_cot_vlm
from tiny_runs import model_for, parts, quick

def stop(model, step):
    if step == 3 and sys.argv[2] == "stop":
        raise KeyboardInterrupt
    return {}

rows, processor = parts(40)
model = model_for(processor, num_hidden_layers=2)
usual = dict(epochs=1, batch_size=8, validate_every=1, precision="auto", cache="features")
config = quick(sys.argv[1], compile="inductor", **usual)
train_cot_vlm(model, processor, rows, config, stop, progress=False)
"""


def python(*arguments):
    "Start a program that finds this project and its tests"
    paths = [str(SCRIPT.parent), str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(PYTHONPATH=os.pathsep.join(paths)),
    )


def start(out, slow):
    run = python(SCRIPT, out, slow)
    while (line := run.stdout.readline()) and line != "begin\n":
        pass
    return run


def finish(out):
    run = start(out, 0)
    said, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    return said, torch.load(out / "checkpoint.pt", weights_only=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    return finish(out)[1], History.load(out).losses


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_lose_nothing(number, tmp_path, undisturbed):
    state, losses = undisturbed
    draw = random.Random(int(number))
    for moment in range(MOMENTS):
        out = tmp_path / str(moment)
        run = start(out, 0.03)
        time.sleep(draw.uniform(0.1, 3.0))
        run.send_signal(number)
        _, errors = run.communicate(timeout=300)
        assert run.returncode in ((143, 0) if number == signal.SIGTERM else (-9, 0)), errors
        if run.returncode == 143:
            assert "stopped; what was saved is kept" in errors
        _, other = finish(out)
        assert other["step"] == state["step"]
        assert all(torch.equal(w, other["model"][n]) for n, w in state["model"].items())
        assert History.load(out).losses == losses


def test_sigterm_keeps_the_last_step(tmp_path):
    rows, processor = parts()

    def validate(model, step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(SystemExit) as end:
        config = quick(tmp_path, save_every=100, validate_every=1)
        train_cot_vlm(model_for(processor), processor, rows, config, validate, progress=False)
    assert end.value.code == 143
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_a_torn_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys):
    rows, processor = parts()
    whole = model_for(processor)
    losses = train_cot_vlm(whole, processor, rows, quick(tmp_path / "whole"), progress=False).losses
    torn = tmp_path / "torn"
    train_cot_vlm(model_for(processor), processor, rows, quick(torn), progress=False)
    path = torn / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-3000])
    again = model_for(processor)
    history = train_cot_vlm(again, processor, rows, quick(torn), progress=False)
    assert str(path) in (said := capsys.readouterr().out) and "the one before, after step 6" in said
    assert history.losses == losses and history.finished
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters()))
    for place in (path, previous_checkpoint(path)):
        place.write_bytes(b"half")
    with pytest.raises(InputError, match="cannot be read"):
        train_cot_vlm(model_for(processor), processor, rows, quick(torn), progress=False)


def test_only_the_one_before_is_there(tmp_path):
    rows, processor = parts()
    train_cot_vlm(model_for(processor), processor, rows, quick(tmp_path), progress=False)
    path = tmp_path / "checkpoint.pt"
    os.replace(path, previous_checkpoint(path))  # killed between the two renamings
    assert train_cot_vlm(
        model_for(processor), processor, rows, quick(tmp_path), progress=False
    ).finished


def test_the_same_model_goes_on_after_an_error(tmp_path):
    rows, processor = parts()
    whole = model_for(processor)
    losses = train_cot_vlm(whole, processor, rows, quick(tmp_path / "whole"), progress=False).losses

    def fails(model, step):
        if step == 3:
            raise RuntimeError("a mistake in a notebook")
        return {}

    model = model_for(processor)
    with pytest.raises(RuntimeError):
        train_cot_vlm(
            model,
            processor,
            rows,
            quick(tmp_path / "again", validate_every=1),
            fails,
            progress=False,
        )
    assert (
        train_cot_vlm(model, processor, rows, quick(tmp_path / "again"), progress=False).losses
        == losses
    )


@pytest.mark.skipif(not can_compile(), reason="no compiler")
def test_a_compiled_run_goes_on_with_the_kernels_that_it_began_with(tmp_path):
    program = tmp_path / "compiled.py"
    program.write_text(COMPILED)
    for out, what, ends in (("through", "go", 0), ("stopped", "stop", 1), ("stopped", "go", 0)):
        run = python(program, tmp_path / out, what)
        _, errors = run.communicate(timeout=600)
        assert (run.returncode != 0) == bool(ends), errors
    through, stopped = (History.load(tmp_path / out) for out in ("through", "stopped"))
    assert stopped.losses == through.losses
    assert (len(through.losses), stopped.finished) == (5, True)
