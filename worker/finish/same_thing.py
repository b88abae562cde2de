# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture shows the thing that a mesh is: by outlines, and by colours where the mesh has any.

Things that look alike from somewhere (a can and a cup) are told apart by how much the one would have to be stretched
and bent to have the other's outline. Knows views and geometry; must not know networks or requests.
"""

from __future__ import annotations

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

_SIDE, _BINS, _EVEN = 96, 6, 0.8  # pixels, colours along each axis, and how many of them are evened out over
_PLAIN = 0.03  # of brightness: colours that vary less are paint that says nothing


def another(mesh: Mesh, places: np.ndarray, colours: np.ndarray | None, view: View, iou: float) -> str:
    """Why the view's picture, in its place before the mesh where outlines agree so far, is of another thing; "" where
    it is not. places, colours: (N, 3) of the mesh's own surface, sRGB in [0, 1], or None."""
    if iou < LEAST_IOU:
        return f"agrees with the picture's by {100 * iou:.0f} % only"
    if iou < SURE_IOU and _bending(mesh, view) > MOST_BENT:
        return f"agrees with the picture's by {100 * iou:.0f} %, and by more only if it is bent to another thing"
    if iou < SURE_IN_ANY_COLOUR and colours is not None and _in_common(mesh, places, colours, view) < ALIKE:
        return f"agrees with the picture's by {100 * iou:.0f} %, and its colours do not"
    return ""


def _bending(mesh: Mesh, view: View) -> float:
    vertices, there = warped(mesh.vertices, mesh.faces, view.mask >= 128, view)
    apart = 1.0 - silhouette_iou(vertices, mesh.faces, view.mask >= 128, there, 4 * _SIDE)
    moved = np.linalg.norm(vertices - mesh.vertices, axis=1).mean() / np.ptp(mesh.vertices, axis=0).max()
    return float(apart + 3.0 * moved)


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
    scale = _SIDE / max(view.camera.width, view.camera.height)
    width, height = (max(round(side * scale), 1) for side in (view.camera.width, view.camera.height))
    small = View(view.camera.scaled(width, height), view.rotation, view.position)
    depth, place = depth_buffer(mesh.vertices, mesh.faces, small), projected(places, small)
    first = ndimage.map_coordinates(depth, place[:, 1::-1].T - 0.5, order=0, mode="constant", cval=0.0)
    x, y = np.floor(place[:, :2]).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = inside & (place[:, 2] > 0.0) & (place[:, 2] < 1.01 * first)
    picture, mask = (
        np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BOX))
        for each in (view.rgb, view.mask)
    )
    return (y[seen] * width + x[seen]).astype(int), colours[seen], picture, mask


def _histogram(colours: np.ndarray) -> np.ndarray:
    """(B, B, B) shares of colours (N, 3), of which the light ones are brought to one brightness."""
    light = max(float(np.percentile(colours.max(axis=1), 90)), 1e-3)
    bins = np.clip(colours / light * _BINS, 0, _BINS - 1).astype(int)
    count, _ = np.histogramdd(bins, bins=[np.arange(_BINS + 1)] * 3)
    even = ndimage.gaussian_filter(count, _EVEN, mode="constant")
    return even / even.sum()
