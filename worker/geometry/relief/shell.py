# SPDX-License-Identifier: GPL-3.0-or-later
"""Two layers and their photo become a closed, textured mesh.

Front and back are sheets over the silhouette, joined along its outline by a wall of lines of sight, so that the mesh is
closed by construction and its outline is the photo's. Works in the window's space (column, row, depth), where lines of
sight are parallel; a camera gives it its true shape at the end.
Must not know networks or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ...core.representations import Layers
from ...core.view import PinholeCamera, Window
from ..fill import nearest_filled
from ..mesh import Mesh, face_vectors, used_only, vertex_normals
from ..simplify import outline
from ..solid import simplified_closed
from .contour import filled
from .texture import fitted, without_background

_THINNEST = 0.012  # of the window's half side: nothing is thinner, or it could not be held in a hand
_EDGE_ON = 0.2  # faces that the camera sees at less than this (sine of the angle) show no photo, only its smear
_SIDE = 0.3  # and faces turned away by less than this are sides rather than back
_SEAM = 0.04  # of the window's side: so far from the outline the back takes on the front's colour
_CREASE = 0.85  # cosine between the normals of two parts that meet smoothly
_WHOLE = 0.95  # cells covered less than this show the photo mixed with what was behind the thing
_HALO = 3.0  # pixels of the back's picture
_BACK_PIXELS = 192  # side of the back's part of the texture


@dataclass(frozen=True)
class ShellOptions:
    """faces: triangles, about and at most. texture: longest side in pixels of the photo's part of the texture."""

    faces: int = 40_000
    texture: int = 2048


def shell(
    layers: Layers,
    share: np.ndarray,
    photo: np.ndarray,
    camera: PinholeCamera,
    options: ShellOptions,
    report: Callable[[float, str], None],
) -> Mesh:
    """The closed, textured mesh in glTF axes; the camera stands at the origin, the thing's mean depth is 1.

    share: (N, N) float, how much of each cell of the layers' window is covered by the thing; photo: the whole
    (H, W, 3) uint8 picture, which `camera` took. Raises ValueError where the outline is empty.
    """
    report(0.1, "joining front and back")
    points, faces = closed_sheets(layers, share)
    report(0.3, "simplifying")

    def unprojected(points: np.ndarray) -> np.ndarray:
        return _unprojected(points, layers.window, len(share), camera)

    points, faces = simplified_closed(points, faces, options.faces, unprojected)
    report(0.8, "placing the texture")
    front = fitted(without_background(layers.window.cropped(photo), share < _WHOLE), options.texture)
    atlas = _Atlas.of(front, _back_picture(layers, front, share))
    return _textured(unprojected(points), points[:, :2] / len(share), faces, turned(points, faces), atlas)


def closed_sheets(layers: Layers, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3), (column, row, depth) in cells of `share` (N, N), and faces (F, 3) outward of a closed surface.

    Raises ValueError where no cell is covered by half.
    """
    grid = len(share)
    flat, faces = filled(np.pad(share, 1) - 0.5)
    if not len(faces):
        raise ValueError("the outline is empty: nothing would be left of the picture")
    flat -= 0.5  # the pad's cell off, the cells' middles at +0.5
    own = np.asarray(Image.fromarray(share).resize(layers.front.shape[::-1], Image.Resampling.BOX)) >= 0.5
    middle, half = (_at(flat, _continued(values, own), grid) for values in _middle_and_square(layers))
    half = np.sqrt(np.maximum(half, _THINNEST**2))
    points = np.concatenate([np.column_stack([flat, depth * (grid / 2)]) for depth in (middle - half, middle + half)])
    a, b = outline(faces).T
    behind = len(flat)
    wall = np.concatenate([np.column_stack([b, a, a + behind]), np.column_stack([b, a + behind, b + behind])])
    return points, np.concatenate([faces, wall, faces[:, ::-1] + behind])


def turned(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) int: -1 for triangles of the window's space that the camera sees, 0 for sides, 1 for the back."""
    normal = face_vectors(points, faces)
    along = normal[:, 2] / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    return np.where(along < -_EDGE_ON, -1, np.where(along < _SIDE, 0, 1))


def _middle_and_square(layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """The depth half-way and the square of half the thickness (S, S), kept within the window's cube and a half.

    Where a round surface meets its outline its thickness falls like a root, so its square is what is straight there.
    """
    middle = np.clip((layers.front + layers.back) / 2, -1.5, 1.5)
    return middle, np.clip((layers.back - layers.front) / 2, 0.0, 1.5) ** 2


def _continued(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Values (S, S) continued straight beyond the silhouette: by what is nearest inside, mirrored at it."""
    if own.all() or not own.any():
        return values
    nearest = ndimage.distance_transform_edt(~own, return_distances=False, return_indices=True)
    mirrored = np.clip(2 * nearest - np.indices(own.shape), 0, len(own) - 1)
    rim = values[tuple(nearest)]
    return np.where(own[tuple(mirrored)], 2 * rim - values[tuple(mirrored)], rim)


def _at(flat: np.ndarray, depth: np.ndarray, grid: int) -> np.ndarray:
    """A layer's depth (V,) at positions (V, 2) in cells of the lattice, by cubic B-splines, which neither have edges
    where the layer has pixels nor overshoot at steps (Unser 1999)."""
    scale = len(depth) / grid
    places = [flat[:, 1] * scale - 0.5, flat[:, 0] * scale - 0.5]
    return ndimage.map_coordinates(depth.astype(np.float64), places, order=3, prefilter=False, mode="nearest")


def _unprojected(points: np.ndarray, window: Window, grid: int, camera: PinholeCamera) -> np.ndarray:
    """(V, 3) float32 in glTF axes of points in the window's space."""
    z = np.maximum(1.0 + points[:, 2] * (window.side / grid) / camera.fx, 0.05)
    x = (window.left + points[:, 0] * (window.side / grid) - camera.cx) / camera.fx * z
    y = (window.top + points[:, 1] * (window.side / grid) - camera.cy) / camera.fy * z
    return np.column_stack([x, -y, -z]).astype(np.float32)


def _back_picture(layers: Layers, front: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The back's colours, which near the outline pass into the front's, where the same surface goes round."""
    size = (_BACK_PIXELS, _BACK_PIXELS)

    def picture(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC), np.float32)

    inside = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR)) >= 0.5
    depth = ndimage.distance_transform_edt(inside)
    own = np.clip(depth / (_SEAM * _BACK_PIXELS), 0.0, 1.0)[..., None]
    core = depth > min(_HALO, depth.max() / 2)  # the outline's own pixels carry the colour of what was behind
    rim = nearest_filled(picture(front), core) if core.any() else picture(front)
    rim = ndimage.gaussian_filter(rim, (1.5, 1.5, 0))
    blended = picture(layers.back_colour) * own + rim * (1.0 - own)
    return nearest_filled(np.clip(np.rint(blended), 0, 255).astype(np.uint8), inside if inside.any() else ~inside)


@dataclass(frozen=True, eq=False)
class _Atlas:
    """Both sides' pictures in one, the front above: where a place (V, 2) of the window, 0 to 1, lies in it."""

    texture: np.ndarray
    front: tuple[int, int]  # rows, columns
    back: tuple[int, int, int]  # first row, rows, columns

    @classmethod
    def of(cls, front: np.ndarray, back: np.ndarray) -> _Atlas:
        top = 16 * -(-len(front) // 16)  # whole JPEG blocks, so that the two do not bleed into each other
        width = max(front.shape[1], back.shape[1])
        texture = np.empty((top + len(back), width, 3), np.uint8)
        texture[:top] = np.pad(front, ((0, top - len(front)), (0, width - front.shape[1]), (0, 0)), mode="edge")
        texture[top:] = np.pad(back, ((0, 0), (0, width - back.shape[1]), (0, 0)), mode="edge")
        return cls(texture, front.shape[:2], (top, *back.shape[:2]))

    def front_uv(self, place: np.ndarray) -> np.ndarray:
        rows, columns = self.front
        return self._uv(place[:, 0] * columns, place[:, 1] * rows)

    def back_uv(self, place: np.ndarray) -> np.ndarray:
        top, rows, columns = self.back
        return self._uv(place[:, 0] * columns, top + np.clip(place[:, 1] * rows, 0.5, rows - 0.5))

    def _uv(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        height, width = self.texture.shape[:2]
        return np.column_stack([column / width, row / height]).astype(np.float32)


def _textured(vertices: np.ndarray, place: np.ndarray, faces: np.ndarray, turn: np.ndarray, atlas: _Atlas) -> Mesh:
    """The mesh with the photo on what the camera sees (turn -1) and the back's colours on sides and back (0 and 1).

    The three have vertices of their own, whose normals are shared where they meet smoothly, so that the edges of boxes
    stay edges and balls have no seam.
    """
    whole = vertex_normals(vertices, faces)
    parts, first = [], 0
    for side in (-1, 0, 1):
        own_vertices, own_faces, kept = used_only(vertices, faces[turn == side])
        if not len(own_faces):
            continue
        normals = vertex_normals(own_vertices, own_faces)
        smooth = (normals * whole[kept]).sum(axis=1) > _CREASE
        normals[smooth] = whole[kept][smooth]
        uv = atlas.front_uv(place[kept]) if side < 0 else atlas.back_uv(place[kept])
        parts.append((own_vertices, own_faces + first, uv, normals))
        first += len(own_vertices)
    joined = [np.ascontiguousarray(np.concatenate(values)) for values in zip(*parts, strict=True)]
    return Mesh(joined[0], joined[1].astype(np.int32), joined[2], joined[3], atlas.texture).validated()
