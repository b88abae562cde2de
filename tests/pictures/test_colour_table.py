# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole table: known patches in every space, depth and format that there is, told in every way, are within 3 of 255
of what they are in sRGB. `python tests/bench/colours.py` prints what each is off by."""

import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.load import load
from image_to_3d.worker.pictures.video import frames

sys.path.insert(0, str(Path(__file__).parent))
import colour_files  # noqa: E402
import colours  # noqa: E402

NEAR = 3
CODED, A_STEP = ("jpg", "avif", "heic", "mp4"), 2.0
"""Formats whose numbers pass through others, of brightness and of colour, and come back off by one: of eight bits of
light or of HDR, one is up to 8 of 255."""


def shown(path: Path) -> np.ndarray:
    return frames(path, Job(lambda *_: None))[0].rgb if path.suffix == ".mp4" else load(path).rgb


def patches(space: str, bits: int) -> tuple[int, ...]:
    """Eight bits of light have no dark colours (24 of sRGB is 2.3 of 255), and those of HDR no saturated ones."""
    few = bits == 8 and space in ("gamma1", "pq", "hlg")
    return colours.EASY if few else tuple(range(len(colours.PATCHES)))


@pytest.mark.parametrize("kind, how, space, bits", list(colour_files.every()))
def test_a_known_patch_is_what_it_was(tmp_path, kind, how, space, bits):
    path = tmp_path / f"p.{kind}"
    try:
        colour_files.written(path, kind, how, space, bits)
    except colour_files.Missing as missing:
        pytest.skip(f"it cannot be written here: {missing}")
    rgb, chosen = shown(path), patches(space, bits)
    near = colours.worst(rgb, chosen) <= NEAR
    assert near or (kind in CODED and steps(rgb, space, bits, chosen) <= A_STEP)


def steps(rgb: np.ndarray, space: str, bits: int, chosen: tuple[int, ...]) -> float:
    """How far the patches are from what was written, in steps of the file's own numbers."""
    encode, width = colours.SPACES[space], rgb.shape[1]
    middles = [int((number + 0.5) * width / len(colours.PATCHES)) for number in chosen]
    found, meant = (
        encode(rgb[len(rgb) // 2, middles].astype(float)),
        encode(colours.PATCHES[list(chosen)].astype(float)),
    )
    return float(np.abs(found - meant).max() * ((1 << bits) - 1))
