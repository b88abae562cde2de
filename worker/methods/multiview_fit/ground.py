# SPDX-License-Identifier: GPL-3.0-or-later
"""The one thing that cameras look at, told apart from the ground that it stands on and from what is beside it.

From what the photos of the place see in common (`stereo`): the largest level plane is the ground, and of what stands on
it and hangs together, what is nearest to where the cameras look is the thing. Imported on use: it brings torch. Must
not know networks, nor what the outlines are for.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from ...cameras.capture import Capture
from ...cameras.orient import focus
from ...core.view import View
from . import grid_field, stereo
from .grid_space import Lattice, ViewTensors, at, redistanced, tensors_of

_PIXELS, _CELLS = 240, 112  # longest sides of the photos that are compared, and of the lattice
_LEVEL = 0.8  # cosine between upwards and a ground's normal
_THICK = 1.0  # cells from a plane within which a surface is it
_TRIED = 200  # planes
_LARGE = 0.15  # of the surface that is a ground, at least
_FOOT = 2.0  # cells above the ground where a thing and the ground run into each other
_LEAST = 60  # cells that a thing has at least


@torch.no_grad()
def outlines(capture: Capture) -> list[np.ndarray] | None:
    """For each view (H, W) uint8 the outline of the thing, 255 on it, whatever stands before it; None where there is no
    ground, or nothing on it where the cameras look."""
    views = tensors_of(capture.views, _PIXELS, torch.device("cpu"))
    seen = stereo.distances(views, capture.points, capture.bounds, lambda share: None)
    lattice = Lattice.over(capture.bounds, _CELLS)
    distance, known = stereo.fused(views, seen, lattice, lambda share: None)
    plane = _ground(distance, known)
    if plane is None:
        return None
    middle = focus(
        np.stack([view.position for view in capture.views]), np.stack([view.rotation[2] for view in capture.views])
    )
    thing = _standing(distance, plane, (middle - np.array(lattice.low)) / lattice.spacing)
    if thing is None:
        return None
    shape = torch.from_numpy(thing)
    return [_outline(view, shape, lattice, small) for view, small in zip(capture.views, views)]


def _ground(distance: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The unit normal (3,) and the offset, in cells, of the largest level plane of a surface, None where there is none
    (RANSAC, Fischler and Bolles 1981)."""
    corners = np.argwhere(known & (np.abs(distance) < 0.7))
    if len(corners) < _LEAST:
        return None
    slopes = np.stack(np.gradient(ndimage.gaussian_filter(distance, 1.0)), -1)[tuple(corners.T)]
    slopes /= np.linalg.norm(slopes, axis=1, keepdims=True) + 1e-6
    points, dice = corners.astype(np.float64), np.random.default_rng(0)
    level = np.flatnonzero(slopes[:, 2] > _LEVEL)
    best = np.zeros(len(points), bool)
    for number in dice.choice(level, min(_TRIED, len(level)), replace=False):
        near = np.abs((points - points[number]) @ slopes[number]) < _THICK
        best = near if near.sum() > best.sum() else best
    if best.sum() < _LARGE * len(points):
        return None
    middle = points[best].mean(0)
    normal = np.linalg.svd(points[best] - middle, full_matrices=False)[2][2]
    normal *= np.sign(normal[2])
    return normal, float(normal @ middle)


def _standing(distance: np.ndarray, plane: tuple[np.ndarray, float], middle: np.ndarray) -> np.ndarray | None:
    """The signed distance in cells of what stands on a plane nearest to the `middle` (3,), in cells, cut off there;
    None where nothing does."""
    grid = np.stack(np.meshgrid(*map(np.arange, distance.shape), indexing="ij"), -1)
    height = (grid @ plane[0] - plane[1]).astype(np.float32)
    labels, count = ndimage.label((distance < 0.0) & (height > _FOOT))
    large = 1 + np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:] >= _LEAST)
    there = np.isin(labels, large)
    if not there.any():
        return None
    nearest = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
    at_middle = tuple(np.clip(np.rint(middle), 0, np.array(distance.shape) - 1).astype(int))
    thing = labels == labels[tuple(nearest[(slice(None), *at_middle)])]
    for _ in range(int(np.ceil(_FOOT)) + 1):  # down to the ground
        thing[:, :, :-1] |= thing[:, :, 1:] & (height[:, :, :-1] > 0.0)
    near = ndimage.binary_dilation(thing, iterations=2)
    shape = np.where(near, np.where(thing, np.minimum(distance, -0.5), np.maximum(distance, 0.5)), 3.0)
    return redistanced(np.maximum(ndimage.gaussian_filter(shape.astype(np.float32), 0.7), -height))


def _outline(view: View, shape: torch.Tensor, lattice: Lattice, small: ViewTensors) -> np.ndarray:
    """(H, W) uint8 where rays of a view come into a shape, told in few pixels and evened."""
    origins, directions = small.rays()
    low = lattice.origin(origins.device)
    near, far = grid_field.crossing(low, low + torch.tensor(lattice.cells) * lattice.spacing, origins, directions)
    least, step = torch.full_like(near, 3.0), 0.5 * lattice.spacing
    for number in range(int(torch.ceil((far - near).clamp(min=0.0).max() / step))):
        along = near + number * step
        some = (along < far).nonzero()[:, 0]
        found = at(shape, lattice, origins[some] + directions[some] * along[some, None])
        least[some] = torch.minimum(least[some], found)
    camera = small.camera
    size = view.camera.height, view.camera.width
    whole = functional.interpolate(least.view(1, 1, camera.height, camera.width), size, mode="bilinear")
    return np.where(whole[0, 0].numpy() < 0.0, np.uint8(255), np.uint8(0))
