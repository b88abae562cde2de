# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a camera until a mesh's outline falls on the photo's, so that the photo's pixels land where they belong.

Networks state their camera only roughly, and their meshes are a little larger, smaller or turned. Where the photo's
normals are known the mesh's are brought to them too, without which a thing is mistaken for its mirror image, and a bent
one for one that is seen from elsewhere. Must not know colours. Axes are those of the mesh and of the view, which are
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import fast_simplification
import numpy as np
from PIL import Image
from scipy import ndimage

from ...core.view import PinholeCamera, View
from .facing import AS_TOLD, Faced, faced
from .rasterise import depth_buffer, projected

_SIDE = 128  # pixels on the longer side of the pictures that are compared
_FINE_SIDE = 512  # of those by which the result is judged
_FACES = 3000  # of the mesh that is moved about
_REACH = np.array([0.01, 0.01, 0.01, 0.02, 0.02])  # steps in shift (of the thing's size), ln distance, radians
_BLURS = (5.0, 1.5)  # pixels: first for the way, then for the place
_ROUNDS = 8
_CLEARLY = 0.03  # so much more must outlines agree from an unlikelier side: round things look alike from everywhere
_STIFFNESS = 0.1  # against turns, so that round things are not turned about at random
_FACING, _OTHER = 0.3, 0.5
"""What normals weigh beside outlines, each squared, in a camera's place; and how far apart two of them are, as vectors,
from where on they count less. Set on six of YCB's scans, each deformed in three ways, with normals of the included
object network, which are off by 10 to 19 degrees."""

_DEGREES = 90.0  # of normals, which are worth as much as whether outlines agree at all, of one side and another
_MANY = 4  # of the other sides, from which the camera is looked for where normals are known


@dataclass(frozen=True, eq=False)
class Fit:
    """The camera that was found, and how well outlines agree (intersection over union) with it and with the start."""

    view: View
    iou: float
    start_iou: float


Check = Callable[[], None]
"""Called again and again while it is searched; may raise to stop."""


def fitted_view(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, start: View, check: Check = lambda: None
) -> Fit:
    """The view near `start` from which a mesh looks most like `mask` (H, W) bool, which is never a worse one, and like
    its normals, if it has any.

    vertices: (V, 3), faces: (F, 3). start: a camera of W by H pixels. It is shifted, moved nearer or farther and swung
    around the middle of the mesh, up and sideways; its focal length stays. ValueError for a mask of another size.
    """
    camera = start.camera
    if mask.shape != (camera.height, camera.width):
        raise ValueError(f"a mask of shape {mask.shape} for a camera of {camera.width} by {camera.height} pixels")
    before = silhouette_iou(vertices, faces, mask, start, _FINE_SIDE)
    if not mask.any() or before == 0.0 and not _ahead(vertices, start):
        return Fit(start, before, before)
    search = _Search.of(vertices, faces, mask, start, check)
    best = min((np.zeros(5), search.framed), key=lambda change: float((search.apart(change, _BLURS[0]) ** 2).sum()))
    for blur in _BLURS:
        best = _least(lambda change, blur=blur: search.apart(change, blur), best)
    found = moved(start, best, search.centre, search.size)
    after = silhouette_iou(vertices, faces, mask, found, _FINE_SIDE)
    return Fit(found, after, before) if after > before or search.faced else Fit(start, before, before)


def fitted_from(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, starts: Sequence[View], check: Check = lambda: None
) -> Fit:
    """As fitted_view, for a camera that may stand near any of several views: near the first, where no other shows an
    outline, and normals if those are known, that are clearly more like the picture's. All cameras are of one size."""
    first = fitted_view(vertices, faces, mask, starts[0], check)
    if len(starts) == 1 or not mask.any() or _is_enough(vertices, faces, mask, first, starts[0]):
        return first
    likeness = [alike for alike, _ in framed_from(vertices, faces, mask, starts[1:], check)]
    many = 1 if starts[0].normals is None else _MANY
    sides = [starts[1 + number] for number in np.argsort(-np.array(likeness), kind="stable")[:many]]
    few, triangles = reduced(vertices, faces)

    def fitting(fit: Fit) -> float:
        if starts[0].normals is None:
            return fit.iou
        return _Search.of(few, triangles, mask, replace(fit.view, normals=starts[0].normals)).likeness(np.zeros(5))

    other = max((fitted_view(vertices, faces, mask, side, check) for side in sides), key=fitting)
    return other if fitting(other) > fitting(first) + _CLEARLY else first


def _is_enough(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, fit: Fit, start: View) -> bool:
    """Whether no other side can show an outline that is clearly more like the picture's, and normals are as told."""
    if fit.iou < 1.0 - _CLEARLY:
        return False
    off = degrees_off(vertices, faces, mask, replace(fit.view, normals=start.normals))
    return off is None or off < AS_TOLD


def framed_from(
    vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, starts: Sequence[View], check: Check = lambda: None
) -> list[tuple[float, View]]:
    """Of each start, how far outlines agree, less what normals are off if those are known, once they are as large and
    in one place, and the view in which they are."""
    (few, triangles), found = reduced(vertices, faces), []
    for start in starts:
        search = _Search.of(few, triangles, mask, start, check)
        found.append((search.likeness(search.framed), moved(start, search.framed, search.centre, search.size)))
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    """A small mesh, a small picture, and the view of that from which changes are told, as in `moved`."""

    points: np.ndarray
    triangles: np.ndarray
    shares: np.ndarray
    view: View
    faced: Faced | None
    centre: np.ndarray
    size: float
    check: Check

    @classmethod
    def of(
        cls, vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, start: View, check: Check = lambda: None
    ) -> _Search:
        few, triangles = reduced(vertices, faces)
        centre = (vertices.min(axis=0).astype(np.float64) + vertices.max(axis=0)) / 2.0
        size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
        shares, small = _small(mask, start, _SIDE, _around(mask))
        return cls(few, triangles, shares, small, Faced.of(start, small.camera), centre, size, check)

    @property
    def framed(self) -> np.ndarray:
        return _framed(self.points, self.shares, self.view, self.centre, self.size)

    def apart(self, change: np.ndarray, blur: float) -> np.ndarray:
        """How far outlines, and normals where they are known, are apart, (N,)."""
        self.check()
        view, area = moved(self.view, change, self.centre, self.size), np.sqrt(self.shares.sum())
        turned = _STIFFNESS * change[3:]
        if self.faced is None:
            own = np.isfinite(depth_buffer(self.points, self.triangles, view)).astype(np.float32)
            return np.append(self._blurred(own, blur) / area, turned)
        normals = faced(self.points, self.triangles, view)
        own = (np.abs(normals).sum(axis=2) > 0.0).astype(np.float32)
        off = ndimage.gaussian_filter(self.faced.apart(normals), (blur, blur, 0.0), mode="constant")
        far = np.linalg.norm(off, axis=2, keepdims=True)
        off *= np.sqrt(_FACING * np.minimum(1.0, _OTHER / np.maximum(far, 1e-9))) / area
        return np.concatenate([self._blurred(own, blur) / area, off.ravel(), _FACING * turned])

    def _blurred(self, own: np.ndarray, blur: float) -> np.ndarray:
        return ndimage.gaussian_filter(own - self.shares, blur, mode="constant").ravel()

    def likeness(self, change: np.ndarray) -> float:
        """Of the outlines (IoU), less what normals are off where they are known."""
        self.check()
        view = moved(self.view, change, self.centre, self.size)
        iou = _iou(self.points, self.triangles, self.shares, view)
        if self.faced is None:
            return iou
        return iou - self.faced.degrees(faced(self.points, self.triangles, view)) / _DEGREES


def _least(error: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """The change (5,) near x at which the squared error (N,) is least (Levenberg 1944, Marquardt 1963).

    Derivatives are differences over `_REACH`: pictures of pixels have no finer ones.
    """
    here, damping = error(x), 1e-2
    for _ in range(_ROUNDS):
        slope = np.stack([(error(x + step) - here) / step.sum() for step in np.diag(_REACH)], axis=1)
        square, down = slope.T @ slope, -slope.T @ here
        for _ in range(4):
            step = np.linalg.solve(square + np.diag(damping * np.diag(square) + 1e-9), down)
            there = error(x + step)
            if (there**2).sum() < (here**2).sum():
                break
            damping *= 6.0
        else:
            return x
        x, here, damping = x + step, there, damping / 4.0
        if (np.abs(step) < 0.02 * _REACH).all():
            return x
    return x


def silhouette_iou(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View, side: int) -> float:
    """Intersection over union of a mesh's outline with a mask (H, W), in pictures of `side` pixels; 0 if both empty."""
    coarse, small = _small(mask, view, side, _whole(mask))
    return _iou(vertices, faces, coarse, small)


def degrees_off(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View) -> float | None:
    """The mean angle between a mesh's normals and those of the view, whose mask (H, W) bool is where the thing is; None
    where the view has none."""
    small = _small(mask, view, _SIDE, _around(mask))[1]
    known = Faced.of(view, small.camera)
    return None if known is None else known.degrees(faced(vertices, faces, small))


def moved(view: View, change: np.ndarray, centre: np.ndarray, size: float) -> View:
    """A view after a change (5,): right and down, in the thing's `size`; ln of the distance; swung up and sideways
    around `centre`, in radians."""
    turn = _turn(0, change[3]) @ _turn(1, change[4])
    rotation = turn @ view.rotation
    middle = view.rotation @ (centre - view.position) * np.exp(change[2])
    middle = middle + np.array([change[0] * size, change[1] * size, 0.0])
    return View(view.camera, rotation, centre - rotation.T @ middle)


def _turn(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return turn


def _iou(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray, view: View) -> float:
    """As `silhouette_iou`, for a mask (h, w) of shares in [0, 1] and a camera of the same size."""
    own = np.isfinite(depth_buffer(vertices, faces, view))
    union = float(np.maximum(own, mask).sum())
    return float(np.minimum(own, mask).sum()) / union if union else 0.0


def _small(mask: np.ndarray, view: View, side: int, box: tuple[int, int, int, int]) -> tuple[np.ndarray, View]:
    """What a box (left, top, right, bottom) of the mask shows, as shares (h, w) float32 of pixels of which the longer
    side has at most `side`, and the view of that."""
    left, top, right, bottom = box
    scale = min(side / max(right - left, bottom - top), 1.0)
    columns, rows = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    picture = Image.fromarray(mask.astype(np.float32))
    shares = np.asarray(picture.resize((columns, rows), Image.Resampling.BOX, box=box))
    c = view.camera
    cut = PinholeCamera(right - left, bottom - top, c.fx, c.fy, c.cx - left, c.cy - top).scaled(columns, rows)
    return shares, View(cut, view.rotation, view.position)


def _whole(mask: np.ndarray) -> tuple[int, int, int, int]:
    return 0, 0, mask.shape[1], mask.shape[0]


def _around(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The box around a mask, a quarter larger on all sides as far as the picture goes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    room = max(rows[-1] - rows[0], columns[-1] - columns[0]) // 4 + 4
    right, bottom = min(columns[-1] + room, mask.shape[1]), min(rows[-1] + room, mask.shape[0])
    return int(max(columns[0] - room, 0)), int(max(rows[0] - room, 0)), int(right), int(bottom)


def reduced(vertices: np.ndarray, faces: np.ndarray, most: int = _FACES) -> tuple[np.ndarray, np.ndarray]:
    """As good a mesh, for outlines in small pictures, of few faces."""
    if len(faces) <= most:
        return vertices, faces
    points, triangles = fast_simplification.simplify(
        np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32), target_count=most
    )
    return points, triangles.astype(np.int64)


def _ahead(vertices: np.ndarray, view: View) -> bool:
    return bool((projected(vertices, view)[:, 2] > 0).all())


def _framed(vertices: np.ndarray, mask: np.ndarray, view: View, centre: np.ndarray, size: float) -> np.ndarray:
    """The change (5,) after which the mesh's box in the picture is about the mask's; no change where it is behind."""
    if not _ahead(vertices, view):
        return np.zeros(5)
    place = projected(vertices, view)[:, :2]
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.5), np.flatnonzero(mask.max(axis=0) > 0.5)
    if not len(rows) or not len(columns):
        return np.zeros(5)
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1] + 1, rows[-1] + 1])
    own_low, own_high = place.min(axis=0), place.max(axis=0)
    scale = float(np.exp(np.log((high - low) / np.maximum(own_high - own_low, 1e-9)).mean()))
    middle = view.rotation @ (centre - view.position)
    c = view.camera
    at = np.array([c.fx, c.fy]) * middle[:2] / middle[2] + (c.cx, c.cy)
    target = (low + high) / 2.0 + scale * (at - (own_low + own_high) / 2.0)
    depth = middle[2] / scale
    wanted = (target - (c.cx, c.cy)) * depth / (c.fx, c.fy)
    return np.array([*((wanted - middle[:2] / scale) / size), -np.log(scale), 0.0, 0.0])
