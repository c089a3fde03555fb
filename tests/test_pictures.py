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


def number(turn):
    return 274, 3, 1, struct.pack("<HH", turn, 0)


@pytest.mark.parametrize(
    "field",
    [
        (282, 2, 4, b"big\0"),
        (296, 2, 4, b"cm.\0"),
        (34665, 2, 4, b"sub\0"),
        (283, 5, 1, b"\xff\xff\0\0"),
    ],
)
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


def grey(values):
    return np.asarray(open_image(tiff(np.float32([values]))))[0, :, 0].tolist()


def test_float_tiffs():
    assert grey([0, 0.5, 1]) == [0, 128, 255]
    assert grey([0, 20, 250]) == [0, 20, 250]
    assert grey([0, 500, 1000]) == [0, 128, 255]
    assert grey([np.nan, 0.5, np.inf, -np.inf, 1]) == [0, 128, 255, 0, 255]
    assert grey([np.nan, np.nan]) == [0, 0]


@pytest.mark.parametrize("most", [1.0001, 1.01, 1.09])
def test_fractions_that_overshoot_are_not_black(most):
    assert grey([0, 0.5, most]) == [0, 128, 255]
    assert grey([-0.05, 0.5, most]) == [0, 128, 255]


@pytest.mark.parametrize(
    "values",
    [
        [0, 1.2],
        [0, 3.7],
        [0, 1, 2],
        [0, 15.9],
        [-1, 0, 1],
        [-2.1, 2.6],
        [-0.2, 0.5],
        [-100, 200],
        [-np.inf, -1, 0],
    ],
)
def test_fractions_that_do_not_say_their_range_are_one_sentence(values, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.float32([values])))
    with pytest.raises(InputError, match=r"a\.tif has numbers from .* black"):
        open_image(tmp_path / "a.tif")
    for kind in (np.float16, np.float64):
        with pytest.raises(InputError, match="The array has numbers from"):
            open_image(np.array([values], kind))


def test_the_scale_of_fractions_does_not_leap():
    "A little more light is a little lighter, from what is read to what is read"
    for row in ([255, 256], [1, 1.0001], [254.9, 255.1], [1000, 1001]):
        a, b = (np.int16(grey([0, 0.4 * most, most])) for most in row)
        assert abs(a - b).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, ">u2", np.int32])
def test_sixteen_bits_are_scaled_by_their_type(kind):
    def seen(*values):
        return np.asarray(open_image(tiff(np.array([values]).astype(kind))))[0, :, 0].tolist()

    assert seen(0, 255) == [0, 1] and seen(0, 256) == [0, 1]
    assert seen(0, 257, 514, 32896, 65535) == [0, 1, 2, 128, 255]


def test_whole_numbers_beyond_sixteen_bits_are_one_sentence():
    for values in ([-1, 5], [0, 65536], [0, 2**31 - 1]):
        with pytest.raises(InputError, match="has numbers from"):
            open_image(Image.fromarray(np.int32([values])))


COLOUR, HALF = (200, 100, 50), (227, 177, 152)  # the second: half of it on white


def in_mode(mode):
    if mode == "PA":
        return Image.new("RGB", (2, 2), COLOUR).quantize(4).convert("PA")
    if mode == "La":
        return Image.new("LA", (2, 2), (100, 128)).convert("La")
    if mode == "RGBa":
        return Image.new("RGBA", (2, 2), (*COLOUR, 128)).convert("RGBa")
    if mode == "LAB":
        from PIL import ImageCms

        made = ImageCms.buildTransform(*map(ImageCms.createProfile, ("sRGB", "LAB")), "RGB", "LAB")
        return ImageCms.applyTransform(Image.new("RGB", (2, 2), COLOUR), made)
    if mode == "1":
        return Image.new(mode, (2, 2), 1)
    if mode[0] in "IF":
        return Image.new(mode, (2, 2), 0.5 if mode == "F" else 32896)
    return Image.new("RGB", (2, 2), COLOUR).convert(mode)


@pytest.mark.parametrize(
    "mode, want",
    [
        *((m, COLOUR) for m in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "PA")),
        ("RGBa", HALF),
        ("La", (177,) * 3),
        ("L", (124,) * 3),
        ("LA", (124,) * 3),
        ("1", (255,) * 3),
        *((m, (128,) * 3) for m in ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")),
    ],
)
@pytest.mark.parametrize("turn", [1, 6])
def test_every_mode_of_pillow(mode, want, turn):
    picture = in_mode(mode)
    picture.getexif()[274] = turn
    seen = open_image(picture)
    assert seen.mode == "RGB" and np.abs(np.int16(seen)[0, 0] - want).max() <= 1


def test_a_mode_that_cannot_be_converted_is_one_sentence(monkeypatch):
    def no(*_, **__):
        raise ValueError("conversion from X not supported")

    picture = Image.new("HSV", (2, 2))
    monkeypatch.setattr(picture, "convert", no)
    with pytest.raises(InputError, match="mode HSV, which cannot be made RGB"):
        open_image(picture)


def test_a_transparent_grey_of_sixteen_bits_is_white():
    out = io.BytesIO()
    Image.fromarray(np.uint16([[0, 1000, 65535]])).save(out, "PNG", transparency=1000)
    assert np.asarray(open_image(out.getvalue()))[0, :, 0].tolist() == [0, 255, 255]


def test_no_pixels_and_long_names():
    with pytest.raises(InputError, match="has no pixels"):
        open_image(Image.new("RGB", (0, 5)))
    for name in ("data:image/png;base64," + "A" * 9000, "x" * 400, "a/" * 400):
        with pytest.raises(InputError) as e:
            open_image(name)
        assert len(str(e.value)) < 200


def test_arrays():
    colours = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    assert np.array_equal(open_image(colours), colours)
    assert np.array_equal(open_image(colours / 255), colours)
    assert np.array_equal(np.asarray(open_image(colours[..., 0]))[..., 1], colours[..., 0])
    assert np.array_equal(open_image(colours.astype(np.uint16) * 257), colours)
    assert np.array_equal(np.asarray(open_image(colours[..., :1]))[..., 2], colours[..., 0])
    assert np.array_equal(
        np.asarray(open_image(colours[..., 0] > 99))[..., 0] > 0, colours[..., 0] > 99
    )
    clear = np.zeros((5, 7, 4), np.uint8)
    assert open_image(clear).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(8),
        np.zeros((0, 8)),
        np.zeros((8, 8), np.int64),
        np.zeros((8, 8), complex),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.full((8, 8), -1.0),
        np.zeros((8, 8), object),
    ],
)
def test_arrays_that_are_no_picture_are_one_sentence(array):
    with pytest.raises(InputError, match="array"):
        open_image(array)


def test_dicts_of_datasets(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg([number(6)]))
    held, told = (
        dict(bytes=(tmp_path / "a.jpg").read_bytes(), path="gone.jpg"),
        dict(bytes=None, path=str(tmp_path / "a.jpg")),
    )
    assert open_image(held).size == open_image(told).size == (10, 30)
    with pytest.raises(InputError, match="bytes or path"):
        open_image(dict(bytes=None, path=None))
    with pytest.raises(InputError, match="gone.jpg has text as its bytes"):
        open_image(dict(bytes="aGVsbG8=", path="gone.jpg"))
    with pytest.raises(InputError, match="gone.jpg cannot|gone.jpg is not"):
        open_image(dict(bytes=b"no", path="gone.jpg"))


@pytest.mark.parametrize("thing", [None, 3, [1, 2], 2.5])
def test_what_is_no_picture_is_one_sentence(thing):
    with pytest.raises(InputError, match="is no picture"):
        open_image(thing)


def test_a_picture_is_named_by_what_is_seen(tmp_path):
    red = Image.new("RGB", (4, 2), "red")
    red.save(tmp_path / "red.png")
    same = [
        red,
        tmp_path / "red.png",
        str(tmp_path / "red.png"),
        Path(tmp_path / "red.png").read_bytes(),
        np.asarray(red),
        red.convert("RGBA"),
    ]
    assert len(set(map(picture_name, same))) == 1
    other = [
        red.rotate(90, expand=True),
        Image.new("RGB", (4, 2), "blue"),
        Image.new("RGBA", (4, 2), (255, 0, 0, 0)),
    ]
    assert len({picture_name(i) for i in [red, *other]}) == 4
