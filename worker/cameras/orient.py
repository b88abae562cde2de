# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way is up, where the thing is and which side is its front, told from the cameras alone.

Must not know pictures, points or how cameras were found. Rotations (N, 3, 3) and positions (N, 3) are those of
core.view.View: rows of a rotation are the camera's x (right), y (down) and z (forward) in the world.
"""

from __future__ import annotations

import numpy as np

ORBIT = 0.8
"""Cameras go around a thing if their directions from it, as unit vectors, have a mean at most this long: an arc of 130
degrees or more. A person who tilts a camera up and down in one place, or steps sideways, stays above it."""

FRONT = 0.93
"""Beyond this, an arc of 75 degrees or less, they look at it from one side only (Sceaux castle: .94, of its front; ten
photos of the side of a YCB thing that are nearest to each other: .79 to .86, six: .89 to .92)."""

_SPREAD = 0.01  # second moment (sine squared): axes that spread less, 6 degrees, tell no plane
_PLANE = 0.3  # second moments' ratio: axes that spread more evenly about their mean lie on a cone, in no plane
_SNAP = np.cos(np.radians(12.0))  # an up axis so near to one of a given world's axes is meant to be that axis


def focus(positions: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The point (3,) nearest to all lines from `positions` along the unit vectors `directions`, both (N, 3).

    Least squares of the distances, then twice with less weight for the lines that are far from it; nearly parallel
    lines are held in front of the cameras by a weak pull to where most cameras are.
    """
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    weights, middle = np.ones(len(positions)), positions.mean(0)
    point = middle
    for _ in range(3):
        normal = np.einsum("n,nij->ij", weights, across) + 1e-6 * weights.sum() * np.eye(3)
        point = np.linalg.solve(
            normal, np.einsum("n,nij,nj->i", weights, across, positions) + 1e-6 * weights.sum() * middle
        )
        miss = np.linalg.norm(np.einsum("nij,nj->ni", across, point - positions), axis=1)
        weights = 1.0 / (1.0 + (miss / max(np.median(miss), 1e-12)) ** 2)
    return point


def goes_around(rotations: np.ndarray, positions: np.ndarray) -> bool:
    """Whether the cameras look at one thing from many sides, rather than all the same way or outwards."""
    return one_sidedness(rotations, positions) < ORBIT


def one_sidedness(rotations: np.ndarray, positions: np.ndarray) -> float:
    """0 where the cameras look at one point from all around it, towards 1 where from one side; 1 where they look past
    it or outwards. It is the length of the mean of their directions from it."""
    point = focus(positions, rotations[:, 2])
    offset = positions - point
    distance = np.linalg.norm(offset, axis=1)
    facing = -(offset * rotations[:, 2]).sum(1)
    if (facing > 0.5 * distance).mean() < 0.8:
        return 1.0
    return float(np.linalg.norm((offset / np.maximum(distance, 1e-12)[:, None]).mean(0)))


def up_axis(rotations: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The world's up direction, a unit vector (3,).

    Photographers hold cameras level: then their x axes all lie in the horizontal plane, however cameras are tilted.
    Where a camera was turned upright and the pictures do not say so, it is their y axes that do, while they look around
    a thing; then the thing is taken to be photographed from above rather than from below. Where cameras are turned in
    all ways or hardly differ, up is the mean of what the pictures show as up.
    """
    shown = -rotations[:, 1].mean(0)
    shown = -rotations[0, 1] if np.linalg.norm(shown) < 1e-6 else shown
    (level, from_x), (turned, from_y) = _common_plane(rotations[:, 0]), _common_plane(rotations[:, 1])
    if level <= min(turned, _PLANE):
        up = from_x * np.sign(from_x @ shown or 1.0)
        return up if up @ shown > 0.3 * np.linalg.norm(shown) else _unit(shown)
    if turned > _PLANE or np.linalg.norm(rotations[:, 2].mean(0)) > ORBIT:
        return _unit(shown)
    height = (positions - focus(positions, rotations[:, 2])) @ from_y
    return from_y * np.sign(height.mean() or 1.0)


def _common_plane(axes: np.ndarray) -> tuple[float, np.ndarray]:
    """How far unit vectors (N, 3) are from lying in one plane, 0 to 1, and the plane's normal (3,).

    It is 1 where they hardly spread: then many planes fit.
    """
    moments, directions = np.linalg.eigh(axes.T @ axes / len(axes))
    return float(moments[0] / moments[1]) if moments[1] > _SPREAD else 1.0, directions[:, 0]


def upright(rotations: np.ndarray, positions: np.ndarray, given: bool) -> np.ndarray:
    """The rotation (3, 3) that turns the cameras' world to +Z up, with most cameras, or else the first, towards -Y.

    given: whether the world was chosen by somebody. If one of its axes is nearly up it is turned by the least that
    makes that axis +Z, and so the front of a world with +Z up stays where it was.
    """
    up = up_axis(rotations, positions)
    if given:
        nearest = int(np.abs(up).argmax())
        if abs(up[nearest]) > _SNAP:
            return _least_turn(np.eye(3)[nearest] * np.sign(up[nearest]))
    offset = positions - focus(positions, rotations[:, 2])
    back = offset - np.outer(offset @ up, up)
    back = back / np.maximum(np.linalg.norm(back, axis=1, keepdims=True), 1e-12)
    mean = back.mean(0)
    chosen = mean if np.linalg.norm(mean) > 0.3 else back[0]
    if np.linalg.norm(chosen) < 1e-6:  # the camera hangs right above: its lower edge is the front
        chosen = rotations[0, 1] - (rotations[0, 1] @ up) * up
    forward = -_unit(chosen)
    return np.stack([np.cross(forward, up), forward, up])


def _least_turn(up: np.ndarray) -> np.ndarray:
    """The rotation by the smallest angle that brings `up`, one of the axes or its opposite, to +Z."""
    if abs(up[2]) > 0.5:
        return np.diag([1.0, up[2], up[2]])
    axis = np.cross(up, (0.0, 0.0, 1.0))
    x, y, z = axis  # a quarter turn: cos = 0, sin = 1
    return np.outer(axis, axis) + np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
