# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera raw files of TIFF's kind (DNG, NEF, CR2, ARW, ...): nothing here develops them, but most carry a picture that
the camera has developed itself.

Must not know colours.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

from ..core.errors import Unable
from ..core.file_types import RAW_PICTURES
from .faults import named
from .opening import Opened

LEAST_PREVIEW = 1000
"""Pixels of the longer side of a preview that is worth a mesh: cameras embed one of 160, and one of 1600 or more."""

_DNG_VERSION, _SUB_IFDS, _PHOTOMETRIC, _COMPRESSION = 50706, 330, 262, 259
_JPEG_AT, _JPEG_BYTES, _STRIP_AT, _STRIP_BYTES = 513, 514, 273, 279
_MOSAIC = (32803, 34892)  # photometric interpretations of what a sensor gives
_MOST_PAGES = 32


def is_raw(opened: Opened) -> bool:
    """Whether a TIFF holds what a sensor gave, and not a picture."""
    if opened.format != "TIFF":
        return False
    ending = opened.path.suffix.lower()
    if ending in RAW_PICTURES or opened.head[8:10] == b"CR":
        return True
    if opened.image is None:
        return False
    tags = opened.image.tag_v2
    return _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _MOSAIC


def preview(opened: Opened) -> Opened:
    """The largest JPEG in the raw file, as a file to read instead. Raises Unable where it is too small to be used."""
    found = max(_jpegs(opened), key=lambda image: max(image.size), default=None)
    longest = 0 if found is None else max(found.size)
    if longest < LEAST_PREVIEW:
        small = f"only a preview of {longest} pixels" if longest else "no preview"
        raise Unable(
            f"{named(opened.path)} is a camera's raw file with {small}: develop it with a photo program, and "
            "choose the JPEG or TIFF"
        )
    note = f"a camera's raw file is not developed: its preview of {found.width} x {found.height} pixels is used"
    return Opened(opened.path, opened.stream, opened.head, opened.size, "JPEG", found, (note,))


def _jpegs(opened: Opened) -> Iterator[Image.Image]:
    for tags in _pages(opened):
        at, size = tags.get(_JPEG_AT), tags.get(_JPEG_BYTES)
        if at is None and tags.get(_COMPRESSION) in (6, 7) and len(tags.get(_STRIP_AT, ())) == 1:
            at, size = tags[_STRIP_AT][0], tags[_STRIP_BYTES][0]
        if not at or not size or at + size > opened.size:
            continue
        opened.stream.seek(at)
        try:
            yield Image.open(io.BytesIO(opened.stream.read(size)), formats=("JPEG",))
        except (OSError, SyntaxError, ValueError):
            continue  # a sensor's lossless JPEG, of which there are no pictures


def _pages(opened: Opened) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    """The tags of all pages, those of pages within pages after their own."""
    opened.stream.seek(0)
    start = TiffImagePlugin.ImageFileDirectory_v2(opened.stream.read(8))
    places, seen = [start.next], set()
    while places and len(seen) < _MOST_PAGES:
        place = places.pop(0)
        if not place or place in seen or place >= opened.size:
            continue
        seen.add(place)
        tags = TiffImagePlugin.ImageFileDirectory_v2(opened.head[:8])
        opened.stream.seek(place)
        tags.load(opened.stream)
        yield tags
        inner = tags.get(_SUB_IFDS, ())
        places += [*(inner if isinstance(inner, tuple) else (inner,)), tags.next]
