# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo says about points of a surface: its colours there, and how far they can be trusted.

A photo knows nothing of what is hidden behind something, little of what it sees at a grazing angle, and its pixels at
an outline are mixed with what lies behind. Must not know textures or charts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ...core.view import View
from ..fill import nearest_filled
from .rasterise import depth_buffer, projected

if TYPE_CHECKING:  # only named here: what it imports takes longer than a relief
    from ..symmetry import Mirror

GRAZING, FRONTAL = 0.1, 0.3
"""Cosines between normal and line of sight: nothing is taken below the first, everything above the second."""

_MARGIN, _FEATHER = 1.25, 2.0  # pixels beside an outline that are not trusted, and over which trust then grows
_JUMP = 0.012  # of the thing's size: a step in depth between pixels that is an outline and no slope
_BEHIND = 0.008  # of the thing's size: how far behind the first surface a point still counts as seen
_BLUR = 0.35  # of a texel's side in the photo: the least that keeps fine patterns from flickering
_BEYOND = 12  # pixels around the picture in which a spline forgets its end
_DEPTH_SIDE = 1024  # longest side of the picture in which visibility is decided


def reflected(view: View, mirror: Mirror) -> View:
    """The view of the thing's mirror image: the picture turned over, taken from behind the mirror."""
    camera = replace(view.camera, cx=view.camera.width - view.camera.cx)
    rotation = np.diag([-1.0, 1.0, 1.0]) @ view.rotation @ mirror.turn
    mask = None if view.mask is None else view.mask[:, ::-1]
    return View(camera, rotation, mirror.reflected(view.position), view.rgb[:, ::-1], mask)


@dataclass(frozen=True, eq=False)
class Sight:
    """A photo (a view with a picture, in the mesh's axes) made ready to be asked about points of a mesh (vertices
    (V, 3), faces (F, 3)). Where its mask says less than half, the thing is not."""

    view: View
    vertices: np.ndarray
    faces: np.ndarray

    def facing(self, normals: np.ndarray) -> np.ndarray:
        """(F,) bool: faces any of whose vertices, with unit normals (V, 3), turns to the camera: of the others the
        photo shows nothing."""
        ray = self.view.position - self.vertices
        turned = (ray * normals).sum(axis=1) > GRAZING * np.linalg.norm(ray, axis=1)
        return turned[self.faces].any(axis=1)

    def trust(self, points: np.ndarray, normals: np.ndarray, mixed: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """How far the photo is to be believed at points (N, 3) with unit normals (N, 3), in [0, 1], (N,) float32; and
        where each lies in the photo, (N, 2) x and y in pixels. mixed: how far at outlines, of what it is inside."""
        view = self.view
        place = projected(points, view)
        ray = view.position - points
        cosine = (ray * normals).sum(axis=1) / np.maximum(np.linalg.norm(ray, axis=1), 1e-30)
        angle = smoothstep((cosine - GRAZING) / (FRONTAL - GRAZING))
        inside = (place[:, 2] > 0) & (cosine > 0)
        inside &= ((place[:, :2] >= 0) & (place[:, :2] < (view.camera.width, view.camera.height))).all(axis=1)
        angle[~inside] = 0.0
        asked = np.flatnonzero(angle > 0)
        angle[asked] *= (mixed + (1.0 - mixed) * self._unmixed(place[asked])) * self._first(place[asked])
        if view.confidence is not None:
            angle[asked] *= sampled(view.confidence[..., None], place[asked])[:, 0]
        return angle.astype(np.float32), place[:, :2]

    def painter(self, texels: int) -> Callable[[np.ndarray], np.ndarray]:
        """What gives (N, 3) float32 sRGB in [0, 1] of the photo at places (N, 2) in its pixels: cubic splines, which
        keep letters sharper than straight lines between pixels. texels: how many places there are in all."""
        shown = np.isfinite(self._depth).sum() * self._step**2
        blur = _BLUR * np.sqrt(max(shown / max(texels, 1) - 2.0, 0.0))  # large photos: texels would skip pixels
        planes = [
            plane if blur == 0.0 else ndimage.gaussian_filter(plane, blur) for plane in np.moveaxis(self._rgb, 2, 0)
        ]
        splines = [_spline(plane) for plane in planes]

        def colours(place: np.ndarray) -> np.ndarray:
            where = place[:, ::-1].T - 0.5 + _BEYOND
            how = {"order": 3, "mode": "nearest", "prefilter": False, "output": np.float32}
            found = [ndimage.map_coordinates(spline, where, **how) for spline in splines]
            return np.clip(np.stack(found, axis=1), 0.0, 1.0)

        return colours

    @cached_property
    def _mask(self) -> np.ndarray | None:
        return None if self.view.mask is None else self.view.mask >= 128

    @cached_property
    def _size(self) -> float:
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))

    @cached_property
    def _step(self) -> float:
        """Pixels of the photo per pixel of the depth buffer."""
        camera = self.view.camera
        return max(max(camera.width, camera.height) / _DEPTH_SIDE, 1.0)

    @cached_property
    def _depth(self) -> np.ndarray:
        view, step = self.view, self._step
        camera = view.camera.scaled(max(round(view.camera.width / step), 1), max(round(view.camera.height / step), 1))
        return depth_buffer(self.vertices, self.faces, View(camera, view.rotation, view.position))

    @cached_property
    def _rgb(self) -> np.ndarray:
        rgb, mask = self.view.rgb, self._mask
        if mask is not None and mask.any():
            rgb = nearest_filled(rgb, mask)
        return rgb.astype(np.float32) / 255.0

    @cached_property
    def _clear(self) -> np.ndarray:
        """How far each pixel of the depth buffer is from an outline, (h, w) float32 in pixels of the photo."""
        filled = np.where(np.isfinite(self._depth), self._depth, np.float32(1e30))
        step = ndimage.maximum_filter(filled, 3) - ndimage.minimum_filter(filled, 3)
        bend = np.abs(ndimage.laplace(filled))
        outline = (step > _JUMP * self._size) & (bend > 0.5 * _JUMP * self._size)
        if self._mask is not None:
            rows, columns = self._depth.shape
            height, width = self._mask.shape
            mask = self._mask[np.arange(rows) * height // rows][:, np.arange(columns) * width // columns]
            outline |= ~mask
        return (ndimage.distance_transform_edt(~outline) * self._step).astype(np.float32)

    def _unmixed(self, place: np.ndarray) -> np.ndarray:
        distance = sampled(self._clear[..., None], place / self._step)[:, 0]
        return smoothstep((distance - _MARGIN) / _FEATHER)

    def _first(self, place: np.ndarray) -> np.ndarray:
        """Whether points (N, 3) in the photo are the first on their line of sight."""
        depth = self._depth
        column = np.clip((place[:, 0] / self._step).astype(np.int64), 0, depth.shape[1] - 1)
        row = np.clip((place[:, 1] / self._step).astype(np.int64), 0, depth.shape[0] - 1)
        farthest = ndimage.maximum_filter(np.where(np.isfinite(depth), depth, -np.inf), 3)
        return place[:, 2] <= farthest[row, column] + _BEHIND * self._size


def _spline(plane: np.ndarray) -> np.ndarray:
    """The coefficients of the cubic spline through a plane that goes on at its border as it is there."""
    return ndimage.spline_filter(np.pad(plane, _BEYOND, mode="edge"), 3, np.float32, mode="nearest")


def smoothstep(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 as `share` goes from 0 to 1, with no kink at either end."""
    t = np.clip(share, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def sampled(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(N, C) of a picture (H, W, C) at places (N, 2) in pixels, bilinear, clamped at its border."""
    height, width = picture.shape[:2]
    x = np.clip(place[:, 0] - 0.5, 0.0, width - 1.0)
    y = np.clip(place[:, 1] - 0.5, 0.0, height - 1.0)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, below = left + (left < width - 1), (top + (top < height - 1)) * width
    fx, fy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    flat, top = picture.reshape(-1, picture.shape[2]), top * width
    upper = np.take(flat, top + left, axis=0) * (1 - fx) + np.take(flat, top + right, axis=0) * fx
    lower = np.take(flat, below + left, axis=0) * (1 - fx) + np.take(flat, below + right, axis=0) * fx
    return upper * (1 - fy) + lower * fy
