# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that take long are read in a process of their own: the same comes of it, and a cancel is heard at once."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.pictures import apart
from image_to_3d.worker.pictures import load as loading
from image_to_3d.worker.pictures.load import load
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import colours  # noqa: E402
import hostile  # noqa: E402


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that are started."""
    found, real = [], subprocess.Popen

    def noted(*given: object, **more: object) -> subprocess.Popen:
        found.append(real(*given, **more))
        return found[-1]

    monkeypatch.setattr(apart.subprocess, "Popen", noted)
    return found


def photo(path: Path, kind: str) -> Path:
    rows, columns = np.mgrid[:90, :120]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    image, exif = Image.fromarray(rgb), Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 26
    if kind == "PNG":
        image.putalpha(Image.fromarray(np.uint8(255) * ((rows - 45) ** 2 + (columns - 60) ** 2 < 900)))
    if kind == "deep":
        return colours.png(path, colours.picture("pq", 65535), colours.cicp("pq"))
    image.save(path, kind, exif=exif)
    return path


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "deep"])
def test_the_same_picture_comes_from_another_process(tmp_path, monkeypatch, started, kind):
    path = photo(tmp_path / "caf\N{LATIN SMALL LETTER E WITH ACUTE} 1", kind)
    here = load(path)
    assert not started
    monkeypatch.setattr(loading, "PATIENCE", -1.0)
    there = load(path)
    assert len(started) == 1 and started[0].returncode is not None
    for name, value in vars(here).items():
        assert np.array_equal(value, getattr(there, name)), name


def test_what_is_wrong_is_told_from_there(tmp_path, monkeypatch, started):
    photo(tmp_path / "whole.jpg", "JPEG")
    (tmp_path / "p.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(Unable) as here:
        load(tmp_path / "p.jpg")
    monkeypatch.setattr(loading, "PATIENCE", -1.0)
    with pytest.raises(Unable) as there:
        load(tmp_path / "p.jpg")
    assert str(here.value) == str(there.value)


def test_a_process_that_is_ended_by_the_system_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "PATIENCE", -1.0)
    for code in ("import os; os._exit(9)", "print('hello')", "raise SystemError"):
        monkeypatch.setattr(apart, "_CODE", code)
        with pytest.raises(Unable, match="lack of memory"):
            load(photo(tmp_path / "p.jpg", "JPEG"))


def test_a_cancel_is_heard_while_a_decoder_works_and_its_process_ends(tmp_path, started):
    """A picture of 34 bytes that keeps a decoder busy for seconds."""
    (tmp_path / "p.webp").write_bytes(hostile.webp_of(8000, 8000))
    begun: list[float] = []

    def check() -> None:
        if started and not begun:  # the first look at whether to stop
            begun.append(time.monotonic())
        elif started:
            raise Cancelled

    with pytest.raises(Cancelled):
        load(tmp_path / "p.webp", check)
    assert time.monotonic() - begun[0] < 1.0 and started[0].returncode != 0


@pytest.mark.parametrize(
    "kind, megapixels, is_apart",
    [("plain", 12, False), ("plain", 48, True), ("alpha", 4, False), ("alpha", 24, True), ("deep", 1, False)],
)
def test_phones_photos_are_read_here_and_huge_ones_apart(tmp_path, kind, megapixels, is_apart):
    size = round((megapixels * 1e6) ** 0.5)
    if kind == "deep":
        Image.new("I;16", (size, size)).save(tmp_path / "p.png")
    else:
        Image.new("RGB" if kind == "plain" else "RGBA", (size, size)).save(tmp_path / "p.png", compress_level=1)
    with loading.opened(tmp_path / "p.png", loading.MAX_PIXELS) as found:
        assert (loading._seconds(found) > loading.PATIENCE) is is_apart
