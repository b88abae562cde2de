# SPDX-License-Identifier: GPL-3.0-or-later
"""What several photos saw of a surface: of a place nothing else stays, no walls or lid where its box ends and nothing
behind cameras; of a thing, which stays closed, the rest is marked.

Must not know networks, methods or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from ..core.view import View
from ..geometry.mesh import Mesh, face_vectors, used_only
from ..geometry.texturing.rasterise import depth_buffer, projected

_SIDE = 400  # pixels of the longest side of a depth buffer
_BEHIND = 0.02  # of its distance, by which a corner may lie behind what is seen in its pixel


def only_known(
    vertices: np.ndarray, faces: np.ndarray, known: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) without the faces in whose middle it is not known what is there. All as it was
    where nothing would be left."""
    kept = faces[known(vertices[faces].mean(axis=1).astype(np.float32))]
    return used_only(vertices, kept)[:2] if len(kept) else (vertices, faces)


def only_seen(
    vertices: np.ndarray, faces: np.ndarray, views: Sequence[View], bounds: np.ndarray, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) without the faces that lie as `near` to a side of the box (2, 3), and of whose
    corners no view sees any from its front. All as it was where nothing would be left."""
    border = np.stack([np.abs(vertices - side) < near for side in bounds])  # (2, V, 3)
    kept = faces[~border[:, faces].all(axis=2).any(axis=(0, 2))]
    seen = np.zeros(len(kept), bool)
    for view in views:
        seen |= _seen(vertices, faces, kept, view)
    return used_only(vertices, kept[seen])[:2] if seen.any() else (vertices, faces)


def marked(mesh: Mesh, views: Sequence[View]) -> Mesh:
    """The mesh, which has normals, with what none of the views sees from its front as its `unseen`. What a view's mask
    leaves out it does not see: something stands before it."""
    unseen = np.ones(len(mesh.vertices), np.float32)
    for view in views:
        front = (mesh.normals * (view.position - mesh.vertices)).sum(axis=1) > 0.0
        unseen[_first(mesh.vertices, mesh.faces, view) & front] = 0.0
    return replace(mesh, unseen=unseen)


def _seen(vertices: np.ndarray, faces: np.ndarray, asked: np.ndarray, view: View) -> np.ndarray:
    """(F,) whether a view sees a corner of each of the faces that are asked for, and the face's front."""
    front = (face_vectors(vertices, asked) * (view.position - vertices[asked[:, 0]])).sum(axis=1) > 0.0
    return _first(vertices, faces, view)[asked].any(axis=1) & front


def _first(vertices: np.ndarray, faces: np.ndarray, view: View) -> np.ndarray:
    """(V,) whether each vertex is the first on its line of sight, and not left out by the view's mask."""
    small = replace(view, camera=view.camera.at_most(_SIDE), rgb=None, mask=None)
    nearest, place = depth_buffer(vertices, faces, small), projected(vertices, small)
    height, width = nearest.shape
    column, row = np.floor(place[:, :2]).T
    inside = (place[:, 2] > 0.0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    first = np.zeros(len(vertices), bool)
    pixel = row[inside].astype(int), column[inside].astype(int)
    first[inside] = place[inside, 2] <= nearest[pixel] * (1.0 + _BEHIND)
    if view.mask is not None:
        mask = np.asarray(Image.fromarray(view.mask).resize((width, height), Image.Resampling.BOX))
        first[inside] &= mask[pixel] > 0
    return first
