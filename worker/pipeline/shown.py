# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures, and first guesses, of what is made."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Representation
from ..core.whole_file import WholeFile
from ..finish.asset import write
from ..finish.dispatch import finished
from ..finish.options import of_type

THUMBNAIL = 256
"""Pixels of the pictures of a result that the history shows."""

COARSE, COARSE_FILE = {"grid": 64, "faces": 4_000, "texture": 512}, "coarse.glb"
"""Of a first guess, at most, so that it is there at once: it took 0.7 s of a processor, with its texture."""


def previewer(folder: str, job: Span) -> Callable[[np.ndarray], None]:
    """Writes pictures (H, W, 3) uint8 into the folder by turns under two names, and tells of each."""
    names = itertools.cycle(("preview-a.png", "preview-b.png"))  # the one before may still be read

    def show(picture: np.ndarray) -> None:
        path = Path(folder) / next(names)
        with contextlib.suppress(OSError):  # a preview less: nothing is lost
            with WholeFile(path) as file:
                file.write(png_of(picture))
            job.show(path)

    return show if folder else lambda picture: None


def offerer(folder: str, finish: Any, name: str, job: Span) -> Callable[[Representation], None]:
    """Makes a small GLB, called `name`, of a first guess in the folder for previews, and tells of it. finish: the
    options of what is made."""

    def offer(found: Representation) -> None:
        quick = of_type(type(found).__name__, finish)
        quick = dataclasses.replace(quick, **{each: min(getattr(finish, each), most) for each, most in COARSE.items()})
        with contextlib.suppress(Unable):  # a first look less: nothing is lost
            write(finished(found, quick, Job(lambda *report: None)), Path(folder) / COARSE_FILE, name)
            job.show(Path(folder) / COARSE_FILE)

    return offer if folder else lambda found: None


def png_of(picture: np.ndarray) -> bytes:
    """The PNG file of (H, W, C) uint8, written fast: a tenth larger than it could be. To look for runs alone takes a
    quarter less time than zlib's own way, for files as large."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return stream.getvalue()
