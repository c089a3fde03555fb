"""An exam whose pictures were in training is refused, whatever the pictures are called."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minivlm_cot.core import InputError
from minivlm_cot.evaluation import check_exam, Report
from minivlm_cot.scenes import scene_examples


def picture(n, size=(12, 8)):
    return Image.fromarray(np.random.default_rng(n).integers(0, 255, (*size[::-1], 3), np.uint8))


def row(image, name, number=0):
    return dict(
        question_id=f"q{number}",
        image_id=name,
        question="What is it?",
        choices=["a", "b"],
        correct_choice_idx=0,
        direct_answers=None,
        image=image,
    )


def test_the_same_picture_under_another_name(tmp_path):
    for n, name in ((1, "COCO_train2014_000000000009.png"), (1, "9.png"), (2, "8.png")):
        picture(n).save(tmp_path / name)
    train = [
        row(tmp_path / "COCO_train2014_000000000009.png", 9),
        row(tmp_path / "gone.png", 10),
        row(None, 11),
        row(b"no picture", 12),
    ]
    for same in (
        tmp_path / "9.png",
        str(tmp_path / "9.png"),
        (tmp_path / "9.png").read_bytes(),
        picture(1),
    ):
        with pytest.raises(InputError, match="a-name of question q1 was in training"):
            check_exam([row(tmp_path / "8.png", "b-name"), row(same, "a-name", 1)], train)
    check_exam([row(tmp_path / "8.png", "b-name"), row(picture(1, (8, 12)), "c-name", 1)], train)
    check_exam([row(tmp_path / "8.png", None)], train)


def test_the_same_scene_under_another_name():
    seen, other = scene_examples(30, "train"), scene_examples(12, "test")
    check_exam(other, seen)
    copy = {k: v for k, v in seen[7].items() if k != "image"} | dict(
        image_id="new", question_id="new"
    )
    with pytest.raises(InputError, match="Picture new of question new was in training"):
        check_exam([*other, copy], seen)
    shown = row(seen[7].get("image"), "file", 99)
    if shown["image"] is not None:
        with pytest.raises(InputError, match="was in training"):
            check_exam([*other, shown], seen)


def test_a_name_counts_within_one_source_alone(tmp_path):
    "Pictures that share a name are one where one source named them, or where they look alike"

    def exam(train, shown, train_source, source):
        check_exam([row(shown, 7, 1) | source], [row(train, "7") | train_source])

    a, b = (
        picture(n, (8, 6)).resize((64, 48), Image.Resampling.BICUBIC) for n in (1, 2)
    )  # smooth, as photographs are
    one, other, silent, coco = (
        dict(source="viquae"),
        dict(source="flickr8k"),
        {},
        dict(source="aokvqa"),
    )
    for first, second in (
        (one, other),
        (silent, silent),
        (silent, one),
        (coco, dict(source="vqav2")),
    ):
        exam(a, b, first, second)
        for copy in (a, a.resize((32, 24)), a.resize((96, 72))):
            with pytest.raises(InputError, match="Picture 7 of question q1 was in training"):
                exam(a, copy, first, second)
    with pytest.raises(InputError, match="was in training"):
        exam(a, b, one, one)
    for nothing in (
        None,
        b"torn",
        tmp_path / "gone.jpg",
    ):  # cannot be seen: then the name is all there is
        exam(nothing, b, one, other)
        for first, second in (
            (silent, silent),
            (silent, one),
            (one, one),
            (coco, dict(source="coco_captions")),
        ):
            with pytest.raises(InputError, match="was in training"):
                exam(nothing, b, first, second)


def test_a_copy_under_its_name_is_found_and_under_another_is_not(tmp_path):
    real = Image.fromarray(np.uint8(np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3)))
    real.save(tmp_path / "a.png"), real.resize((60, 45)).save(tmp_path / "b.jpg", quality=40)
    with pytest.raises(InputError, match="was in training"):
        check_exam([row(tmp_path / "b.jpg", 1)], [row(tmp_path / "a.png", 1)])
    check_exam([row(tmp_path / "b.jpg", 2)], [row(tmp_path / "a.png", 1)])  # as the chapter says
    check_exam([row(tmp_path / "b.jpg", None)], [row(tmp_path / "a.png", None)])


def test_rows_say_their_source(tmp_path):
    from minivlm_cot.dataset import load_examples

    (tmp_path / "images").mkdir()
    picture(3).save(tmp_path / "images" / "000000000001.jpg")
    (tmp_path / "a.json").write_text(
        json.dumps([dict(question_id=5, image_id=1, question="What?", answers=["dog"] * 10)])
    )
    (seen,) = load_examples("vqav2", "validation", folder=tmp_path / "a.json")
    assert seen["source"] == "vqav2"
    with pytest.raises(InputError, match="was in training"):
        check_exam([row(picture(4), 1) | dict(source="vqav2")], [seen])


def test_pictures_of_two_sources_are_two_clusters():
    from minivlm_cot.evaluation.rows import _images

    rows = [
        dict(question_id=n, image_id=1) | more
        for n, more in enumerate(
            (
                {},
                {},
                dict(source="viquae"),
                dict(source="flickr8k"),
                dict(source="okvqa"),
                dict(source="aokvqa"),
                dict(source="viquae", image_id=None),
            )
        )
    ]
    assert len(set(_images(rows))) == 5 and _images(rows)[:2] == ["image 1"] * 2


SCRIPT = """
import sys, torch
from minivlm_cot.evaluation import evaluate_cot
from minivlm_cot.model import load_minivlm
from minivlm_cot.scenes import scene_examples
from minivlm_cot.core import close_processes, process_state
torch.set_num_threads(1)
print(f"of {process_state().num_processes}", flush=True)
exam = scene_examples(27, "test")
report = evaluate_cot(*load_minivlm(device="cpu"), exam, max_new_tokens=(90, 6), batch_size=5)
if process_state().is_main_process:
    report.save(sys.argv[1])
close_processes()
"""


def start(place, name, *launcher):
    env = os.environ | dict(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    if sys.platform == "linux":  # this machine only: its name need not resolve
        env |= dict(GLOO_SOCKET_IFNAME="lo")
    command = [sys.executable, *launcher, f"{place}/exam.py", f"{place}/{name}.json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env)


def test_two_machines_write_the_report_of_one(tmp_path):
    "Two launchers with one process each play two machines"
    (tmp_path / "exam.py").write_text(SCRIPT)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", "--local_addr", "127.0.0.1"]
    torchrun += ["--nnodes", "2", "--nproc_per_node", "1"]
    torchrun += ["--master_addr", "127.0.0.1", "--master_port", str(port)]
    machines = [start(tmp_path, f"machine{k}", *torchrun, "--node_rank", str(k)) for k in (0, 1)]
    for n, group in ((2, machines), (1, [start(tmp_path, "alone")])):
        said = [p.communicate() for p in group]
        for p, (_, errors) in zip(group, said):
            assert not p.returncode, errors[:4000]
        assert sum(spoken.count(f"of {n}") for spoken, _ in said) == n
    alone, shared = (Report.load(tmp_path / f"{name}.json") for name in ("alone", "machine0"))
    assert not (tmp_path / "machine1.json").exists()
    assert shared.rows == alone.rows
    assert shared.to_dict() == alone.to_dict()
