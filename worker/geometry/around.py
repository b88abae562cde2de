# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras around a thing, and which of them see most of what is not known. Must not know colours or files.

Axes are glTF's: +Y is up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.view import PinholeCamera, View
from .mesh import Mesh
from .texturing.photo import Sight
from .texturing.rasterise import projected
from .texturing.seen import Seen

FOV = 30.0
"""Degrees in which a camera around a thing sees the sphere around it."""

_FILLED = 0.75  # of the picture's side by the thing
_PITCHES, _STEP = ((10.0, 50.0, -35.0), (-12.0, 32.0, -55.0)), 45.0
"""Degrees from above of rings of cameras, of one round and the next, and between two cameras of a ring."""

_POLES, _TURN = (85.0, -85.0), 20.0
"""Degrees from above and from below; and by which a round's rings are turned against the one before's."""
_SIDE = 96  # pixels in which it is counted what a camera sees
_KEPT = 0.35  # of what is not known is left to be known of a face that a chosen camera sees head-on


def looking(mesh: Mesh, yaw: float, pitch: float, size: int) -> View:
    """The view, of size x size pixels, of the whole mesh from `yaw` degrees to the right of its front (+Z) and `pitch`
    from above."""
    a, b = math.radians(yaw), math.radians(pitch)
    back = np.array([math.sin(a) * math.cos(b), math.sin(b), math.cos(a) * math.cos(b)])
    right = np.array([math.cos(a), 0.0, -math.sin(a)])
    rotation = np.stack([right, -np.cross(back, right), -back])
    centre = mesh.bounds.astype(np.float64).mean(axis=0)
    radius = max(float(np.linalg.norm(mesh.vertices - centre, axis=1).max()), 1e-9)
    position = centre + radius / math.sin(math.radians(FOV) / 2.0) * back
    place = projected(mesh.vertices, View(PinholeCamera(1, 1, 1.0, 1.0, 0.0, 0.0), rotation, position))[:, :2]
    low, high = place.min(axis=0), place.max(axis=0)
    focal = _FILLED * size / max(float((high - low).max()), 1e-9)
    middle = size / 2.0 - focal * (low + high) / 2.0
    return View(PinholeCamera(size, size, focal, focal, *map(float, middle)), rotation, position)


def angles(mesh: Mesh, view: View) -> tuple[float, float]:
    """(yaw, pitch) in degrees from which a view sees the mesh's middle."""
    back = view.position - mesh.bounds.astype(np.float64).mean(axis=0)
    flat = math.hypot(back[0], back[2])
    return math.degrees(math.atan2(back[0], back[2])), math.degrees(math.atan2(back[1], flat))


def known(mesh: Mesh, photos: Sequence[View]) -> np.ndarray:
    """(F,) float32 in [0, 1], how well photos see each face."""
    middles, across = mesh.vertices[mesh.faces].mean(axis=1), mesh.with_normals().normals[mesh.faces].mean(axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    best = np.zeros(len(mesh.faces), np.float32)
    for photo in photos:
        np.maximum(best, Sight(photo, mesh.vertices, mesh.faces).trust(middles, across)[0], out=best)
    return best


def worst_known(mesh: Mesh, photos: Sequence[View], count: int, size: int, turn: int = 0) -> list[View]:
    """`count` views, of size x size pixels, each of which sees most of what neither photos nor those before show. turn:
    another number gives other places."""
    yaw, rings = (angles(mesh, photos[0])[0] if photos else 0.0) + turn * _TURN, _PITCHES[turn % len(_PITCHES)]
    places = [(yaw + step * _STEP, pitch) for pitch in rings for step in range(int(360.0 / _STEP))]
    places += [(yaw, pitch) for pitch in _POLES]
    seen = [_shown(mesh, *place) for place in places]
    missing, area = 1.0 - known(mesh, photos), mesh.face_areas()
    chosen: list[int] = []
    while len(chosen) < min(count, len(places)):
        worth = [-1.0 if number in chosen else float(missing @ shown) for number, shown in enumerate(seen)]
        best = int(np.argmax(worth))
        chosen.append(best)
        head_on = np.minimum(seen[best] / np.maximum(area, 1e-30), 1.0)
        missing = missing * (1.0 - (1.0 - _KEPT) * head_on)
    return [looking(mesh, *places[number], size) for number in chosen]


def _shown(mesh: Mesh, yaw: float, pitch: float) -> np.ndarray:
    """(F,) of each face, the area that is shown: all of it where it is seen head-on."""
    view = looking(mesh, yaw, pitch, _SIDE)
    seen = Seen.of(mesh, view)
    return np.bincount(seen.under.face, np.square(seen.depth / view.camera.fx), len(mesh.faces))
