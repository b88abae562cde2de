# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrated pictures of the Middlebury multi-view benchmark: a *_par.txt beside them says where each was taken.

Must not know anything else. Each line: a file's name, then K (9 numbers), R (9) and t (3), rows first; a point p is
seen at K (R p + t), pixels from the top left (Seitz et al. 2006, the README of each set).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.view import PinholeCamera
from ...pictures.load import size
from ...pictures.look import MOST_PICTURES
from ..lens import Lens
from ..registration import Registration
from .listing import shown, text_of

_NUMBERS = 21
_SQUARE, _FAR = 0.02, 1e9  # of a rotation times its transpose, from one; of any number, from zero


def cameras(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each file that is named: K, the rotation, both (3, 3), and the camera's position (3,), as in View.

    Raises Unable where the file is not of this kind.
    """
    try:
        lines = [line.split() for line in text_of(path).splitlines()[1:] if line.strip()]
        values = {words[0]: np.array(words[1:], np.float64) for words in lines}
    except ValueError as error:
        raise Unable(f"{path.name} cannot be read as a list of cameras: {error}") from None
    if not values or any(v.shape != (_NUMBERS,) or not np.isfinite(v).all() for v in values.values()):
        raise Unable(f"{path.name} is not a list of cameras: each line must be a file's name and {_NUMBERS} numbers")
    if wrong := next((name for name, v in values.items() if not _is_camera(v)), None):
        raise Unable(f"{path.name} has no camera for {shown(wrong)}: its numbers are no K, rotation and translation")
    found = {}
    for name, v in values.items():
        rotation = v[9:18].reshape(3, 3)
        found[name] = v[:9].reshape(3, 3), rotation, -rotation.T @ v[18:]
    return found


def _is_camera(v: np.ndarray) -> bool:
    rotation = v[9:18].reshape(3, 3)
    square = np.abs(rotation @ rotation.T - np.eye(3)).max() < _SQUARE and np.linalg.det(rotation) > 0.0
    return bool(square and v[0] > 0.0 and v[4] > 0.0 and np.abs(v).max() < _FAR)


def read(path: Path, job: Job | Span) -> Registration:
    """Those pictures beside the file at `path` that it names. Raises Unable if fewer than two are."""
    listed = cameras(path)
    beside = [name for name in listed if os.path.isfile(path.parent / name)]
    if len(beside) < 2:
        raise Unable("only one picture has a known camera: at least two are needed, and twenty or more are good")
    if len(beside) > MOST_PICTURES:
        beside = [beside[n] for n in np.linspace(0, len(beside) - 1, MOST_PICTURES).round().astype(int)]
    good = []
    for number, name in enumerate(beside):
        job.report(number / len(beside), "reading", f"picture {number + 1} of {len(beside)}")
        k, rotation, position = listed[name]
        # the middle of the first pixel is at 0 there and at 0.5 here
        camera = PinholeCamera(*size(path.parent / name), k[0, 0], k[1, 1], k[0, 2] + 0.5, k[1, 2] + 0.5)
        good.append((Lens(camera), rotation, position))
    notes = [f"{len(beside)} pictures with cameras from {path.name}"]
    if len(beside) < len(listed):
        notes.append(f"missing of the pictures that {path.name} names: {len(listed) - len(beside)}")
    lenses, rotations, positions = zip(*good)
    return Registration(tuple(beside), lenses, np.stack(rotations), np.stack(positions), notes=tuple(notes))
