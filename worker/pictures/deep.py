# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of more than eight bits, which Pillow gives for single greys only: 16-bit PNG and TIFF, floating-point TIFF,
10- and 12-bit HEIC, Radiance HDR.

Must not know what the numbers mean as colours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..core.errors import Unable
from . import opening
from .faults import named
from .opening import Opened

EXACT = 0x4 | 0x2000 | 0x40000
"""swscale's flags: bicubic, colours for each pixel, and rounded; else all colours come out 2 of 255 too dark."""

_BITS = (8, 10, 12, 14, 16, *range(17, 33))  # of cameras and scanners in wider files; and of what was measured
_CHUNK, _MOST_CHUNKS = 64, 1000  # bytes of a PNG's chunk that are read, and kinds of chunks
_DEFLATE = (8, 32946)  # TIFF compressions whose streams end by themselves
_ALIGNED = 512  # bytes of zeros before a strip, at most
_COPIES = 3  # of a picture's numbers that reading takes, at most
_ALPHA = (1, 2)  # TIFF's extra samples that are one, associated or not
_GREY_SCALE, _RGB_COLOURS = (0, 1), 2  # TIFF photometric interpretations


@dataclass(frozen=True, eq=False)
class Deep:
    """values: (H, W, C), C of 1 (grey) or 3 (RGB), whole or floating-point numbers. top: the one that stands for 1.
    alpha: (H, W) uint8 or None. turn: EXIF's orientation, 1 for upright. xyz: whether the three are CIE XYZ."""

    values: np.ndarray
    top: float
    alpha: np.ndarray | None = None
    turn: int = 1
    xyz: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_light(self) -> bool:
        """Whether colours without a profile are light, as floating-point colours are."""
        return self.values.dtype.kind == "f" and self.values.shape[2] == 3


def is_deep(opened: Opened, coarse: bool = False) -> bool:
    """Whether the picture's numbers have more than eight bits, by what the file says; where eight bits of its colours
    are `coarse`, also whether they are made from brightness and colour, which tell more than eight bits of each."""
    image = opened.image
    if coarse and opened.format in ("JPEG", "AVIF") and image.mode in ("RGB", "RGBA"):
        return True
    if image is None or image.mode.startswith("I") or image.mode == "F":
        return True
    if opened.format == "PNG":
        return png_header(opened).get(b"IHDR", bytes(9))[8:9] == b"\x10"
    if opened.format == "TIFF":
        return max(image.tag_v2.get(258, (8,)), default=8) > 8
    if opened.format == "HEIF":
        return image.info.get("bit_depth", 8) > 8
    return opened.format == "AVIF" and _has_deep_av1(opened.head)


class _Unread(Exception):
    """Of what kind a TIFF is that is whole, and not read here."""


def deep(opened: Opened, most_pixels: int, coarse: bool = False) -> Deep | None:
    """The picture's numbers, where they have more than eight bits (see is_deep); None where they have not, or where
    eight bits of them are what memory allows. Reads the file's stream."""
    image = opened.image
    if opened.format == "HDR":
        return _radiance(opened, most_pixels)
    if image is None:
        return _tiff(opened, most_pixels, required=True)
    if image.mode.startswith("I") or image.mode == "F":
        by_tifffile = image.mode == "I" and opened.format == "TIFF"  # of whose sign and width Pillow says nothing
        return (_tiff(opened, most_pixels, required=False) if by_tifffile else None) or _grey(opened)
    if image.width * image.height * 8.0 * _COPIES > opening.memory() or not is_deep(opened, coarse):
        return None
    if opened.format == "TIFF":
        return _tiff(opened, most_pixels, required=False)
    return {"PNG": _png, "HEIF": _heif, "AVIF": _avif, "JPEG": _jpeg}[opened.format](opened)


def png_header(opened: Opened) -> dict[bytes, bytes]:
    """The first bytes of each chunk before a PNG's pixels (W3C PNG 3, 5.3), however long profiles and texts between
    them are. The stream stays where it is."""
    stream, found = opened.stream, {}
    before, place = stream.tell(), 8
    while place + 8 <= opened.size and len(found) < _MOST_CHUNKS:
        stream.seek(place)
        start = stream.read(8 + _CHUNK)
        size, name = int.from_bytes(start[:4], "big"), start[4:8]
        if name == b"IDAT":
            break
        found.setdefault(name, start[8 : 8 + size])
        place += size + 12
    stream.seek(before)
    return found


def significant(values: np.ndarray, wide: int) -> tuple[float, tuple[str, ...]]:
    """What stands for 1 in whole numbers whose file does not say how many of its `wide` bits mean something, and a note
    where these are fewer."""
    highest = int(values.max(initial=0))
    bits = min(next((bits for bits in _BITS if highest < 1 << bits), 32), wide)
    if bits >= min(wide, 16) or bits == 8:
        return float((1 << bits) - 1), ()
    return float((1 << bits) - 1), (f"its numbers use {bits} of {wide} bits, and are taken for {bits}-bit ones",)


def _grey(opened: Opened) -> Deep:
    """What Pillow gives as single numbers."""
    image = opened.image
    values = np.asarray(image)
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
        return Deep(finite[..., None], 1.0 if finite.max(initial=0.0) <= 1.0 else float(finite.max()))
    hidden = image.info.get("transparency")
    alpha = np.where(values == hidden, 0, 255).astype(np.uint8) if isinstance(hidden, int) else None
    values = np.maximum(values, 0).astype(np.uint32 if values.dtype.itemsize > 2 else np.uint16)
    top, notes = _told_top(opened) or significant(values, 8 * values.dtype.itemsize)
    return Deep(_sixteen(values[..., None], top), min(top, 65535.0), alpha, notes=notes)


def _told_top(opened: Opened) -> tuple[float, tuple[str, ...]] | None:
    """What stands for 1, where the file says it."""
    if opened.format == "PNG":  # its numbers fill all their bits (12.5), but for those of careless programs
        return (65535.0, ()) if b"sBIT" in png_header(opened) else None
    if opened.format != "TIFF":
        return None
    tags = opened.image.tag_v2
    bits, highest = max(tags.get(258, (16,))), tags.get(281)
    if bits not in (16, 32):
        return float((1 << bits) - 1), ()
    highest = max(highest) if isinstance(highest, tuple) else highest
    return (float(highest), ()) if isinstance(highest, int) and 255 <= highest < (1 << bits) - 1 else None


def _sixteen(values: np.ndarray, top: float) -> np.ndarray:
    """Whole numbers as uint8 or uint16: those of more bits without their last ones."""
    if values.dtype.itemsize <= 2:
        return values
    if top <= 65535.0:
        return np.minimum(values, 65535).astype(np.uint16)
    return (values.astype(np.float64) * (65535.0 / top)).astype(np.uint16)


def _png(opened: Opened) -> Deep | None:
    """16-bit colours, by FFmpeg's decoder."""
    values = _by_ffmpeg(opened, "png_pipe", "rgba64le")
    if values is None:
        return None
    hidden = opened.image.info.get("transparency")
    alpha = _eight(values[..., 3], 65535)
    if isinstance(hidden, tuple) and len(hidden) == 3:
        alpha = np.where((values[..., :3] == np.array(hidden)).all(axis=2), 0, 255).astype(np.uint8)
    top, notes = _told_top(opened) or significant(values[..., :3], 16)
    return Deep(values[..., :3], top, alpha, notes=notes)


def _heif(opened: Opened) -> Deep | None:
    import pillow_heif

    opened.stream.seek(0)
    values = np.asarray(pillow_heif.open_heif(opened.stream, convert_hdr_to_8bit=False))
    if values.dtype != np.uint16 or values.ndim != 3:
        return None
    alpha = _eight(values[..., 3], 65535) if values.shape[2] == 4 else None
    return Deep(values[..., :3], float(65536 - (1 << (16 - int(opened.image.info["bit_depth"])))), alpha)


def _has_deep_av1(head: bytes) -> bool:
    """Whether AV1's configuration (AV1-ISOBMFF, 2.3.3) says 10 or 12 bits."""
    at = head.find(b"av1C")
    return 0 <= at < len(head) - 7 and bool(head[at + 6] & 0x40)


def _jpeg(opened: Opened) -> Deep | None:
    """Colours made from brightness and colour without rounding to eight bits, by FFmpeg's decoder."""
    values = _by_ffmpeg(opened, "jpeg_pipe", "rgb48le")
    return None if values is None or values.shape[1::-1] != opened.image.size else Deep(values, 65535.0)


def _avif(opened: Opened) -> Deep | None:
    """10- and 12-bit colours, and coarse ones, by FFmpeg's decoder; alpha, and which way is up, by Pillow's."""
    image = opened.image
    values = _by_ffmpeg(opened, "mov", "rgb48le")
    if values is None or values.shape[1::-1] != image.size:
        return None  # of tiles, which are a stream each
    alpha = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
    return Deep(values, 65535.0, alpha)


def _radiance(opened: Opened, most_pixels: int) -> Deep:
    """Ward's RGBE, by FFmpeg's decoder. The header's EXPOSURE is left as whoever saved the file has set it."""
    found = re.search(rb"\n([-+])Y (\d{1,9}) ([-+])X (\d{1,9})\n", opened.head)
    if not found:
        raise Unable(f"{named(opened.path)} is a Radiance picture that cannot be read: save it anew, as PNG perhaps")
    height, width = int(found[2]), int(found[4])
    opening.check_size(opened.path, (width, height), most_pixels, 12.0 * _COPIES * width * height)
    values = _by_ffmpeg(opened, "hdr_pipe", "gbrpf32le")
    if values is None:
        raise Unable(
            f"{named(opened.path)} is damaged, or this environment cannot read Radiance pictures: save it anew"
        )
    return Deep(values[..., :3], 1.0, xyz=b"rle_xyze" in opened.head)


def _by_ffmpeg(opened: Opened, demuxer: str, format: str) -> np.ndarray | None:
    """(H, W, C) of the first picture; None where it cannot be read, or there is nothing to read it with."""
    try:
        import av
    except ImportError:
        return None
    opened.stream.seek(0)
    try:
        with av.open(opened.stream, format=demuxer) as file:
            return next(file.decode(video=0)).to_ndarray(format=format, interpolation=EXACT)
    except (av.FFmpegError, StopIteration, ValueError, IndexError):
        return None


def _tiff(opened: Opened, most_pixels: int, required: bool) -> Deep | None:
    """A TIFF's first page, by tifffile. required: raise Unable, not None, where it cannot be read."""
    try:
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it tells of each odd tag
        opened.stream.seek(0)
        with tifffile.TiffFile(opened.stream) as file:
            return _page(opened, file.pages.first, most_pixels)
    except Unable:
        raise
    except _Unread as raised:
        error = str(raised)
    except ImportError:
        error = "this environment has nothing to read its kind of numbers with"
    except Exception as raised:  # noqa: BLE001 - a decoder: it raises whatever there is
        error = "damaged, or compressed in a way that is not read here" if "imagecodecs" in str(raised) else "damaged"
    if required:
        raise Unable(f"{named(opened.path)} is a TIFF that cannot be read ({error}): save it anew, as PNG perhaps")
    return None


def _page(opened: Opened, page: Any, most_pixels: int) -> Deep | None:
    width, height = int(page.imagewidth), int(page.imagelength)
    numbers = np.dtype(page.dtype).itemsize * int(page.samplesperpixel) if page.dtype is not None else 16
    opening.check_size(opened.path, (width, height), most_pixels, 1.0 * _COPIES * width * height * numbers)
    _check_parts(opened, page)
    values = np.squeeze(page.asarray())
    if values.ndim == 3 and int(page.planarconfig) == 2:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 2:
        values = values[..., None]
    grey = int(page.photometric) in _GREY_SCALE
    if values.shape[:2] != (height, width) or not (grey or int(page.photometric) == _RGB_COLOURS):
        raise _Unread("its colours are neither grey nor RGB")
    colours = 1 if grey else 3
    turn = int(page.tags.valueof(274, default=1))
    if values.dtype.kind == "f":
        return _floating(values, colours, turn)
    signed = values.dtype.kind == "i"
    if signed:  # below zero there is no light
        values = np.maximum(values, 0).astype(f"u{values.dtype.itemsize}")
    if values.dtype.kind != "u":
        raise _Unread("its kind of numbers is not read here")
    more = page.extrasamples or ()
    alpha = values[..., colours] if values.shape[2] > colours and more and int(more[0]) in _ALPHA else None
    top, notes = _page_top(page, values[..., :colours], signed)
    if grey and int(page.photometric) == 0:
        values = (top - values).astype(values.dtype)
    wide = float(np.iinfo(values.dtype).max)
    alpha = None if alpha is None else _eight(alpha, wide)
    return Deep(_sixteen(values[..., :colours], top), min(top, 65535.0), alpha, turn, notes=notes)


def _page_top(page: Any, values: np.ndarray, signed: bool) -> tuple[float, tuple[str, ...]]:
    bits, highest = int(page.bitspersample), page.tags.valueof(281)
    if bits not in (16, 32, 64):
        return float((1 << bits) - 1), ()
    highest = max(highest) if isinstance(highest, tuple) else highest
    if isinstance(highest, int) and 255 <= highest < (1 << bits) - 1:
        return float(highest), ()
    return significant(values, bits - signed)


def _floating(values: np.ndarray, colours: int, turn: int) -> Deep:
    finite = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    alpha = _eight(np.clip(finite[..., colours], 0.0, 1.0), 1.0) if finite.shape[2] == colours + 1 else None
    own = finite[..., :colours]
    top = 1.0 if colours == 3 or own.max(initial=0.0) <= 1.0 else float(own.max())
    return Deep(own, top, alpha, turn)


def _check_parts(opened: Opened, page: Any) -> None:
    """Raises ValueError where a strip or tile lies beyond the file's end: tifffile would take it for black. A deflated
    one ends by itself, so there only its beginning must be there; zeros before it, with which some programs align
    strips, are passed over."""
    ends_itself, places = int(page.compression) in _DEFLATE, list(page.dataoffsets)
    for number, (offset, count) in enumerate(zip(places, page.databytecounts)):
        if count <= 0 or offset + (1 if ends_itself else count) > opened.size:
            raise ValueError("cut off")
        if ends_itself:
            opened.stream.seek(offset)
            begin = opened.stream.read(_ALIGNED)
            places[number] += len(begin) - len(begin.lstrip(b"\0"))
    page.dataoffsets = tuple(places)


def _eight(values: np.ndarray, top: float) -> np.ndarray:
    """Alpha as uint8."""
    return np.rint(values * np.float32(255.0 / top)).astype(np.uint8)


def smaller(values: np.ndarray, side: int, check: Callable[[], None]) -> np.ndarray:
    """Means of values (H, W, C) over whole blocks, so that neither side is longer than `side`; the same numbers' kind.
    What does not fill a block at the right and below is left out."""
    step = -(-max(values.shape[:2]) // side)
    if step <= 1:
        return values
    if values.dtype == np.uint8 and min(values.shape[:2]) >= step:
        whole = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).reduce(step)
        return np.asarray(whole).reshape(whole.height, whole.width, -1)
    down, across = min(step, values.shape[0]), min(step, values.shape[1])
    height, width = values.shape[0] // down, values.shape[1] // across
    result = np.empty((height, width, *values.shape[2:]), values.dtype)
    for row in range(height):
        check()
        block = values[row * down : (row + 1) * down, : width * across].astype(np.float32)
        mean = block.reshape(down, width, across, -1).mean(axis=(0, 2)).reshape(result.shape[1:])
        result[row] = mean if values.dtype.kind == "f" else np.rint(mean)
    return result
