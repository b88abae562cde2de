# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture made small, as fast as its format allows: to be recognised by, and for nothing else."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps

from ..core.errors import Unable
from .opening import opened

MOST_PIXELS = 300_000_000
QUALITY = 75


def small(path: Path, size: int) -> bytes | None:
    """A JPEG file of at most `size` pixels along each side, upright; None of what cannot be read so."""
    try:
        with opened(path, MOST_PIXELS) as found:
            if found.image is None:
                return None
            found.image.draft("RGB", (size, size))  # a JPEG is decoded at the nearest scale above
            found.image.thumbnail((size, size))
            return _jpeg(ImageOps.exif_transpose(found.image))
    except Unable:
        return None


def _jpeg(image: Image.Image) -> bytes:
    """On white where it is transparent."""
    stream, rgba = io.BytesIO(), image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    Image.alpha_composite(white, rgba).convert("RGB").save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
