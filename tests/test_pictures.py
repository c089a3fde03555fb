"""Pictures from the wild are seen as people see them, and named by what is seen."""
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minivlm_cot.core import InputError, open_image, picture_name


def jpeg(fields, size=(30, 10)):
    "A JPEG whose EXIF holds these fields: (tag, type, count, four bytes)"
    block = b"".join(struct.pack("<HHI", t, kind, n) + value for t, kind, n, value in fields)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(fields)) + block + bytes(4)
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "JPEG", exif=exif)
    return out.getvalue()


def number(turn): return 274, 3, 1, struct.pack("<HH", turn, 0)


@pytest.mark.parametrize("field", [(282, 2, 4, b"big\0"), (296, 2, 4, b"cm.\0"), (34665, 2, 4, b"sub\0"), (283, 5, 1, b"\xff\xff\0\0")])
def test_nonsense_in_exif_loses_no_picture(field):
    fields = sorted([number(8), field])
    assert open_image(jpeg(fields)).size == (10, 30)


@pytest.mark.parametrize("turn", [(274, 2, 4, b"six\0"), number(99), number(0)])
def test_an_orientation_that_is_none_is_left_out(turn):
    assert open_image(jpeg([turn])).size == (30, 10)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_of_exif_once(turn, tmp_path):
    from PIL import ImageOps
    picture = Image.fromarray(np.random.default_rng(turn).integers(0, 255, (6, 9, 3), np.uint8))
    exif = picture.getexif()
    exif[274] = turn
    picture.save(tmp_path / "a.png", exif=exif)
    right = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    seen = open_image(tmp_path / "a.png")
    assert np.array_equal(seen, right) and np.array_equal(open_image(seen), right)


def tiff(values):
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF")
    return out.getvalue()


def grey(values): return np.asarray(open_image(tiff(np.float32([values]))))[0, :, 0].tolist()


def test_float_tiffs():
    assert grey([0, .5, 1]) == [0, 128, 255]
    assert grey([0, 20, 250]) == [0, 20, 250]
    assert grey([0, 500, 1000]) == [0, 128, 255]
    assert grey([np.nan, .5, np.inf, -np.inf, 1]) == [0, 128, 255, 0, 255]
    assert grey([np.nan, np.nan]) == [0, 0]


def test_arrays():
    colours = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    assert np.array_equal(open_image(colours), colours)
    assert np.array_equal(open_image(colours / 255), colours)
    assert np.array_equal(np.asarray(open_image(colours[..., 0]))[..., 1], colours[..., 0])
    clear = np.zeros((5, 7, 4), np.uint8)
    assert open_image(clear).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("array", [np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8, 2), np.uint8), np.zeros(8), np.zeros((0, 8)), np.zeros((8, 8), np.int64),
                                   np.zeros((8, 8), complex), np.zeros((2, 8, 8, 3), np.uint8), np.full((8, 8), -1.), np.zeros((8, 8), object)])
def test_arrays_that_are_no_picture_are_one_sentence(array):
    with pytest.raises(InputError, match="array"): open_image(array)


def test_dicts_of_datasets(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg([number(6)]))
    held, told = dict(bytes=(tmp_path / "a.jpg").read_bytes(), path="gone.jpg"), dict(bytes=None, path=str(tmp_path / "a.jpg"))
    assert open_image(held).size == open_image(told).size == (10, 30)
    with pytest.raises(InputError, match="bytes or path"): open_image(dict(bytes=None, path=None))
    with pytest.raises(InputError, match="gone.jpg cannot|gone.jpg is not"): open_image(dict(bytes=b"no", path="gone.jpg"))


@pytest.mark.parametrize("thing", [None, 3, [1, 2], 2.5])
def test_what_is_no_picture_is_one_sentence(thing):
    with pytest.raises(InputError, match="is no picture"): open_image(thing)


def test_a_picture_is_named_by_what_is_seen(tmp_path):
    red = Image.new("RGB", (4, 2), "red")
    red.save(tmp_path / "red.png")
    same = [red, tmp_path / "red.png", str(tmp_path / "red.png"), Path(tmp_path / "red.png").read_bytes(), np.asarray(red), red.convert("RGBA")]
    assert len(set(map(picture_name, same))) == 1
    other = [red.rotate(90, expand=True), Image.new("RGB", (4, 2), "blue"), Image.new("RGBA", (4, 2), (255, 0, 0, 0))]
    assert len({picture_name(i) for i in [red, *other]}) == 4
