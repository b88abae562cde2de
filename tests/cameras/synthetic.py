# SPDX-License-Identifier: GPL-3.0-or-later
"""Points whose places and looks are known, seen by known cameras: what keypoints would be, without any picture."""

from __future__ import annotations

import numpy as np
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm.features import Features
from image_to_3d.worker.cameras.sfm.mapping import CameraGroup, Observations
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View

SIDE = 1000  # pixels of the pictures: errors are in pixels of 1000


def job() -> Job:
    return Job(lambda *_: None)


def ring(count: int, degrees: float = 360.0, **more: float) -> list[View]:
    return scene.ring(count, degrees, size=SIDE, **more)


def looks(count: int, seed: int = 0) -> np.ndarray:
    """(count, 128) uint8 descriptors, each about 1.1 radians from the others."""
    return np.uint8(np.clip(np.random.default_rng(seed).gamma(0.5, 40.0, (count, 128)), 0, 255))


def beside(descriptor: np.ndarray, angle: float) -> np.ndarray:
    """A descriptor at an angle in radians from one that uses the first 64 numbers only."""
    length = np.linalg.norm(descriptor.astype(float))
    other = np.concatenate([np.zeros(64), np.full(64, length / 8.0)])
    return np.uint8(np.rint(np.cos(angle) * descriptor + np.sin(angle) * other))


def half(seed: int = 0) -> np.ndarray:
    """(128,) uint8: a descriptor that uses the first 64 numbers only."""
    return np.concatenate([np.random.default_rng(seed).integers(20, 200, 64), np.zeros(64, int)]).astype(np.uint8)


def cloud(count: int, seed: int = 0, radius: float = 0.4) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-radius, radius, (count, 3))


def seen(view: View, points: np.ndarray) -> np.ndarray:
    """(N, 2) pixels at which a camera sees points (N, 3)."""
    x, y, z = view.rotation @ (points - view.position).T
    camera = view.camera
    return np.stack([x / z * camera.fx + camera.cx, y / z * camera.fy + camera.cy], 1)


def features(view: View, points: np.ndarray, descriptors: np.ndarray, noise: float = 0.0, seed: int = 0) -> Features:
    off = np.random.default_rng(seed).normal(0.0, 1.0, (len(points), 2)) * noise
    return Features(seen(view, points) + off, descriptors)


def observations(all_features: list[Features], pairs: list | None = None) -> Observations:
    groups = [CameraGroup(SIDE, SIDE, 40.0, tuple(range(len(all_features))))]
    count = len(all_features)
    compared = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return Observations(groups, all_features, pairs or [], compared, 1)


def reconstruction(views: list[View], numbers: list[int] | None = None, points: np.ndarray | None = None):
    """The cameras as they are, with `points` seen by all of them."""
    numbers = list(range(len(views))) if numbers is None else numbers
    chosen = [views[number] for number in numbers]
    points = np.zeros((0, 3)) if points is None else points
    sparse = points, np.full(len(points), len(chosen))
    rotations, positions = np.stack([v.rotation for v in chosen]), np.stack([v.position for v in chosen])
    return Registration(tuple(numbers), tuple(Lens(v.camera) for v in chosen), rotations, positions, *sparse, 0.5)


def degrees(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(first @ second.T) - 1.0) / 2.0, -1.0, 1.0))))
