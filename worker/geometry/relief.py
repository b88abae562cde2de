# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth map and its photo become a textured surface.

The work is done in the picture's own space: position on the lattice in cells, and `focal * log(depth)` as the height.
There a unit is the same small angle in every direction, so errors count as the camera sees them: a far wall is not
worth more triangles than the near hand because it is large in metres. It also makes texture coordinates exact: a vertex
lies at the picture position it is drawn from.

Must not know networks or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..representations import PinholeCamera
from . import lattice as lattices
from . import silhouette
from .mesh import Mesh, used_only
from .simplify import outline, simplified
from .texture import fitted, without_background
from .tiles import tiles

_TILE_TOLERANCES = (0.02, 0.04, 0.08)  # cells; a small part of the lattice's own resolution cannot be seen
_TILE_EXCESS = 2.5  # triangles before the simplification, as a multiple of its target, that it is quick with
_BORDER = 0.25  # cells; outline vertices nearer than this to the picture's border are put onto it

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class ReliefOptions:
    """How a relief is made.

    grid: vertices of the lattice along the picture's longer side (2 to 4096).
    faces: at most about this many triangles in the open surface.
    cut: relative jump of depth (0.04 = 4 %) beyond which the surface is torn at a silhouette.
    speck: loose pieces smaller than this share of the lattice take their neighbours' depth, or vanish.
    solid: close the back with walls along the lines of sight and a flat back.
    texture: longest side of the texture in pixels; larger photos are reduced.
    """

    grid: int = 512
    faces: int = 100_000
    cut: float = 0.04
    speck: float = 1e-4
    solid: bool = False
    texture: int = 4096

    def __post_init__(self) -> None:
        if not 2 <= self.grid <= 4096:
            raise ValueError(f"grid must lie between 2 and 4096 vertices, not {self.grid}")
        if self.faces < 2:
            raise ValueError(f"faces must be at least 2, not {self.faces}")
        if not self.cut > 0.0:
            raise ValueError(f"cut must be a positive ratio, not {self.cut:g}")
        if self.texture < 1:
            raise ValueError(f"texture must be at least 1 pixel, not {self.texture}")


def relief(
    depth: np.ndarray,
    camera: PinholeCamera,
    photo: np.ndarray,
    options: ReliefOptions,
    background: np.ndarray | None = None,
    report: Report | None = None,
) -> Mesh:
    """The visible surface as a mesh in the camera's place: glTF axes, unit of the depth, the camera at the origin.

    depth: (H, W) along the optical axis, NaN (or anything not positive and finite) where there is no surface.
    camera: of the photo, at any resolution. photo: (h, w, 3 or 4) uint8 of the same view, usually larger.
    background: (h, w) bool of any size, True where the surface is to be left out. report(fraction, stage) is called
    between the stages and may raise to stop. ValueError where no surface is left.
    """
    report = report or (lambda fraction, stage: None)
    report(0.0, "reading the depth")
    inverse = _inverse(depth, background)
    finest = 2 * max(*inverse.shape, *photo.shape[:2])
    shape = lattices.lattice_shape(camera.height, camera.width, min(options.grid, finest))
    lattice = lattices.build(inverse, shape, options.cut, round(options.speck * shape[0] * shape[1]))

    report(0.2, "cutting at silhouettes")
    patch = silhouette.patch(inverse, lattice)
    focal = _focal_in_cells(camera, shape)
    points = np.column_stack([patch.position, -focal * np.log(patch.inverse)])
    height = points[: shape[0] * shape[1], 2].reshape(shape)
    faces = np.concatenate([_tiled(height, lattice, options.faces), patch.faces])
    if not len(faces):
        raise ValueError("nothing is left of the depth map to build a mesh from; choose another picture or mask")
    points, faces, _ = used_only(points, faces)

    report(0.4, "simplifying")
    points, faces = simplified(points, faces, options.faces)
    points = _straight_border(points, faces, shape)

    report(0.8, "placing the texture")
    texture = fitted(photo if background is None else without_background(photo, background), options.texture)
    u, v = points[:, 0] / (shape[1] - 1), points[:, 1] / (shape[0] - 1)
    vertices = _unprojected(u, v, np.exp(points[:, 2] / focal), camera)
    uv = np.column_stack([u, v]).astype(np.float32)
    mesh = Mesh(vertices, np.ascontiguousarray(faces[:, ::-1]), uv, texture=texture)
    report(1.0, "relief is ready")
    return mesh.with_normals().validated()


def _tiled(height: np.ndarray, lattice: lattices.Lattice, target: int) -> np.ndarray:
    """Triangles of the whole cells, tiled more coarsely the farther their number is from the target."""
    whole = ~silhouette.torn_cells(lattice)
    for tolerance in _TILE_TOLERANCES:
        faces = tiles(height, whole, tolerance)
        if len(faces) <= _TILE_EXCESS * target:
            break
    return faces


def _inverse(depth: np.ndarray, background: np.ndarray | None) -> np.ndarray:
    """(H, W) float32 inverse depth with NaN where there is no surface."""
    if depth.ndim != 2 or not depth.size:
        raise ValueError(f"depth must be a picture of numbers, not an array of shape {depth.shape}")
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (1.0 / depth).astype(np.float32)
    inverse[~(np.isfinite(inverse) & (inverse > 0.0))] = np.nan
    if np.isnan(inverse).all():
        raise ValueError("the depth map has no valid pixel")
    if background is not None:
        rows = np.arange(depth.shape[0]) * background.shape[0] // depth.shape[0]
        columns = np.arange(depth.shape[1]) * background.shape[1] // depth.shape[1]
        inverse[background[rows][:, columns]] = np.nan
        if np.isnan(inverse).all():
            raise ValueError("the background mask covers the whole picture")
    return inverse


def _focal_in_cells(camera: PinholeCamera, shape: tuple[int, int]) -> float:
    """Focal length in cells: how many cells wide an angle of one radian is at the picture's centre."""
    return 0.5 * (camera.fx * (shape[1] - 1) / camera.width + camera.fy * (shape[0] - 1) / camera.height)


def _straight_border(points: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The points inside the picture, those of the outline next to its border exactly on it."""
    points = points.copy()
    edge = np.unique(outline(faces))
    for axis, last in ((0, shape[1] - 1), (1, shape[0] - 1)):
        values = points[edge, axis]
        values = np.where(values < _BORDER, 0.0, np.where(values > last - _BORDER, last, values))
        points[edge, axis] = values
        points[:, axis] = np.clip(points[:, axis], 0.0, last)
    return points


def _unprojected(u: np.ndarray, v: np.ndarray, depth: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """(V, 3) float32 points in glTF axes of picture positions (0 to 1, v down) at a depth."""
    x = (u * camera.width - camera.cx) / camera.fx * depth
    y = (v * camera.height - camera.cy) / camera.fy * depth
    return np.column_stack([x, -y, -depth]).astype(np.float32)
