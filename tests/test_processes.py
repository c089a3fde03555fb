"""Two processes learn what one would have learned, with whole copies (DDP) and sharded (FSDP).

They talk over gloo on this machine, against one process that accumulates as many batches: the
same program, the same losses, the same weights.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minivlm_cot.model import load_minivlm
from minivlm_cot.training import History, TrainConfig, load_checkpoint, make_optimizers

SCRIPT = Path(__file__).with_name("two_processes.py")
TWO = dict(gradient_accumulation=2)
DROPPED = dict(gradient_accumulation=2, dropout=0.2)


def command(processes, nodes, node, port):
    "What `accelerate launch` would start on one node"
    if processes == 1:
        return [sys.executable, SCRIPT]
    options = dict(nnodes=nodes, node_rank=node, nproc_per_node=processes // nodes)
    options |= dict(master_addr="127.0.0.1", master_port=port, local_addr="127.0.0.1")
    where = [str(x) for name, value in options.items() for x in (f"--{name}", value)]
    return [sys.executable, "-m", "torch.distributed.run", *where, SCRIPT]


def launch(folder, processes, runs, nodes=1, fsdp=False):
    "What `accelerate launch` does, without GPUs; each node has a folder of its own"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    paths = [str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")]
    env = os.environ | dict(PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS="1")
    env |= dict(CUDA_VISIBLE_DEVICES="", ACCELERATE_USE_FSDP=str(fsdp).lower())
    if sys.platform == "linux":  # this machine only: its name need not resolve
        env["GLOO_SOCKET_IFNAME"] = "lo"
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    started = [
        subprocess.Popen(
            [*command(processes, nodes, k, port), f"{folder}-{k}", json.dumps(runs)], **pipes
        )
        for k in range(nodes)
    ]
    said = [p.communicate() for p in started]
    for p, (_, errors) in zip(started, said):
        assert not p.returncode, errors[-4000:]
    assert sum(spoken.count(f"of {processes}") for spoken, _ in said) == processes
    return sum(spoken.count("stopped") for spoken, _ in said)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "All runs, once: alone, two with whole copies, and two machines with shards"
    place = tmp_path_factory.mktemp("processes")
    four = dict(gradient_accumulation=4)
    runs = [dict(name="adamw", **four), dict(name="muon", optimizer="muon", **four)]
    launch(place / "alone", 1, runs)
    runs = [
        dict(name="ddp", **TWO),
        dict(name="asked", asked_after=1, **TWO),  # by a callback, in one process alone
        dict(name="asked", **TWO),
        dict(name="handed", stop_after=3, **TWO),
    ]
    assert launch(place / "pair", 2, runs) == 4
    runs = [
        dict(name="handed", **TWO),  # goes on: whether weights are sharded may change
        dict(name="muon", optimizer="muon", **TWO),
        dict(name="whole", **DROPPED),
        dict(name="broken", stop_after=3, **DROPPED),
        dict(name="broken", **DROPPED),
    ]
    assert launch(place / "pair", 2, runs, nodes=2, fsdp=True) == 2
    return place


@pytest.mark.parametrize(
    "one, other, eps",
    [
        ("alone-0/adamw", "pair-0/ddp", 1e-4),
        ("alone-0/adamw", "pair-0/asked", 1e-4),
        ("alone-0/adamw", "pair-0/handed", 1e-4),
        ("alone-0/muon", "pair-0/muon", 1e-4),
        ("pair-0/whole", "pair-0/broken", 0),
    ],
)
def test_two_learn_what_one_would_have_learned(folder, one, other, eps):
    a, b = (History.load(folder / name) for name in (one, other))
    gaps = [abs(x - y) for x, y in zip(a.losses, b.losses)]
    (m, _), (n, _) = (load_minivlm(folder / name / "model", "cpu") for name in (one, other))
    weights = max((p - q).abs().max().item() for p, q in zip(m.parameters(), n.parameters()))
    assert (len(b.losses), b.finished, b.sequences) == (len(a.losses), True, a.sequences)
    assert max(gaps) <= eps and weights <= eps
    # once each, whoever was asked
    assert [v["seen"] for v in b.validations] == [v["seen"] for v in a.validations]


def test_weights_are_sharded_where_that_was_asked_for(folder):
    muon, handed = (History.load(folder / "pair-0" / n).validations for n in ("muon", "handed"))
    assert {v["sharded"] for v in muon} == {True}
    assert [v["sharded"] for v in handed] == [False] * 3 + [True]


def test_the_second_machine_keeps_its_features_alone(folder):
    assert {p.name for p in (folder / "pair-1" / "whole").iterdir()} == {"features"}


def test_one_process_reads_the_checkpoint_of_two(folder):
    path = folder / "pair-0" / "handed"
    learned, saved = (load_minivlm(path / "model", "cpu")[0] for _ in range(2))
    for p in learned.parameters():
        if p.requires_grad:
            p.data.zero_()
    optimizers = make_optimizers(learned, TrainConfig())
    identity = torch.load(path / "checkpoint.pt", weights_only=True)["identity"]
    assert load_checkpoint(path / "checkpoint.pt", learned, optimizers, identity) == 4
    assert all(torch.equal(p, q) for p, q in zip(learned.parameters(), saved.parameters()))
    shapes = {p.shape for p in learned.parameters() if p.requires_grad}
    assert {s["exp_avg"].shape for s in optimizers[0].state.values()} == shapes
