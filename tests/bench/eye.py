# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that follow the eye: how rough a surface is, how near it is to the truth closely, how it looks in clay.

Distances are shares of the truth's longest side. `near` and `clay` want the result laid on the truth. Skin can be had
by smoothing everything: it means something only beside the others.
"""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

POINTS, ASKED = 30_000, 4_000  # on the surface for skin, and those at which it is asked for
REACH = 0.02  # of the longest side: over so much a surface is smooth
SAME_SIDE = 0.3  # cosine between normals that are those of one side of a thin part
SIDE = 256  # pixels of a clay picture
VIEWS = ((0, 10), (-25, 10), (25, 10), (90, 10), (180, 10), (35, 55))  # degrees to the right and from above
LIGHT = np.array([-0.75, 0.45, 0.48])  # in the camera's axes: it rakes, so that every ripple shows
LIMITS = (0.005, 0.01, 0.02)


def skin(mesh: trimesh.Trimesh) -> float:
    """Median degrees between the surface and its mean over REACH: 0 to 2 on what is smooth."""
    points, faces = trimesh.sample.sample_surface(mesh, POINTS, seed=3)
    normals = mesh.face_normals[faces]
    around = cKDTree(points).query_ball_point(points[:ASKED], REACH * mesh.extents.max())
    cosines = []
    for normal, those in zip(normals, around):
        mean = normals[those][normals[those] @ normal > SAME_SIDE].mean(0)
        cosines.append(mean @ normal / np.linalg.norm(mean))
    return float(np.median(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))))


def near(mesh: trimesh.Trimesh, truth: trimesh.Trimesh, points: int = 20_000) -> list[float]:
    """The F-scores within LIMITS: harmonic means of precision and recall of so many points on each surface."""
    own, true = (trimesh.sample.sample_surface(each, points, seed=seed)[0] for seed, each in enumerate((mesh, truth)))
    size = truth.extents.max()
    there, back = cKDTree(true).query(own)[0] / size, cKDTree(own).query(true)[0] / size
    scores = []
    for limit in LIMITS:
        precision, recall = (there < limit).mean(), (back < limit).mean()
        scores.append(float(2 * precision * recall / max(precision + recall, 1e-9)))
    return scores


def clay(mesh: trimesh.Trimesh, truth: trimesh.Trimesh) -> float:
    """Mean PSNR in dB of pictures without texture under a raking light, where either surface is, over VIEWS."""
    scores = []
    for yaw, pitch in VIEWS:
        (own, there), (true, here) = (shaded(each, truth, yaw, pitch) for each in (mesh, truth))
        error = np.square(own - true)[there | here].mean()
        scores.append(-10.0 * np.log10(max(error, 1e-9)))
    return float(np.mean(scores))


def shaded(mesh: trimesh.Trimesh, framed: trimesh.Trimesh, yaw: float, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """(SIDE, SIDE) brightness, 1 where nothing is, and (SIDE, SIDE) bool where the mesh is. framed: what fills it."""
    reach = 0.75 * framed.extents.max()
    turn, middle = Rotation.from_euler("YX", (yaw, -pitch), degrees=True).as_matrix(), framed.bounds.mean(0)
    steps = (np.arange(SIDE) + 0.5) / SIDE * 2.0 - 1.0
    across, up = np.meshgrid(steps, -steps)
    starts = middle + reach * (across[..., None] * turn[:, 0] + up[..., None] * turn[:, 1] + 4.0 * turn[:, 2])
    caster = trimesh.ray.ray_pyembree.RayMeshIntersector(mesh)
    face = caster.intersects_first(starts.reshape(-1, 3), np.broadcast_to(-turn[:, 2], (SIDE * SIDE, 3)))
    normal = mesh.face_normals[face] * np.sign(mesh.face_normals[face] @ turn[:, 2:] + 1e-12)
    light = 0.15 + 0.85 * np.clip(normal @ (turn @ LIGHT), 0.0, 1.0)
    hit = (face >= 0).reshape(SIDE, SIDE)
    return np.where(hit, light.reshape(SIDE, SIDE), 1.0), hit
