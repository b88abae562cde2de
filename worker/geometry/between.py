# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid between two layers, inside of the outline that the picture gives it, as a function of space.

A function rather than two sheets joined by a wall: what is made of it has triangles as even on the sides as anywhere,
edges that are a little rounded, and is closed however wild the layers are. Must not know networks, photos or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.representations import Layers
from ..core.view import PinholeCamera, Window
from .flats import flats, flattened
from .joined import straightened, ways, widened
from .texturing.photo import sampled

_THINNEST = 0.012  # of the window's half side: nothing is thinner, or it could not be held in a hand
_FOUND = 1.0  # cells: nor thinner than this to both sides of its middle, or marching cubes would miss it
_STEEPEST = 8.0  # cells of depth per cell, to which that is held; steeper is noise
_DEEPEST = 1.5  # half sides from the mean depth, beyond which a layer is a mistake
_ROUND = 1.0  # cells over which outline and layers pass into each other where they meet
_FINER = 4  # times as fine as the cells is the picture in which the outline's distance is measured
_WHOLE = 0.95  # of a pixel: covered less, it is the outline's
_EVEN = 0.8  # cells, over which the outline is evened out
_STAIRS = 1.5  # pixels of the picture, over which it is at least: else walls have a streak for each stair
_BLUR = 1.5  # of the layers' pixels, over which what they are continued by is evened out
_MARGIN = 3  # cells between the solid and its box
_NEAREST = 0.05  # of the thing's distance: nothing comes closer to the camera

_BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16.0


@dataclass(frozen=True, eq=False)
class Between:
    """A solid in glTF axes with the camera in the origin; the thing's mean depth is 1.

    maps: (N, N, 5) over the window: the distance to the outline, the front's and the back's depth in cells of it, and
    by how much a step along the line of sight is longer than one across front and back. window: where in the picture
    they lie. camera: the picture's. bounds: (2, 3) float64.
    """

    maps: np.ndarray
    window: Window
    camera: PinholeCamera
    bounds: np.ndarray

    @classmethod
    def of(cls, layers: Layers, regions: np.ndarray, camera: PinholeCamera) -> Between:
        """regions: (K, N, N) float32, how much of each cell of the layers' window each part of the outline covers that
        is not joined to the others; each becomes one piece. Raises ValueError where no cell is covered by half."""
        share = regions.sum(axis=0)
        if not (share >= 0.5).any():
            raise ValueError("the outline is empty: nothing would be left of the picture")
        outline = _distance(share, len(share) / layers.window.side)
        way = ways(outline, regions)
        middle, half = _flattened(layers, share, outline, camera)
        middle = straightened(middle, outline, way)
        half = np.maximum(half, _FOUND / np.maximum(_steepness(middle), 1.0 / _STEEPEST))
        inside, front, back = widened(outline, way), middle - half, middle + half
        maps = np.stack([inside, front, back, _steepness(front), _steepness(back)], axis=2)
        return cls(maps.astype(np.float32), layers.window, camera, _box(inside, front, back, layers.window, camera))

    def value(self, points: np.ndarray) -> np.ndarray:
        """(N,) float32 at points (N, 3): about the distance to the surface in cells, positive inside."""
        cells = len(self.maps)
        place, depth = self.seen(points)
        inside, front, back, front_steep, back_steep = sampled(self.maps, place * cells).T
        beyond = np.maximum(np.maximum(*np.abs(place.T - 0.5)) - 0.5, 0.0) * cells
        within = np.minimum((depth * cells - front) * front_steep, (back - depth * cells) * back_steep)
        return _smallest(within, inside - beyond).astype(np.float32)

    def seen(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points (N, 3) lie in the window, (N, 2) column and row in shares of it, and how deep behind the thing's
        mean depth, (N,) in sides of the window."""
        z = np.maximum(-points[:, 2].astype(np.float64), _NEAREST)
        column = self.camera.fx * points[:, 0] / z + self.camera.cx - self.window.left
        row = self.camera.cy - self.camera.fy * points[:, 1] / z - self.window.top
        place = np.stack([column, row]).T  # planes: rows of two are slow
        return place / self.window.side, (z - 1.0) * self.camera.fx / self.window.side


def _distance(share: np.ndarray, pixel: float) -> np.ndarray:
    """(N, N) cells to the outline of what is covered, positive inside, without the stairs of the picture's pixels, each
    so many cells."""
    size, pad = _FINER * len(share), _FINER
    fine = np.asarray(Image.fromarray(share).resize((size, size), Image.Resampling.BICUBIC)) >= 0.5
    fine = np.pad(fine, pad)
    found = ndimage.distance_transform_edt(fine) - ndimage.distance_transform_edt(~fine)
    found = Image.fromarray(found[pad:-pad, pad:-pad].astype(np.float32) / _FINER)
    return ndimage.gaussian_filter(
        np.asarray(found.resize(share.shape, Image.Resampling.BOX)), max(_EVEN, _STAIRS * pixel)
    )


def _depths(layers: Layers, share: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The depth half-way between front and back, and half the thickness, (N, N) in cells, also where nothing covers a
    cell. own: (S, S) bool, the layers' pixels that are believed.

    What is smoothed and continued is the depth half-way and the square of half the thickness: where a round surface
    meets its outline its thickness falls like a root, so its square is what is straight there. Smoothing takes out what
    goes up and down from pixel to pixel: networks that tell several pixels at a time leave such a weave (Odena et al.
    2016); the binomial filter has its zero just there.
    """
    middle = np.clip((layers.front + layers.back) / 2, -_DEEPEST, _DEEPEST)
    square = np.clip((layers.back - layers.front) / 2, 0.0, _DEEPEST) ** 2
    smooth = (ndimage.convolve(_continued(values, own), _BINOMIAL, mode="nearest") for values in (middle, square))
    half_side = len(share) / 2
    middle, square = (_enlarged(values, len(share)) for values in smooth)
    return middle * half_side, np.sqrt(np.maximum(square, _THINNEST**2)) * half_side


def _flattened(
    layers: Layers, share: np.ndarray, outline: np.ndarray, camera: PinholeCamera
) -> tuple[np.ndarray, np.ndarray]:
    """The same with front and back put onto their planes, which meet as sharply as the cells allow."""
    own = _sure(_reduced(share, layers.front.shape))
    middle, half = _depths(layers, share, own)
    cell, pixel = layers.window.side / camera.fx / len(share), len(share) / len(layers.front)

    def flat(depth: np.ndarray) -> np.ndarray:
        affine = depth / np.maximum(1.0 + depth * cell, _NEAREST) / pixel  # planes are so in inverse depth
        found = flats(_reduced(affine, own.shape), own)
        if not found:
            return depth
        affine = flattened(affine, found, outline / pixel) * pixel
        return affine / np.maximum(1.0 - affine * cell, _NEAREST)

    front, back = flat(middle - half), flat(middle + half)
    return (front + back) / 2, np.maximum((back - front) / 2, half.min())


def _reduced(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(shape[::-1], Image.Resampling.BOX))


def _sure(share: np.ndarray) -> np.ndarray:
    """(S, S) bool: the layers' pixels that are the thing's wholly, and its others where none of those is beside them.

    At an outline that crosses the pixels, what a network says of a half covered one depends on where it is crossed."""
    whole = share >= _WHOLE
    return whole | ((share >= 0.5) & ~ndimage.binary_dilation(whole, np.ones((3, 3), bool)))


def _continued(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Values (S, S) continued straight beyond the silhouette: by what is nearest inside, mirrored at it."""
    if own.all() or not own.any():
        return values
    nearest = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
    mirrored = np.clip(2 * nearest - np.indices(own.shape), 0, len(own) - 1)
    rim = values[tuple(nearest)]
    beyond = np.where(own[tuple(mirrored)], 2 * rim - values[tuple(mirrored)], rim)
    return np.where(own, values, ndimage.gaussian_filter(np.where(own, values, beyond), _BLUR))


def _enlarged(values: np.ndarray, cells: int) -> np.ndarray:
    """Values (S, S) at the middles of (cells, cells), by cubic B-splines, which neither have edges where the values
    have pixels nor overshoot at steps (Unser 1999)."""
    at = (np.arange(cells) + 0.5) * len(values) / cells - 0.5
    places = np.meshgrid(at, at, indexing="ij")
    return ndimage.map_coordinates(values.astype(np.float64), places, order=3, prefilter=False, mode="nearest")


def _steepness(depth: np.ndarray) -> np.ndarray:
    """(N, N) cosine between a surface of this depth (N, N), both in cells, and one that faces the camera."""
    down, right = np.gradient(depth)
    return 1.0 / np.sqrt(1.0 + down**2 + right**2)


def _smallest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smaller of two distances in cells, a little less where they are alike, so that edges are round (the
    polynomial smooth minimum of Quilez)."""
    share = np.clip(0.5 + 0.5 * (a - b) / _ROUND, 0.0, 1.0)
    return a + (b - a) * share - _ROUND * share * (1.0 - share)


def _box(inside: np.ndarray, front: np.ndarray, back: np.ndarray, window: Window, camera: PinholeCamera) -> np.ndarray:
    """(2, 3) float64 corners of the box around what lies between front and back, all (N, N) in cells."""
    cell = window.side / len(inside)
    rows, columns = np.nonzero(inside > -1.0)
    depth = np.array([front[rows, columns].min() - _MARGIN, back[rows, columns].max() + _MARGIN])
    z = np.maximum(1.0 + depth * cell / camera.fx, _NEAREST)

    def reached(cells: np.ndarray, first: int, centre: float, focal: float) -> np.ndarray:
        ends = np.array([cells.min() - _MARGIN, cells.max() + 1 + _MARGIN]) * cell + first
        corners = np.outer((ends - centre) / focal, z)
        return np.array([corners.min(), corners.max()])

    x = reached(columns, window.left, camera.cx, camera.fx)
    y = -reached(rows, window.top, camera.cy, camera.fy)[::-1]
    return np.column_stack([x, y, -z[::-1]])
