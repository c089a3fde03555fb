"""An exam whose pictures were in training is refused, whatever the pictures are called."""
import numpy as np
import pytest
from PIL import Image

from minivlm_cot.core import InputError
from minivlm_cot.evaluation import check_exam
from minivlm_cot.scenes import scene_examples


def picture(n, size=(12, 8)): return Image.fromarray(np.random.default_rng(n).integers(0, 255, (*size[::-1], 3), np.uint8))


def row(image, name, number=0):
    return dict(question_id=f"q{number}", image_id=name, question="What is it?", choices=["a", "b"], correct_choice_idx=0, direct_answers=None, image=image)


def test_the_same_picture_under_another_name(tmp_path):
    for n, name in ((1, "COCO_train2014_000000000009.png"), (1, "9.png"), (2, "8.png")): picture(n).save(tmp_path / name)
    train = [row(tmp_path / "COCO_train2014_000000000009.png", 9), row(tmp_path / "gone.png", 10), row(None, 11), row(b"no picture", 12)]
    for same in (tmp_path / "9.png", str(tmp_path / "9.png"), (tmp_path / "9.png").read_bytes(), picture(1)):
        with pytest.raises(InputError, match="a-name of question q1 was in training"):
            check_exam([row(tmp_path / "8.png", "b-name"), row(same, "a-name", 1)], train)
    check_exam([row(tmp_path / "8.png", "b-name"), row(picture(1, (8, 12)), "c-name", 1)], train)
    check_exam([row(tmp_path / "8.png", None)], train)


def test_the_same_scene_under_another_name():
    seen, other = scene_examples(30, "train"), scene_examples(12, "test")
    check_exam(other, seen)
    copy = {k: v for k, v in seen[7].items() if k != "image"} | dict(image_id="new", question_id="new")
    with pytest.raises(InputError, match="Picture new of question new was in training"): check_exam([*other, copy], seen)
    shown = row(seen[7].get("image"), "file", 99)
    if shown["image"] is not None:
        with pytest.raises(InputError, match="was in training"): check_exam([*other, shown], seen)
