# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo says about points of a surface: its colours there, and how far they can be trusted.

A photo knows nothing of what is hidden behind something, little of what it sees at a grazing angle, and its pixels at
an outline are mixed with what lies behind. Must not know textures or charts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ...core.view import View
from ..fill import near, nearest_filled, over_neighbours
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
        place = projected(points, view).T  # planes: rows of three are slow
        ray = np.float32(view.position) - points
        long = np.sqrt(np.einsum("nc,nc->n", ray, ray))
        cosine = np.einsum("nc,nc->n", ray, normals) / np.maximum(long, 1e-30)
        (x, y, z), (width, height) = place, (view.camera.width, view.camera.height)
        inside = (z > 0) & (cosine > GRAZING) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        asked, trust = np.flatnonzero(inside), np.zeros(len(points), np.float32)
        angle, seen = smoothstep((cosine[asked] - GRAZING) / (FRONTAL - GRAZING)), np.take(place, asked, axis=1)
        pixel = self._pixel(seen)
        angle *= seen[2] <= np.take(self._farthest, pixel)
        trust[asked] = angle * (mixed + (1.0 - mixed) * self._unmixed(seen, pixel))
        if view.confidence is not None:
            trust[asked] *= sampled(view.confidence[..., None], seen[:2].T)[:, 0]
        return trust, place[:2].T

    def painter(self, all_places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """What gives (N, 3) float32 sRGB in [0, 1] of the photo at places (N, 2) float32 in its pixels: cubic splines,
        which keep letters sharper than straight lines between pixels. all_places: (M, 2) where it will be asked."""
        shown, texels = np.isfinite(self._depth).sum() * self._step**2, len(all_places)
        blur = _BLUR * np.sqrt(max(shown / max(texels, 1) - 2.0, 0.0))  # large photos: texels would skip pixels
        corner, part = _part_around(all_places, self.view.rgb.shape, _BEYOND + math.ceil(4.0 * blur))
        rgb, mask = self.view.rgb[part], None if self.view.mask is None else self.view.mask[part] >= 128
        if mask is not None and mask.any():
            rgb = nearest_filled(rgb, mask)
        planes = np.moveaxis(rgb.astype(np.float32) / 255.0, 2, 0)
        splines = [_spline(plane if blur == 0.0 else ndimage.gaussian_filter(plane, blur)) for plane in planes]
        return lambda place: np.clip(_cubic(splines, place + (_BEYOND - corner)), 0.0, 1.0)

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
    def _clear(self) -> np.ndarray:
        """How far each pixel of the depth buffer is from an outline, (h, w) float32 in pixels of the photo, as far as
        it matters."""
        filled = np.where(np.isfinite(self._depth), self._depth, np.float32(1e30))
        step = over_neighbours(np.maximum, filled) - over_neighbours(np.minimum, filled)
        bend = np.abs(ndimage.laplace(filled))
        outline = (step > _JUMP * self._size) & (bend > 0.5 * _JUMP * self._size)
        if self.view.mask is not None:
            rows, columns = self._depth.shape
            height, width = self.view.mask.shape
            mask = self.view.mask[np.arange(rows) * height // rows][:, np.arange(columns) * width // columns]
            outline |= mask < 128
        enough = (_MARGIN + _FEATHER) / self._step + math.sqrt(2.0)  # of all pixels that one is mixed from
        return near(outline, math.ceil(enough)) * np.float32(self._step)

    @cached_property
    def _is_clear(self) -> np.ndarray:
        """(h, w) bool: pixels of the depth buffer within which no outline matters."""
        return over_neighbours(np.minimum, self._clear) >= _MARGIN + _FEATHER

    @cached_property
    def _farthest(self) -> np.ndarray:
        """(h, w) float32 how deep in each pixel of the depth buffer points are that still count as seen."""
        depth = np.where(np.isfinite(self._depth), self._depth, np.float32(-np.inf))
        return over_neighbours(np.maximum, depth) + np.float32(_BEHIND * self._size)

    def _pixel(self, seen: np.ndarray) -> np.ndarray:
        """Which of the depth buffer's pixels (N,) points (3, N) in the photo lie in."""
        rows, columns = self._depth.shape
        column, row = (seen[:2] / self._step).astype(np.int64)
        return np.minimum(row, rows - 1) * columns + np.minimum(column, columns - 1)

    def _unmixed(self, seen: np.ndarray, pixel: np.ndarray) -> np.ndarray:
        """How far outlines leave points (3, N) in the photo alone, (N,) float32 in [0, 1]. pixel: theirs."""
        found, asked = np.ones(len(pixel), np.float32), np.flatnonzero(~np.take(self._is_clear, pixel))
        distance = sampled(self._clear[..., None], seen[:2, asked].T / self._step)[:, 0]
        found[asked] = smoothstep((distance - _MARGIN) / _FEATHER)
        return found


def _spline(plane: np.ndarray) -> np.ndarray:
    """The coefficients of the cubic spline through a plane that goes on at its border as it is there."""
    return ndimage.spline_filter(np.pad(plane, _BEYOND, mode="edge"), 3, np.float32, mode="nearest")


def _part_around(places: np.ndarray, shape: tuple[int, ...], margin: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The part of a picture of that shape around places (M, 2) in its pixels, `margin` pixels more to each side as far
    as there are some: its first pixel (2,) float32, column and row, and the slices of rows and columns."""
    if not len(places):
        return np.zeros(2, np.float32), (slice(0, 1), slice(0, 1))
    size = np.array(shape[1::-1])
    low, high = (np.array([over(plane) for plane in places.T]) for over in (np.min, np.max))
    first = np.clip(np.floor(low).astype(int) - margin, 0, size - 1)
    end = np.clip(np.ceil(high).astype(int) + margin, first + 1, size)
    return np.float32(first), (slice(first[1], end[1]), slice(first[0], end[0]))


def _cubic(splines: list[np.ndarray], place: np.ndarray) -> np.ndarray:
    """(N, K) float32 of K cubic B-splines with these coefficients (H, W), at places (N, 2) float32 in pixels, at least
    two from the border.

    As scipy.ndimage.map_coordinates in a third of its time, which computes its weights anew for each plane.
    """
    width = splines[0].shape[1]
    (column, across), (row, down) = (_weights(place[:, k] - np.float32(0.5)) for k in range(2))
    first, found = (row - 1) * width + column - 1, np.zeros((len(splines), len(place)), np.float32)
    line, value = np.empty(len(place), np.float32), np.empty(len(place), np.float32)
    for spline, total in zip(splines, found):
        flat = spline.ravel()
        for y in range(4):
            line[:] = 0.0
            for x in range(4):
                np.take(flat[y * width + x :], first, out=value, mode="clip")
                value *= across[x]
                line += value
            line *= down[y]
            total += line
    return found.T


def _weights(at: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The pixel (N,) int64 before each place (N,) float32, and the weights (N,) of cubic B-splines of the four around,
    from the one before it on."""
    before = at.astype(np.int64)
    after = at - before.astype(np.float32)
    ahead = np.float32(1.0) - after
    outer = ahead**3 / np.float32(6.0), after**3 / np.float32(6.0)
    inner = np.float32(2.0 / 3.0) - after**2 * (np.float32(1.0) - after / np.float32(2.0))
    return before, [outer[0], inner, np.float32(1.0) - outer[0] - outer[1] - inner, outer[1]]


def smoothstep(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 as `share` goes from 0 to 1, with no kink at either end."""
    t = np.clip(share, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def sampled(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(N, C) of a picture (H, W, C) at places (N, 2) in pixels, bilinear, clamped at its border."""
    height, width, planes = picture.shape
    x = np.clip(place[:, 0] - 0.5, 0.0, width - 1.0)
    y = np.clip(place[:, 1] - 0.5, 0.0, height - 1.0)
    left, top = x.astype(np.int64), y.astype(np.int64)
    fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
    first = (top * width + left) * planes
    right, below = (left < width - 1) * planes, (top < height - 1) * (width * planes)
    corners = first, first + right, first + below, first + right + below
    flat, found = picture.reshape(-1), np.empty((planes, len(place)), np.result_type(picture, np.float32))
    for plane in range(planes):  # one after the other: rows of three are slow
        a, b, c, d = (np.take(flat[plane:], corner) for corner in corners)
        found[plane] = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
    return found.T
