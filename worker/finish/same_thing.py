# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture shows the thing that a mesh is: by outlines, and by colours where the mesh has any.

A picture's outline has to tell more of the mesh's than an ellipse in its place would: a disc agrees with much, and
shows nothing. Things that look alike from somewhere (a can and a cup) are told apart by how much the one would have to
be stretched and bent to have the other's outline. Knows views and geometry; must not know networks or requests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.view import View
from ..geometry.mesh import Mesh
from ..geometry.outline_warp import warped
from ..geometry.texturing.projection import silhouette_iou
from ..geometry.texturing.rasterise import depth_buffer, projected

LEAST_IOU, SURE_IOU, MOST_BENT = 0.75, 0.85, 0.25
"""Outlines that agree by less are those of different things; by more, of the same; between, it is the same thing if
what they still disagree by after the mesh was bent, and thrice how far that moved it in its longest sides, are less. Of
56 pairs of eight of YCB's scans, deformed, with another's picture 18 agree by .75, and 13 of them pass; all eight pass
with their own. With .87 8 pass, and ellipsoids of a box's and a bottle's size are refused their pictures; as it is,
those of a can's and a cup's (.82, .77) are."""

ALIKE, SURE_IN_ANY_COLOUR = 0.3, 0.95
"""Of the histograms of colours: the same thing's have .64 to .92 in common, those of eight of the 13 that pass .22 or
less, of five .37 to .59. Where outlines agree by more than the latter colours are not asked: a mesh may be painted
otherwise."""

PLAINLY_IOU, LEAST_SHAPE, MOST_OF_ELLIPSE, MOST_ONCE_BENT = 0.92, 0.08, 0.85, 0.6
"""Outlines that agree by less than the first are to agree better than the mesh's does with the picture's ellipse: to be
apart by less than the third of what those are, or, where it is not sure by SURE_IOU, by less than the fourth once the
mesh is bent. Of right pairs, YCB's scans in three deformations, all come to .78 at most but a bent screwdriver (1.5,
and .57 once bent), of 27 wrong ones 22 to .88 or more. With less than the second beside its own ellipse an outline is a
blob's, which may become anything: ellipsoids have .04 at most, a ball with a bump .05, a plate with a bulge .06; boxes,
cans and bottles .09 to .17, and the example's robot from above .11, which is all that it has of a disc."""

_OUTLINE = 256  # pixels of the outlines that are compared with ellipses
_SIDE, _BINS, _EVEN = 96, 6, 0.8  # pixels, colours along each axis, and how many of them are evened out over
_PLAIN = 0.03  # of brightness: colours that vary less are paint that says nothing


def another(mesh: Mesh, places: np.ndarray, colours: np.ndarray | None, view: View, iou: float) -> str:
    """Why the view's picture, in its place before the mesh where outlines agree so far, is of another thing; "" where
    it is not. places, colours: (N, 3) of the mesh's own surface, sRGB in [0, 1], or None."""
    said = f"agrees with the picture's by {100 * iou:.0f} %"
    if iou < LEAST_IOU:
        return f"{said} only"
    bent = _bent(mesh, view) if iou < SURE_IOU else None
    if bent and _bending(mesh, *bent) > MOST_BENT:
        return f"{said}, and by more only if it is bent to another thing"
    if iou < PLAINLY_IOU and _shares_no_shape(mesh, view, bent):
        return f"{said}, but hardly more than an ellipse's does"
    if iou < SURE_IN_ANY_COLOUR and colours is not None and _in_common(mesh, places, colours, view) < ALIKE:
        return f"{said}, and its colours do not"
    return ""


def _bent(mesh: Mesh, view: View) -> tuple[Mesh, View]:
    """The mesh after what is large and smooth between the outlines was undone, and the view as it stands then."""
    vertices, there = warped(mesh.vertices, mesh.faces, view.mask >= 128, view)
    return replace(mesh, vertices=vertices), replace(view, rotation=there.rotation, position=there.position)


def _bending(mesh: Mesh, bent: Mesh, there: View) -> float:
    apart = 1.0 - silhouette_iou(bent.vertices, bent.faces, there.mask >= 128, there, 4 * _SIDE)
    moved = np.linalg.norm(bent.vertices - mesh.vertices, axis=1).mean() / np.ptp(mesh.vertices, axis=0).max()
    return float(apart + 3.0 * moved)


def _shares_no_shape(mesh: Mesh, view: View, bent: tuple[Mesh, View] | None) -> bool:
    """Whether the mesh's outline has a shape of its own and agrees with the picture's no better than with an ellipse in
    its place, nor does it once it is bent."""
    own, shown = _outlines(mesh, view)
    if min(own.sum(), shown.sum()) < _SIDE or _apart(own, _ellipse(own)) < LEAST_SHAPE:
        return False
    if _apart(own, shown) < MOST_OF_ELLIPSE * _apart(own, _ellipse(shown)):
        return False
    own = own if bent is None else _outlines(*bent)[0]
    return bent is None or _apart(own, shown) > MOST_ONCE_BENT * _apart(own, _ellipse(shown))


def _outlines(mesh: Mesh, view: View) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) bool: the mesh's and the picture's."""
    small = _smaller(view, _OUTLINE)
    return np.isfinite(depth_buffer(mesh.vertices, mesh.faces, small)), _resized(view.mask, small) >= 128


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """What two outlines (H, W) bool do not have in common, of what either covers."""
    return float((one ^ other).sum() / (one | other).sum())


def _ellipse(outline: np.ndarray) -> np.ndarray:
    """(H, W) bool: the ellipse with the middle and the second moments of an outline."""
    places = np.argwhere(outline)
    off = np.moveaxis(np.indices(outline.shape), 0, 2) - places.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(places.T))
    return np.einsum("hwi,ij,hwj->hw", off, inverse, off) < 4.0


def agreement(mesh: Mesh, places: np.ndarray, colours: np.ndarray | None, view: View) -> float:
    """How far the view's picture, in its place before the mesh, and the mesh's own colours vary together over what it
    sees: their correlation, in [-1, 1]; 0 where either says nothing. places, colours: as for `another`."""
    if colours is None:
        return 0.0
    at, own, picture, mask = _before(mesh, places, colours, view)
    at, own = at[mask.ravel()[at] >= 200], own[mask.ravel()[at] >= 200]
    count = np.bincount(at, minlength=mask.size)
    both = count > 0
    if both.sum() < _SIDE:
        return 0.0
    mean = np.stack([np.bincount(at, own[:, c], mask.size)[both] for c in range(3)], axis=1) / count[both, None]
    shown = picture.reshape(-1, 3)[both] / 255.0
    if min(mean.std(axis=0).max(), shown.std(axis=0).max()) < _PLAIN:
        return 0.0
    mean, shown = mean - mean.mean(axis=0), shown - shown.mean(axis=0)
    return float((mean * shown).sum() / np.sqrt((mean**2).sum() * (shown**2).sum()))


def _in_common(mesh: Mesh, places: np.ndarray, colours: np.ndarray, view: View) -> float:
    """Of what the view sees of the mesh's colours and of its picture's; 1 where either says nothing."""
    _, own, picture, mask = _before(mesh, places, colours, view)
    shown = picture[mask >= 200] / 255.0
    if min(len(own), len(shown)) < _SIDE or own.std(axis=0).max() < _PLAIN:
        return 1.0
    return float(np.minimum(_histogram(own), _histogram(shown)).sum())


def _before(mesh: Mesh, places: np.ndarray, colours: np.ndarray, view: View) -> tuple[np.ndarray, ...]:
    """In a small picture: the pixels (N,) of those places that the view sees, and their colours (N, 3); and its picture
    (H, W, 3) and mask (H, W), uint8."""
    small = _smaller(view, _SIDE)
    width, height = small.camera.width, small.camera.height
    depth, place = depth_buffer(mesh.vertices, mesh.faces, small), projected(places, small)
    first = ndimage.map_coordinates(depth, place[:, 1::-1].T - 0.5, order=0, mode="constant", cval=0.0)
    x, y = np.floor(place[:, :2]).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = inside & (place[:, 2] > 0.0) & (place[:, 2] < 1.01 * first)
    picture, mask = (_resized(each, small) for each in (view.rgb, view.mask))
    return (y[seen] * width + x[seen]).astype(int), colours[seen], picture, mask


def _smaller(view: View, side: int) -> View:
    """The place, with a picture of so many pixels along its longer side."""
    scale = side / max(view.camera.width, view.camera.height)
    width, height = (max(round(side * scale), 1) for side in (view.camera.width, view.camera.height))
    return View(view.camera.scaled(width, height), view.rotation, view.position)


def _resized(picture: np.ndarray, view: View) -> np.ndarray:
    size = view.camera.width, view.camera.height
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _histogram(colours: np.ndarray) -> np.ndarray:
    """(B, B, B) shares of colours (N, 3), of which the light ones are brought to one brightness."""
    light = max(float(np.percentile(colours.max(axis=1), 90)), 1e-3)
    bins = np.clip(colours / light * _BINS, 0, _BINS - 1).astype(int)
    count, _ = np.histogramdd(bins, bins=[np.arange(_BINS + 1)] * 3)
    even = ndimage.gaussian_filter(count, _EVEN, mode="constant")
    return even / even.sum()
