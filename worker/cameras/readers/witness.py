# SPDX-License-Identifier: GPL-3.0-or-later
"""What pictures say about poses: which of several brings the rays nearest to each other, before both cameras, on which
two pictures show the same point.

Needs COLMAP's library for the points. Must not know lists of cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from ...pictures.load import Picture, load
from ..lens import Lens
from ..sfm.features import Detector, Features
from ..sfm.matching import matches
from .conventions import Poses, Witness

PAIRS = 6
"""So many pairs of pictures are looked at, evenly chosen: a second or two."""

_SIDE = 1000  # pixels of the longer side in which points are looked for
_APART = 0.05, 0.7  # radians between two pictures' directions: less tells no depth, more shares no points
_ONE_PLACE = 1e-6  # of their distance from the origin
_FEWEST = 30  # matches of all pairs that tell something
_GAP = 0.1
"""Of the distance, between two rays that may meet. Set on lego, dino, temple and four renders of two YCB things from 8
and 32 sides, cameras shaken by up to 2 degrees and 2 % of their distance: of the right poses and each wrong reading of
them, the right ones are nearer for .57 to .98 of the matches, the wrong ones for at most .27. With .03, right ones that
were shaken by 2 degrees are missed in 2 of 5 cases, with .01 half of those by 1 degree. How many rays a pose brings
near, not compared with the other's, tells nothing where cameras see narrowly (temple: .99 and .91)."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two pictures, by their numbers, and the rays (M, 3) of their cameras at which both show the same."""

    first: int
    second: int
    rays: tuple[np.ndarray, np.ndarray]


def witness(files: Sequence[Path], lenses: Sequence[Lens]) -> Witness:
    """A function of several poses of the same pictures, each rotations (N, 3, 3) and positions (N, 3) as in View: the
    share of the matches that each explains best, or None where there are too few. It raises Unable where a picture
    cannot be read."""

    def explained(poses: Sequence[Poses]) -> list[float] | None:
        if find_spec("pycolmap") is None:
            return None
        pairs = _pairs(files, lenses, poses[0][0])
        if sum(len(pair.rays[0]) for pair in pairs) < _FEWEST:
            return None
        gaps = np.stack([np.concatenate([_gaps(pair, *pose) for pair in pairs]) for pose in poses])
        nearest = np.where(gaps.min(0) < _GAP, gaps.argmin(0), len(poses))
        return [float((nearest == k).mean()) for k in range(len(poses))]

    return explained


def _pairs(files: Sequence[Path], lenses: Sequence[Lens], rotations: np.ndarray) -> list[_Pair]:
    """Of pictures that look nearly the same way, by rotations (N, 3, 3) that may all be turned alike."""
    ahead = rotations[:, 2]
    angles = np.arccos(np.clip(ahead @ ahead.T, -1.0, 1.0))
    angles[angles < _APART[0]] = np.inf
    chosen = np.linspace(0, len(files) - 1, min(PAIRS, len(files))).round().astype(int)
    ends = {(min(k, j), max(k, j)) for k in chosen if angles[k, j := int(angles[k].argmin())] < _APART[1]}
    detector, found = Detector(1, True), {}
    for number in sorted({number for pair in ends for number in pair}):
        found[number] = _features(detector, load(files[number]))
    pairs = []
    for i, j in sorted(ends):
        common = matches(found[i][0], found[j][0])
        pairs.append(_Pair(i, j, tuple(_rays(lenses[k], *found[k], common[:, e]) for e, k in enumerate((i, j)))))
    return pairs


def _features(detector: Detector, picture: Picture) -> tuple[Features, tuple[int, int]]:
    """Features of the picture made smaller, and the width and height that it has then."""
    image = Image.fromarray(picture.on_backdrop())
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return detector.detect(Picture(np.asarray(image), None, None, "", picture.name)), image.size


def _rays(lens: Lens, features: Features, size: tuple[int, int], chosen: np.ndarray) -> np.ndarray:
    """Unit vectors (M, 3) in the camera's axes, as if its lens did not bend: most bend little."""
    camera = lens.scaled(*size).camera
    u, v = features.keypoints[chosen].T
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))], -1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _gaps(pair: _Pair, rotations: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(M,) how far from each other the pair's rays are where they are nearest, by the distance from the nearer camera;
    infinite where that lies behind one of them, or both stand in one place."""
    a, b = (rays @ rotations[k] for rays, k in zip(pair.rays, (pair.first, pair.second)))
    way = positions[pair.second] - positions[pair.first]
    if np.abs(way).max() <= _ONE_PLACE * np.abs(positions).max():
        return np.full(len(a), np.inf)
    cosine, along_a, along_b = (a * b).sum(1), a @ way, b @ way
    across = np.maximum(1.0 - cosine**2, 1e-12)
    s, t = (along_a - cosine * along_b) / across, (cosine * along_a - along_b) / across
    gap = np.linalg.norm(s[:, None] * a - t[:, None] * b - way, axis=1)
    return np.where((s > 0.0) & (t > 0.0), gap / np.maximum(np.minimum(s, t), 1e-12), np.inf)
