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
import ideal  # noqa: E402

NEAR = 3
UNTOLD = ("gamma1", 8), ("pq", 8), ("hlg", 8), ("pq", 10)
"""Spaces and bits whose steps may be wider than that, so that no decoder can tell what was written so well."""


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
    rgb, chosen = shown(path), list(patches(space, bits))
    best = ideal.shown(path, space, bits)
    assert np.abs(ideal.middles(rgb) - best).max() <= NEAR, "not what the file's numbers mean"
    off = np.abs(best - colours.PATCHES)[chosen].max()
    assert off > NEAR or colours.worst(rgb, tuple(chosen)) <= NEAR
    assert off <= NEAR or (space, bits) in UNTOLD, "the file tells less than it could"
