# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a file is: a picture or one sentence, soon, in little memory, and a cancel is heard."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.pictures import load as loading
from image_to_3d.worker.pictures import opening
from image_to_3d.worker.pictures.load import check_shows_something, load, size
from PIL import Image, features

sys.path.insert(0, str(Path(__file__).parent))
import hostile  # noqa: E402


def photo(width: int = 96, height: int = 64, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, kind, **options)
    return buffer.getvalue()


def refused(path: Path, words: str = ".") -> str:
    with pytest.raises(Unable, match=words) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and message.isprintable()
    return message


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a"])
def test_postscript_starts_no_interpreter(tmp_path, monkeypatch, name):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / name).write_bytes(hostile.POSTSCRIPT)
    refused(tmp_path / name, "PostScript")


@pytest.mark.parametrize(
    "content, words",
    [
        (hostile.JPEG_2000, "JPEG 2000"),
        (hostile.PLAYLIST, "text and not a picture"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw"),
        (b"PK\3\4", "ZIP"),
        (b"dear diary,\nnothing happened", "text and not a picture"),
        (b"\0\1\2\3" * 9, "not a picture"),
        (b"P6 1 1 255 abc", "text and not a picture"),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(tmp_path, content, words):
    (tmp_path / "doc.txt").write_bytes(content)
    assert "doc.txt is " in refused(tmp_path / "doc.txt", words)


def test_only_formats_that_are_meant_are_opened(tmp_path):
    for kind in ("PPM", "TGA", "ICO", "PCX", "SGI", "PDF", "JPEG2000", "EPS", "DDS", "QOI"):
        (tmp_path / "p.png").write_bytes(encoded(kind))
        refused(tmp_path / "p.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.png")
    refused(tmp_path / "p.png", "pipe")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png"])
def test_names_that_are_none(name):
    refused(Path(name))


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_a_name_that_is_no_text_is_told_as_text(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.jpg"))
    path.write_bytes(b"nothing")
    refused(path).encode("utf-8")
    path.write_bytes(encoded("JPEG"))
    assert load(path).rgb.shape == (64, 96, 3)


# ---- bombs

MEASURED = """
import os, re, resource, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import conftest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures.load import load

def peak():
    status = Path("/proc/self/status")  # not ru_maxrss, which counts what whoever started this process took
    if status.is_file():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

before = peak()
start = time.process_time()
try:
    told = str(load(Path({path!r})).rgb.shape)
except Unable as error:
    told = str(error)
took = os.times()
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10 if took.children_user else 0
seconds = time.process_time() - start + took.children_user + took.children_system
print(max(peak() >> 10, children) - (before >> 10), seconds, told, sep="|")
"""


def measured(path: Path) -> tuple[int, float, str]:
    """Megabytes and seconds of a processor that reading takes, in a process of its own and those that it starts, and
    what comes of it."""
    code = MEASURED.format(tests=str(Path(__file__).parents[1]), path=str(path))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    memory, seconds, told = ran.stdout.strip().splitlines()[-1].split("|")
    return int(memory), float(seconds), told


@pytest.mark.skipif(sys.platform == "win32", reason="its memory is measured otherwise")
@pytest.mark.parametrize("kind", ["webp", "gif", "png", "avif", "line"])
def test_a_tiny_file_of_a_huge_picture_takes_neither_memory_nor_time(tmp_path, kind):
    path = tmp_path / "bomb"
    if kind == "avif":
        if not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
        Image.new("L", (12000, 12000)).save(path, "AVIF", speed=10)
    else:
        made = {"webp": hostile.webp_of, "gif": hostile.gif_of, "png": hostile.png_of, "line": hostile.png_of}[kind]
        path.write_bytes(made(*{"webp": (16383, 16383), "line": (299_000_000, 1)}.get(kind, (17000, 17000))))
    memory, seconds, told = measured(path)
    assert memory < 1000 and seconds < 15, told
    assert told.startswith("(") or "bomb has" in told


@pytest.mark.skipif(sys.platform == "win32", reason="its memory is measured otherwise")
@pytest.mark.parametrize("count", [None, 400_000])
def test_a_tiff_of_289_megapixels_is_read_and_made_smaller(tmp_path, count):
    (tmp_path / "giant.tif").write_bytes(hostile.tiff_of(17000, 17000, count))
    memory, seconds, told = measured(tmp_path / "giant.tif")
    shape = tuple(map(int, told.strip("()").split(", ")))
    assert memory < 1000 and 4096 < max(shape) <= loading.MAX_SIDE and seconds < 20


def test_a_file_of_gigabytes_is_refused_by_its_head(tmp_path):
    path = tmp_path / "huge.webp"
    for head in (b"\0" * 64, b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\x89PNG\r\n\x1a\n"):
        with path.open("wb") as file:
            file.write(head)
            file.truncate(5 << 30)
        start = time.monotonic()
        refused(path)
        assert time.monotonic() - start < 2.0


@pytest.mark.skipif(sys.platform == "win32", reason="its memory is measured otherwise")
@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_what_a_decoder_takes_is_what_is_reckoned_with(tmp_path, kind):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif not features.check(kind.lower()):
        pytest.skip(f"this Pillow has no {kind}")
    path = tmp_path / "large"
    options = {"AVIF": {"speed": 10}, "HEIF": {"enc_params": {"preset": "ultrafast"}}}.get(kind, {"method": 0})
    Image.new("RGB", (4000, 4000), (90, 120, 60)).save(path, kind, **options)
    memory, seconds, told = measured(path)
    assert told.startswith("(")
    assert 0.6 * opening._BYTES[kind] * 16 < memory < 1.1 * opening._BYTES[kind] * 16 and seconds < 15


def test_memory_is_bounded_by_what_is_free(tmp_path, monkeypatch):
    Image.new("RGB", (3000, 2000)).save(tmp_path / "p.png")
    monkeypatch.setattr(opening, "available", lambda: 30_000_000)
    assert "memory" in refused(tmp_path / "p.png")
    Image.new("RGB", (3000, 2000)).save(tmp_path / "p.jpg")
    monkeypatch.setattr(loading, "MAX_SIDE", 400)
    assert load(tmp_path / "p.jpg").rgb.shape[1] <= 400  # JPEG is decoded at that size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_a_cancel_is_heard_while_a_file_is_read(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "p", kind)
    heard = []

    def check() -> None:
        heard.append(1)
        if len(heard) > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        load(tmp_path / "p", check)


# ---- damage


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "HEIF", "JPEG", "PNG", "WEBP"])
def test_damage_anywhere_gives_a_picture_or_one_sentence(tmp_path, kind):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    exif[0x0112] = 6
    whole, generator = encoded(kind, exif=exif.tobytes()), np.random.default_rng(2)
    for trial in range(40):
        damaged = bytearray(whole)
        for place in generator.integers(0, min(len(whole), 600), 1 + trial // 4):
            damaged[place] = generator.integers(0, 256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            assert load(tmp_path / "damaged").rgb.ndim == 3
        except Unable as error:
            assert "\n" not in str(error)


def test_whatever_a_decoder_raises_becomes_one_sentence(tmp_path, monkeypatch):
    import struct
    import zlib

    (tmp_path / "p.png").write_bytes(encoded("PNG"))
    raised = [struct.error("x"), OverflowError(), zlib.error("y"), RuntimeError("a\nb"), TypeError("z"), KeyError(3)]
    for error in [
        *raised,
        MemoryError(),
        AssertionError(),
        RecursionError(),
        UnicodeDecodeError("utf-8", b"", 0, 1, ""),
    ]:

        def failing(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(Image, "open", failing)
        refused(tmp_path / "p.png", "damaged|memory")


def test_damaged_exif_is_ignored(tmp_path):
    for damage in (
        b"MM\0*\0\0\0\x08\0\x03\x01\x12",
        b"II*\0\xff\xff\xff\xff",
        b"\0" * 40,
        b"II*\0\x08\0\0\0\xff\xff" * 9,
    ):
        Image.fromarray(photo()).save(tmp_path / "p.jpg", exif=b"Exif\0\0" + damage)
        assert load(tmp_path / "p.jpg").rgb.shape == (64, 96, 3) and size(tmp_path / "p.jpg") == (96, 64)


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_read_with_a_note(tmp_path, lost, progressive):
    whole = encoded("JPEG", progressive=progressive)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "p.jpg").write_bytes(whole[:-lost])
    picture = load(tmp_path / "p.jpg")
    assert "last bytes are missing" in picture.notes[0]
    assert (picture.rgb == load(tmp_path / "whole.jpg").rgb).all()
    (tmp_path / "p.jpg").write_bytes(whole[:-40])
    refused(tmp_path / "p.jpg", "cut off")


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_the_size_is_that_of_the_upright_picture(tmp_path, turn, kind):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(photo()).save(tmp_path / "p", kind, exif=exif)
    height, width = load(tmp_path / "p").rgb.shape[:2]
    assert size(tmp_path / "p") == (width, height) == ((96, 64) if turn < 5 else (64, 96))


# ---- notes, raw files, and nothing to see


def test_a_phones_gain_map_is_no_second_picture(tmp_path):
    path = hostile.gain_map(tmp_path / "p.jpg", photo())
    with Image.open(path) as image:
        assert image.n_frames == 2
    assert load(path).notes == ()


def test_a_raw_file_is_never_its_thumbnail(tmp_path):
    (tmp_path / "small.dng").write_bytes(hostile.raw_of(160))
    assert "160 pixels" in refused(tmp_path / "small.dng", "develop")
    (tmp_path / "large.dng").write_bytes(hostile.raw_of(1200))
    picture = load(tmp_path / "large.dng")
    assert picture.rgb.shape == (1200, 1200, 3) and "preview of 1200 x 1200" in picture.notes[0]


@pytest.mark.parametrize(
    "pixels, words",
    [
        (np.zeros((64, 64, 3), np.uint8), "black all over"),
        (np.full((64, 64, 3), 255, np.uint8), "white all over"),
        (np.full((64, 64, 3), (9, 90, 200), np.uint8), "of one colour all over"),
        (np.zeros((1, 1, 3), np.uint8), "1 x 1 pixels"),
        (np.dstack([photo(), np.full((64, 96), 100, np.uint8)]), "more than 39 % opaque"),
        (np.dstack([photo(), np.zeros((64, 96), np.uint8)]), "transparent everywhere"),
    ],
)
def test_where_there_is_nothing_to_see_that_is_said(tmp_path, pixels, words):
    Image.fromarray(pixels).save(tmp_path / "p.png")
    with pytest.raises(Unable, match=words):
        check_shows_something(load(tmp_path / "p.png"))


def test_a_photo_and_a_black_thing_cut_out_show_something(tmp_path):
    alpha = np.zeros((64, 96), np.uint8)
    alpha[20:40, 30:60] = 255
    for pixels in (photo(), np.dstack([np.zeros((64, 96, 3), np.uint8), alpha])):
        Image.fromarray(pixels).save(tmp_path / "p.png")
        check_shows_something(load(tmp_path / "p.png"))


# ---- kinds of numbers, and what is no picture's shape


def tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    pytest.importorskip("tifffile").imwrite(path, values, **options)
    return path


@pytest.mark.parametrize("kind", ["uint32", "int32", "int16", "float64", "float16"])
@pytest.mark.parametrize("colours", [1, 3])
def test_numbers_of_every_kind_are_as_bright_as_they_were_meant(tmp_path, kind, colours):
    """Of whole numbers, those that fill their bits; a sign takes one."""
    ramp = np.linspace(0.0, 1.0, 256)[None].repeat(9, 0)
    dtype = np.dtype(kind)
    top = np.iinfo(dtype).max if dtype.kind in "iu" else 1.0
    values = (ramp * (top if dtype.kind in "iu" else 1.0)).astype(dtype)
    options = {"photometric": "rgb"} if colours == 3 else {}
    path = tiff(tmp_path / "p.tif", values if colours == 1 else np.dstack([values] * 3), **options)
    found = load(path).rgb[0, :, 0].astype(float)
    expected = np.arange(256.0)
    if dtype.kind == "f" and colours == 3:  # light
        expected = 255 * np.where(ramp[0] <= 0.0031308, 12.92 * ramp[0], 1.055 * ramp[0] ** (1 / 2.4) - 0.055)
    assert np.abs(found - expected).max() <= 2


def test_numbers_that_are_not_finite_or_below_zero_are_black(tmp_path):
    values = np.full((40, 40, 3), 0.5, np.float32)
    values[:10], values[10:20], values[20:30] = np.nan, np.inf, -3.0
    rgb = load(tiff(tmp_path / "p.tif", values, photometric="rgb")).rgb
    assert (rgb[:10] == 0).all() and (rgb[20:30] == 0).all() and rgb[35, 5, 0] == 188


def test_a_whole_tiff_that_is_not_read_is_not_called_damaged(tmp_path):
    path = tiff(tmp_path / "p.tif", np.zeros((9, 9), np.complex64))
    assert "damaged" not in refused(path, "kind of numbers is not read here")


def test_a_damaged_tiff_of_a_compression_that_is_read_is_not_called_unread(tmp_path):
    path = tmp_path / "p.tif"
    Image.linear_gradient("L").convert("RGB").save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[200:260] = b"\xff" * 60
    path.write_bytes(content)
    refused(path, "damaged")


def test_only_what_a_tiff_calls_alpha_is_alpha(tmp_path):
    values = np.random.default_rng(0).integers(0, 65535, (40, 40, 7)).astype(np.uint16)
    path = tiff(tmp_path / "p.tif", values, photometric="minisblack", planarconfig="contig")
    assert load(path).alpha is None


@pytest.mark.parametrize("size", [(65535, 16), (30, 65535)])
def test_a_strip_is_told_by_what_it_is_and_not_by_what_was_left_of_it(tmp_path, size):
    Image.linear_gradient("L").resize(size).save(tmp_path / "p.png")
    with pytest.raises(Unable, match="p is a strip, [0-9]+ times as long as wide"):
        check_shows_something(load(tmp_path / "p.png"))
