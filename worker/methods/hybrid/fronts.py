# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth map as the front of a thing: in the thing's own unit, and with how far it is to be trusted.

Whoever sees a front and the rest of the thing agrees with the outline and with what things are like; what a depth
network says of a thing may not. So each front is compared with a guess at the same front that knows no depth: where
they differ by more than such guesses err by themselves, the depth is believed to be off by the rest. Arrays alone; must
not know networks, meshes or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...core.representations import DepthMap, Front, Layers
from ...pictures.silhouette import seen_through
from .fusion import enlarged

GUESS_OFF = 0.13
"""Half sides by which the generator's own front is wrong, but for its shift. On every fourth of YCB's scans, two views
each: 0.114 on average, from 0.03 of a can to 0.38 of a plate. Half or twice of it moves how much of a front that is
right is taken from 94 to 79 and 98 %."""

TELLING = 0.2
"""Half sides: the generator has learned to listen to fronts that are off by as much at most. Worse ones are not told,
nor taken: those of our own network for scenes, which are off by 0.29 on the same views, made the rest a third worse."""

CONTRARY = -0.5
"""Correlation of a front's bulges, without its tilt, with the guess's: below, it bulges where the guess recedes. Of 78
views of YCB no true front does, and turned inside out 75 are left out by this or by how far they lie apart."""

_EDGE = 1.5  # pixels of the depth map, and cells, at an outline within which it mixes two distances
_LEAST_SHARE = 0.05  # that is worth telling
_LEANS = 0.3  # correlation of two fronts that lean to one side: of 78 true ones 76 have more with the guess
_LEVEL = 0.05  # half sides, root mean square: a guess that leans less says of no side
_FLAT = 0.01  # half sides: what bulges less is flat
_FARTHEST = 1.5  # half sides from the middle: beyond, depth is a mistake


@dataclass(frozen=True)
class Doubt:
    """Of a kind of depth. least: half sides by which it is wrong though it agrees with the guess; within: by how much
    the two may differ without that being the depth's fault."""

    least: float
    within: float

    def of(self, differs: float) -> float:
        """Half sides by which a depth is believed to be off that differs from the guess by so much."""
        return float(np.hypot(self.least, np.sqrt(max(differs**2 - self.within**2, 0.0))))


DOUBTS = {"metric": Doubt(0.03, 0.28), "relative": Doubt(0.06, 0.2), "proportional": Doubt(0.19, 0.1)}
"""Metres are MoGe's, whose points err by some 5 % of a thing's size; the guess alone errs by up to 0.3. What is known
up to scale and shift was brought to the guess's, so that it differs less. Proportional is our own network for scenes.
Set on every fourth of YCB's scans; with half or twice `within`, true fronts of plates and clamps are not taken, or ones
that lie are."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A depth map at the cells of a thing's window. inverse: (S, S) inverse depth; where: (S, S) bool, where it is the
    thing's; unit: half a side of the window at a distance of 1."""

    inverse: np.ndarray
    where: np.ndarray
    unit: float
    kind: str


def observed(depth: DepthMap, guess: Layers, size: int) -> Observed:
    """What a depth map says of the thing whose front is guessed, at (size, size) cells of its window."""
    window, mask = guess.window, guess.view.mask
    height, width = mask.shape
    rows, columns = depth.inverse_depth.shape
    at = (np.arange(size) + 0.5) / size * window.side
    places = np.meshgrid(
        (at + window.top) * rows / height - 0.5, (at + window.left) * columns / width - 0.5, indexing="ij"
    )
    valid = _read(depth.valid.astype(np.float32), places)
    inverse = _read(np.where(depth.valid, depth.inverse_depth, 0.0), places) / np.maximum(valid, 1e-6)
    inside = seen_through(window, mask, size) >= 128
    edge = _EDGE * max(1.0, width / columns * size / window.side)
    deep = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    where = inside & (deep > min(edge, deep.max() / 2)) & (valid > 0.99)
    kind = "metric" if depth.metric else "proportional" if depth.proportional else "relative"
    return Observed(inverse.astype(np.float32), where, window.side / 2.0 / depth.view.camera.fx, kind)


def _read(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    return ndimage.map_coordinates(values.astype(np.float64), places, order=1, mode="nearest")


def fitted(seen: Observed, guess: np.ndarray) -> np.ndarray | None:
    """The front (S, S) in half sides where it is seen, at the guessed front's (S, S) shift, and scale where its own is
    not known; None where it says the contrary of the guess, or nothing."""
    where, unit = seen.where, seen.unit
    if np.count_nonzero(where) < 16:
        return None
    middle = float(np.median(guess[where]))
    if seen.kind == "relative":
        inverse = _as_spread(seen.inverse, 1.0 / np.maximum(1.0 + unit * guess, 0.1), where)
        if inverse is None:
            return None
    else:
        inverse = seen.inverse
    near = float(np.median(inverse[where]))
    depth = (1.0 + unit * middle) * near / np.maximum(inverse, 1e-3 * near)
    return np.clip((depth - 1.0) / unit, middle - 2 * _FARTHEST, middle + 2 * _FARTHEST).astype(np.float32)


def _as_spread(values: np.ndarray, like: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """Values brought to others' median and spread; None where one falls while the other rises."""
    a, b = values[where], like[where]
    a_middle, b_middle = np.median(a), np.median(b)
    spread = np.abs(a - a_middle).mean()
    if spread < 1e-9 or ((a - a_middle) * (b - b_middle)).sum() <= 0.0:
        return None
    return (values - a_middle) * (np.abs(b - b_middle).mean() / spread) + b_middle


def apart(front: np.ndarray, guess: np.ndarray, where: np.ndarray) -> float:
    """Half sides by which two fronts (S, S) differ, but for their shift: the root mean square without the worst
    twentieth."""
    differs = np.abs((front - guess)[where] - np.median((front - guess)[where]))
    return float(np.sqrt(np.mean(np.minimum(differs, np.percentile(differs, 95.0)) ** 2)))


def level(front: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A front (S, S) without its tilt, which is told by where it is known."""
    rows, columns = np.indices(front.shape)
    plane = np.stack([rows, columns, np.ones_like(rows)], axis=2).astype(np.float64)
    return front - plane @ np.linalg.lstsq(plane[where], front[where], rcond=None)[0]


def alike(front: np.ndarray, guess: np.ndarray, where: np.ndarray) -> float:
    """The correlation of two fronts (S, S); 0 where one is flat."""
    a, b = (values[where] - values[where].mean() for values in (front, guess))
    return float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b)) if min(a.std(), b.std()) > _FLAT else 0.0


def doubted(front: np.ndarray, guess: np.ndarray, where: np.ndarray, kind: str) -> float:
    """Half sides by which a front (S, S) is believed to be off, infinite for one that bulges where the guess recedes.

    How far a thing leans towards the camera the guess often does not know (a wrench that points away: 1 half side), so
    of a depth in metres that leans to the same side that is not counted."""
    bulges = level(front, where), level(guess, where)
    if alike(*bulges, where) < CONTRARY:
        return np.inf
    leans = kind == "metric" and _may_lean(front, guess, where)
    return DOUBTS[kind].of(apart(*(bulges if leans else (front, guess)), where))


def _may_lean(front: np.ndarray, guess: np.ndarray, where: np.ndarray) -> bool:
    """Whether a front (S, S) leans to a side to which the thing may lean: the guess's, or where that says of none, as
    what lies there and is seen from above does: nearer the lower it is in the picture."""
    own, other = front - level(front, where), guess - level(guess, where)
    if other[where].std() > _LEVEL:
        return alike(front, guess, where) > _LEANS
    down, right = (float(np.diff(own, axis=axis).mean()) for axis in (0, 1))
    return -down > abs(right)


def front_of(depth: DepthMap, guess: Layers, size: int, trust: float) -> tuple[Front, float] | None:
    """The front (size, size) that a depth map tells, and its share in [0, 1] of the large shape that it and the guess
    make together; None where it is of no use. trust: 0.5 as its agreement with the guess says, 0 never, 1 blindly."""
    seen, (own, _) = observed(depth, guess, size), enlarged(guess.front, guess.back, size)
    front = fitted(seen, own)
    if front is None or trust == 0.0:
        return None
    off = doubted(front, own, seen.where, seen.kind)
    share = (GUESS_OFF**2 / (GUESS_OFF**2 + off**2)) ** ((1.0 - trust) / trust)
    if share < _LEAST_SHARE or trust <= 0.5 and off > TELLING:
        return None
    return Front(front, seen.where, False, seen.kind != "relative", min(off, TELLING)), share


def settled(front: Front, like: np.ndarray) -> np.ndarray:
    """A front's depth (S, S) at the shift, and the scale where its own is arbitrary, of another front (S, S)."""
    own, other, where = front.depth, like, front.where
    middle, spread = np.median(own[where]), np.abs(own[where] - np.median(own[where])).mean()
    wanted = np.abs(other[where] - np.median(other[where])).mean()
    return (own - middle) * (1.0 if front.scale else wanted / max(spread, 1e-6)) + np.median(other[where])
