# SPDX-License-Identifier: GPL-3.0-or-later
"""Small scenes with exact depth, ray cast: the truth that reliefs are measured against.

Axes are glTF's with the camera at the origin, looking along -Z. Must not know how reliefs are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from ..render import Rendered, Shape, photo_view, render


@dataclass(frozen=True, eq=False)
class Truth:
    """photo (h, w, 3) uint8; depth (h, w) float32, NaN where nothing is; the scene's triangles; its visible points."""

    photo: np.ndarray
    depth: np.ndarray
    scene: trimesh.Trimesh
    visible: np.ndarray

    @property
    def size(self) -> float:
        """Longest side of the visible surface's bounding box."""
        return float(np.ptp(self.visible, axis=0).max())


def _box(extents: tuple, at: tuple, turn: float = 0.0) -> trimesh.Trimesh:
    box = trimesh.creation.box(extents)
    box.apply_transform(trimesh.transformations.rotation_matrix(np.radians(turn), (0, 1, 0)))
    box.apply_translation(at)
    return box


def _ball(radius: float, at: tuple) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    ball.apply_translation(at)
    return ball


def _pole(radius: float, x: float, z: float) -> trimesh.Trimesh:
    pole = trimesh.creation.cylinder(radius, 8.0, sections=24)
    pole.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    pole.apply_translation((x, 0.0, z))
    return pole


FLOOR, WALL = _box((9, 0.1, 6), (0, -1.25, -3.5)), _box((9, 9, 0.1), (0, 0, -6.0))

SCENES = {
    "room": [FLOOR, WALL, _box((1, 1, 1), (-1.2, -0.7, -4.0), 35), _box((0.6, 1.6, 0.6), (1.3, -0.4, -4.6), 20)]
    + [_ball(0.6, (0.2, -0.6, -3.2)), _box((0.1, 9, 6), (-2.6, 0, -4))],
    "poles": [FLOOR, WALL, _ball(0.9, (0.4, -0.3, -4.2))]
    + [
        _pole(radius, x, z)
        for radius, x, z in ((0.02, -1.0, -2.6), (0.03, -0.4, -3.0), (0.05, 0.9, -3.4), (0.02, 1.4, -5))
    ],
    "grazing": [
        _box((16, 0.1, 12), (0, -0.6, -6.5)),
        _box((16, 16, 0.1), (0, 0, -12.0)),
        _box((0.1, 16, 12), (2.2, 0, -7)),
    ]
    + [_box((0.5, 0.5, 0.5), (-0.7, -0.3, -z), 10 * z) for z in (2.5, 4.0, 6.5)],
}


def photograph(name: str, camera: object) -> Truth:
    """A scene seen by a PinholeCamera at the origin. Colours vary smoothly and in steps over the surfaces."""
    scene = trimesh.util.concatenate([mesh.copy() for mesh in SCENES[name]])
    seen = render(Shape(scene.vertices, scene.faces), photo_view(camera))
    points = unprojected(seen, camera)
    valid = ~np.isnan(seen.depth)
    return Truth(_coloured(points, valid), seen.depth.astype(np.float32), scene, points[valid])


def unprojected(seen: Rendered, camera: object) -> np.ndarray:
    """(h, w, 3) points of a rendered depth."""
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    return np.stack([x[None] * seen.depth, -y[:, None] * seen.depth, -seen.depth], axis=-1)


def _coloured(points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """A solid texture: the colour depends on the place in space, so that a swimming or shifted texture shows."""
    points = np.nan_to_num(points)
    waves = [np.sin(points @ np.array(k) + 1.7 * i) for i, k in enumerate(((5, 3, 2), (-2, 6, 4), (3, -4, 5)))]
    tiles = np.floor(points * 2.0 + 0.25).astype(int).sum(axis=-1) % 2
    colour = 120 + 45 * np.stack(waves, axis=-1) + 50 * tiles[..., None]
    return np.where(valid[..., None], np.clip(colour, 0, 255), 255).astype(np.uint8)


def visible_within(truth: Truth, vertices: np.ndarray, faces: np.ndarray, tolerance: float) -> float:
    """Share of the visible true surface that lies within a tolerance of a mesh."""
    tree = cKDTree(_sampled(trimesh.Trimesh(vertices, faces, process=False), 400_000))
    points = truth.visible[:: max(1, len(truth.visible) // 60_000)]
    return float((tree.query(points)[0] <= tolerance).mean())


def astray(truth: Truth, vertices: np.ndarray, faces: np.ndarray, tolerance: float) -> float:
    """Share of a mesh's area that lies farther than a tolerance from the true surface, hidden parts included."""
    tree = cKDTree(np.concatenate([truth.visible[::4], _sampled(truth.scene, 300_000)]))
    points = _sampled(trimesh.Trimesh(vertices, faces, process=False), 60_000)
    return float((tree.query(points)[0] > tolerance).mean())


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 pictures, in dB."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-12)))


def _sampled(mesh: trimesh.Trimesh, count: int) -> np.ndarray:
    return trimesh.sample.sample_surface(mesh, count, seed=1)[0]
