# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a picture's file: which format it is by its head, whether it would fit into memory, and a cancel heard while it
is read.

A file is never believed before it is measured: 34 bytes of WebP can say that they are 268 megapixels.
Must not know colours, nor what the picture is for.
"""

from __future__ import annotations

import hashlib
import io
import logging
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..core.errors import Unable
from ..core.free_memory import available
from . import kinds
from .faults import decoding, named

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what it says of damaged files is told in one sentence

MOST_MEMORY = 1_500_000_000
"""Bytes that a picture may take while it is read: a whole PNG of 300 megapixels. More is taken for a mistake."""

FREE_SHARE = 0.5
"""Of the free memory: as much is left to what is done with the picture, and to other programs."""

_BYTES = {"WEBP": 23.0, "AVIF": 17.5, "HEIF": 15.0}
"""For each pixel, until the picture is there, of decoders that hold it more than once; measured at 4 to 132 megapixels.
These decode at one go and whole: neither libwebp's nor libavif's binding has another scale, and libheif (1.23) has none
for HEVC, only tiles. So their largest pictures, 65, 85 and 100 megapixels, are bounded here, and not made smaller as
they are decoded, as a JPEG is."""

_WHOLE = ("WEBP", "AVIF", "HEIF")
"""Their decoders want the whole file in memory."""

_WIDE_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_LINE = 4096  # times as long as wide: nothing is left of its width once it is made smaller
_COEFFICIENTS = 6.0  # bytes for each pixel that a progressive JPEG takes at any scale
_FINE_ENOUGH = 4096  # pixels of both sides at which it is seen whether a JPEG is whole
_DRAFT = 64.0  # a JPEG is decoded at an eighth of both sides where that is enough
_CHOOSE = "choose a JPEG, PNG, WebP, TIFF or HEIC picture"
_END = b"\xff\xd9"
_SMALL = 1 << 17  # bytes of a JPEG that is decoded once more without a second thought
_PADDINGS = (b"", b"\x5a\xc3" * 32, b"\0" * 64)  # anything: what changes by it was not in the file


@dataclass(frozen=True, eq=False)
class Opened:
    """A file of a format that is read. image: as Pillow opened it, None where Pillow does not know the format, or its
    kind of numbers. stream: the file's bytes, anywhere; reading raises Cancelled. size: bytes. head: the first."""

    path: Path
    stream: BinaryIO
    head: bytes
    size: int
    format: str
    image: Image.Image | None
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """sha256 of the file's bytes, which are not held together."""
        self.stream.seek(0)
        found = hashlib.sha256()
        while chunk := self.stream.read(1 << 20):
            found.update(chunk)
        return found.hexdigest()


class _Heard(io.RawIOBase):
    """A file whose reading calls `check`, which may raise to stop: so a decoder that is fed bit by bit hears it."""

    def __init__(self, file: io.FileIO, check: Callable[[], None]) -> None:
        self._file, self._check = file, check

    def readinto(self, buffer: memoryview) -> int | None:
        self._check()
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def opened(path: Path, most_pixels: int, check: Callable[[], None] = lambda: None) -> Iterator[Opened]:
    """The picture's file, opened. Raises Unable, in one sentence, for whatever is wrong with it, also while it is used
    within."""
    size = _checked(path)
    with decoding(path), io.FileIO(path) as file, io.BufferedReader(_Heard(file, check), 1 << 16) as stream:
        head = stream.read(kinds.HEAD)
        format = kinds.format_of(head)
        if format is None:
            raise Unable(f"{named(path)} is {kinds.what_it_is(head)}: {_CHOOSE}")
        if format in _WHOLE and size > memory():
            raise Unable(f"{named(path)} has {size / 1e9:.1f} GB, which is no picture that can be read: {_CHOOSE}")
        stream.seek(0)
        with _unlimited():
            image = _by_pillow(stream, format, path)
            if image is not None:
                check_size(path, image.size, most_pixels, _needed(image, format), head)
            found = Opened(path, stream, head, size, format, image)
            yield _with_its_end(found) if format == "JPEG" and image is not None else found


def memory() -> int:
    """Bytes that a picture may take while it is read."""
    free = available()
    return MOST_MEMORY if free is None else int(min(MOST_MEMORY, free * FREE_SHARE))


def check_size(path: Path, size: tuple[int, int], most_pixels: int, needed: float, head: bytes = b"") -> None:
    """Raises Unable for a picture of width and height `size` that is too large, or takes more memory than there is.

    needed: bytes while it is read.
    """
    width, height = size
    megapixels = width * height / 1e6
    if width < 1 or height < 1:
        raise Unable(f"{named(path)} has no pixels: save or download it again")
    if max(width, height) > _LINE * min(width, height):
        raise Unable(f"{named(path)} has {width} x {height} pixels, a line on which there is nothing to see")
    if width * height > most_pixels:
        message = f"{named(path)} has {megapixels:.0f} megapixels, more than {most_pixels / 1e6:.0f}: make it smaller"
        raise Unable(message)
    if needed > memory():
        raise Unable(
            f"{named(path)} has {megapixels:.0f} megapixels, which take {needed / 1e9:.1f} GB of memory while they are "
            f"read, more than the {memory() / 1e9:.1f} GB that there are for it: make it smaller"
        )


@contextmanager
def _unlimited() -> Iterator[None]:
    """Without Pillow's limit of pixels: there is one of our own, with a better sentence."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _checked(path: Path) -> int:
    """The file's size in bytes. Raises Unable where there is no file with something in it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise Unable(f"there is no file {_shown(path)}: choose the picture again") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is none"
        raise Unable(f"{named(path)[:80]} cannot be read: {reason}") from None
    if stat.S_ISDIR(found.st_mode):
        raise Unable(f"{named(path)} is a folder: choose a picture in it")
    if not stat.S_ISREG(found.st_mode):
        raise Unable(f"{named(path)} is no file but a device or a pipe: {_CHOOSE}")
    if not found.st_size:
        raise Unable(f"{named(path)} is empty: save or download it again")
    try:
        path.open("rb").close()
    except OSError as error:
        raise Unable(f"{named(path)} cannot be read: {error.strerror}") from None
    return found.st_size


def _shown(path: Path) -> str:
    return str(path.parent / named(path)).encode("utf-8", "replace").decode("utf-8")


def _by_pillow(stream: BinaryIO, format: str, path: Path) -> Image.Image | None:
    if format == "HDR":
        return None
    if format == "HEIF":
        _register_heif(path)
    try:
        return Image.open(stream, formats=(format,))
    except Image.UnidentifiedImageError:
        if format == "TIFF":
            return None  # of numbers that Pillow has no mode for
        raise Unable(f"{named(path)} is damaged or cut off: save or download it again") from None


def _register_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError:  # the one format that needs a library of its own
        raise Unable(f"{named(path)} is a HEIC picture, which this environment cannot read: save it as JPEG") from None
    pillow_heif.register_heif_opener()


def _needed(image: Image.Image, format: str) -> float:
    """Bytes that decoding takes."""
    pixels = float(image.width * image.height)
    if format == "JPEG":
        return pixels * (_COEFFICIENTS if image.info.get("progressive") else 4.0 / _DRAFT)
    return pixels * _BYTES.get(format, _WIDE_MODES.get(image.mode, 4.0))


def _with_its_end(found: Opened) -> Opened:
    """A JPEG whose very last bytes are missing, with them: cards that were pulled out, mails that were cut.

    Whether only the end is missing, and no pixel, is seen by decoding it with different ends.
    """
    tail = _tail(found.stream)
    trailer = _END in tail and found.size > _SMALL  # else what ends there may be the preview in its EXIF
    complete = tail.endswith(_END) or trailer or found.size > memory() // 4
    if complete or _decodes(found.image):
        found.stream.seek(0)
        return replace(found, image=Image.open(found.stream, formats=("JPEG",)))
    found.stream.seek(0)
    content = found.stream.read().rstrip(b"\xff")
    pixels = {_decoded(content + padding + _END) for padding in _PADDINGS}
    if len(pixels) != 1 or None in pixels:
        raise Unable(f"{named(found.path)} is damaged or cut off: save or download it again")
    image = Image.open(io.BytesIO(content + _END), formats=("JPEG",))
    return replace(found, image=image, notes=("the file's last bytes are missing, but all of its picture is there",))


def _tail(stream: BinaryIO) -> bytes:
    """The file's last kilobytes, where programs may have added something of their own behind the picture."""
    stream.seek(-min(4096, stream.seek(0, io.SEEK_END)), io.SEEK_END)
    return stream.read()


def _decodes(image: Image.Image) -> bool:
    try:
        image.load()
    except OSError:
        return False
    return True


def _decoded(content: bytes) -> str | None:
    """A digest of a JPEG's pixels, or None where it cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            image.draft(None, (_FINE_ENOUGH, _FINE_ENOUGH))
            return hashlib.sha256(image.tobytes()).hexdigest()
    except (OSError, SyntaxError, ValueError):
        return None
