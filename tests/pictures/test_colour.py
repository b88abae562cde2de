# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that are told oddly, or mean more than 8 bits can say. The whole table of spaces and formats is in
test_colour_table.py."""

import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.pictures import colour
from image_to_3d.worker.pictures.load import load
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import colours  # noqa: E402
from colours import EASY, PATCHES, cicp, gama, icc, picture, png, worst  # noqa: E402

NEAR, CODED = 3, 4  # of 255: exact formats, and those that lose something themselves
EVERY = tuple(range(len(PATCHES)))


def near(path: Path, space: str, bits: int = 16, tolerance: int = NEAR) -> None:
    """Eight bits of light have no dark colours (24 of sRGB is 2.3 of 255), and those of HDR no saturated ones."""
    rgb = load(path).rgb
    told = EASY if bits == 8 and space in ("gamma1", "pq", "hlg") else EVERY
    assert worst(rgb, told) <= tolerance, rgb[16, 16::32]


@pytest.mark.parametrize("space", ["p3", "adobe", "gamma1.8"])
def test_palettes_and_greys_have_profiles_too(tmp_path, space):
    Image.fromarray(picture(space)).quantize(256).save(tmp_path / "p.png", icc_profile=icc(space))
    near(tmp_path / "p.png", space)
    grey = Image.fromarray(np.full((32, 192), round(255 * colours.SPACES[space](PATCHES[3:4] * 1.0)[0, 0]), np.uint8))
    for name, image in {"l": grey, "la": Image.merge("LA", (grey, Image.new("L", grey.size, 255)))}.items():
        image.save(tmp_path / f"{name}.png", icc_profile=icc(space, grey=True))
        assert np.abs(load(tmp_path / f"{name}.png").rgb.astype(int) - 128).max() <= NEAR


def test_a_camera_says_adobe_rgb_by_exif_alone(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(picture("adobe")).save(tmp_path / "p.jpg", quality=98, subsampling=0, exif=exif)
    with Image.open(tmp_path / "p.jpg") as image:
        assert image.getexif().get_ifd(0xA005).get(1) == "R03"
    near(tmp_path / "p.jpg", "adobe", 8, CODED)


@pytest.mark.parametrize("kind", ["tif", "hdr"])
def test_light_as_numbers(tmp_path, kind):
    numbers = picture("gamma1", 65535).astype(np.float32) / 65535
    if kind == "tif":
        pytest.importorskip("tifffile").imwrite(tmp_path / "p.tif", numbers, photometric="rgb")
    else:
        pytest.importorskip("av")
        (tmp_path / "p.hdr").write_bytes(radiance(numbers))
    near(tmp_path / f"p.{kind}", "gamma1")


def radiance(light: np.ndarray) -> bytes:
    mantissa, exponent = np.frexp(light.max(axis=2))
    scale = mantissa / np.maximum(light.max(axis=2), 1e-9) * 256
    rgbe = np.dstack([light * scale[..., None], exponent + 128]).astype(np.uint8)
    head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {light.shape[0]} +X {light.shape[1]}\n"
    return head.encode() + rgbe.tobytes()


# ---- what numbers mean


def test_twelve_bits_of_grey_are_as_bright_as_they_were_meant(tmp_path):
    grey = np.arange(4096, dtype=np.uint16)[None].repeat(4, 0)
    Image.fromarray(grey).save(tmp_path / "p.tif")
    picture = load(tmp_path / "p.tif")
    assert np.abs(picture.rgb[0, :, 0] - np.arange(4096) / 4095 * 255).max() <= 1 and "12" in picture.notes[0]


def test_dark_sixteen_bits_stay_dark_where_the_file_says_so(tmp_path):
    path = png(tmp_path / "p.png", np.full((8, 8), 3000, np.uint16), (b"sBIT", b"\x10"))
    assert load(path).rgb.max() == 12


def test_a_transparent_grey_of_sixteen_bits_is_transparent(tmp_path):
    grey = np.full((200, 200), 40000, np.uint16)
    grey[:, :100] = 512
    picture = load(png(tmp_path / "p.png", grey, (b"tRNS", b"\x02\0")))
    assert (picture.alpha[:, :100] == 0).all() and (picture.alpha[:, 100:] == 255).all()
    rgb = np.dstack([grey] * 3)
    picture = load(png(tmp_path / "q.png", rgb, (b"tRNS", b"\x02\0" * 3)))
    assert (picture.alpha[:, :100] == 0).all() and (picture.alpha[:, 100:] == 255).all()


def test_tone_mapping_leaves_what_sdr_shows_and_keeps_order_above():
    light = np.linspace(0, 8, 4001)[:, None].repeat(3, 1)
    mapped = colour.tone_mapped(light, 8.0)[:, 0]
    assert np.allclose(mapped[light[:, 0] <= colour.KNEE], light[light[:, 0] <= colour.KNEE, 0])
    assert (np.diff(mapped) > 0).all() and mapped[-1] == pytest.approx(1.0)
    red = colour.tone_mapped(np.array([4.0, 2.0, 1.0]), 8.0)
    assert red[0] / red[1] == pytest.approx(2.0)


def test_nonsense_about_colours_is_ignored(tmp_path):
    for number, chunks in enumerate(
        [
            [(b"gAMA", bytes(4))],
            [(b"gAMA", b"\xff" * 4)],
            [(b"cHRM", bytes(32)), *gama("gamma1")],
            [(b"cICP", b"\xff" * 4)],
        ]
    ):
        assert load(png(tmp_path / f"{number}.png", picture("srgb"), *chunks)).rgb.shape == (32, 192, 3)


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_are_found_behind_long_profiles_and_texts(tmp_path, bits):
    long = [(b"tEXt", b"a\0" + b"q" * 90_000), (b"iCCP", b"x\0\0" + np.random.default_rng(0).bytes(9000))]
    path = png(tmp_path / "p.png", picture("p3", (1 << bits) - 1), *long, cicp("p3"))
    near(path, "p3", bits)
