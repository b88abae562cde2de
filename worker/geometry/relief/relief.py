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
from dataclasses import dataclass, replace

import numpy as np

from ...core.view import PinholeCamera
from .. import solid
from ..fill import nearest_filled
from ..mesh import Mesh, joined, used_only
from ..simplify import outline, simplified
from . import lattice as lattices
from . import silhouette
from .behind import Hidden, behind, coloured
from .lattice import Lattice
from .texture import fitted, without_background
from .tiles import tiles

_TILE_TOLERANCES = (0.02, 0.04, 0.08, 0.16)  # cells; a small part of the lattice's own resolution cannot be seen
_TILE_EXCESS = 1.6
"""Triangles before the simplification, as a multiple of its target, that it is quick with. On 17 photos (included
network, Fast) with 2.5 and no more than .08 cells: half as much time again, for .047 cells of error where there are now
.053, and normals 4.8 degrees from the lattice's where they are now 5.1 (4.2 without tiles, in four times the time)."""
_BORDER = 0.25  # cells; outline vertices nearer than this to the picture's border are put onto it
_BORDER_OF_SOLID = 0.01  # cells; no more, or tears that cross the border would close there
_OF_SECOND = 12  # per cent of the triangles that what goes on behind silhouettes gets, if so few show its outline
_THICK = 0.03  # a solid's thickness, as a share of the picture's longer side where it lies

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class ReliefOptions:
    """How a relief is made.

    grid: vertices of the lattice along the picture's longer side (2 to 4096).
    faces: at most about this many triangles (a solid's sides and back included).
    cut: relative jump of depth (0.05 = 5 %) beyond which the surface is torn at a silhouette; infinite never tears.
    speck: loose pieces smaller than this share of the lattice take their neighbours' depth, or vanish.
    behind: let the farther surface go on behind the nearer one at silhouettes; not of a solid.
    beyond: what goes on behind does so beyond the picture's border, too.
    solid: close it to a shell whose back follows the front.
    texture: longest side of the texture in pixels; larger photos are reduced.
    """

    grid: int = 512
    faces: int = 100_000
    cut: float = 0.05
    speck: float = 1e-4
    behind: bool = False
    beyond: bool = True
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
    inverse = _inverse(depth, background, fill=options.solid)
    finest = 2 * max(*inverse.shape, *photo.shape[:2])
    shape = lattices.lattice_shape(camera.height, camera.width, min(options.grid, finest))
    lattice = lattices.build(inverse, shape, options.cut, round(options.speck * shape[0] * shape[1]))

    report(0.2, "cutting at silhouettes")
    view = _View(camera, shape)
    hidden = behind(lattice, view.focal, options.cut, options.beyond) if options.behind and not options.solid else ()
    seconds = [_second(each, camera, photo, options.faces * _OF_SECOND // 100) for each in hidden]
    faces = max(2, options.faces - sum(len(each.faces) for each in seconds))
    surface = _surface(inverse, solid.whole_at_border(lattice) if options.solid else lattice, view, faces)

    report(0.5, "simplifying")
    sheet = _closed(surface, view, faces) if options.solid else _open(surface, view, faces)

    report(0.8, "placing the texture")
    texture = fitted(photo if background is None else without_background(photo, background), options.texture)
    mesh = _solid_mesh(sheet, view, texture) if options.solid else _open_mesh(sheet, view, texture)
    for second in seconds:
        fits = 0 < len(second.faces) <= options.faces - len(mesh.faces)
        mesh = joined(mesh, second) if fits else mesh
    report(1.0, "relief is ready")
    return mesh.validated()


@dataclass(frozen=True)
class _View:
    """The picture's space: a camera, and a lattice (rows, columns of vertices) over its picture."""

    camera: PinholeCamera
    shape: tuple[int, int]

    @property
    def focal(self) -> float:
        """Focal length in cells: how many cells wide an angle of one radian is at the picture's centre."""
        rows, columns = self.shape
        return 0.5 * (
            self.camera.fx * (columns - 1) / self.camera.width + self.camera.fy * (rows - 1) / self.camera.height
        )

    def height(self, inverse: np.ndarray) -> np.ndarray:
        """Third coordinate of points with this inverse depth."""
        return -self.focal * np.log(inverse)

    def uv(self, points: np.ndarray) -> np.ndarray:
        """(V, 2) float64 position in the picture, 0 to 1, v down."""
        return points[:, :2] / (self.shape[1] - 1, self.shape[0] - 1)

    def unprojected(self, points: np.ndarray) -> np.ndarray:
        """(V, 3) float32 points in glTF axes."""
        depth = np.exp(points[:, 2] / self.focal)
        u, v = self.uv(points).T
        x = (u * self.camera.width - self.camera.cx) / self.camera.fx * depth
        y = (v * self.camera.height - self.camera.cy) / self.camera.fy * depth
        return np.column_stack([x, -y, -depth]).astype(np.float32)


@dataclass(frozen=True)
class _Surface:
    """Points (V, 3) in the picture's space; faces, steps and line as in silhouette.Patch."""

    points: np.ndarray
    faces: np.ndarray
    steps: np.ndarray
    line: np.ndarray


@dataclass(frozen=True)
class _Sheet:
    """Points (V, 3) in the picture's space and faces (F, 3) int32, clockwise on screen; the Part of each face."""

    points: np.ndarray
    faces: np.ndarray
    part: np.ndarray


def _inverse(depth: np.ndarray, background: np.ndarray | None, fill: bool) -> np.ndarray:
    """(H, W) float32 inverse depth with NaN where there is no surface; gaps in the depth itself filled if wanted."""
    if depth.ndim != 2 or not depth.size:
        raise ValueError(f"depth must be a picture of numbers, not an array of shape {depth.shape}")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inverse = (1.0 / depth).astype(np.float32)
    inverse[~(np.isfinite(inverse) & (inverse > 0.0))] = np.nan
    if np.isnan(inverse).all():
        raise ValueError("the depth map has no valid pixel")
    if fill and np.isnan(inverse).any():
        inverse = nearest_filled(inverse, ~np.isnan(inverse))
    if background is not None:
        rows = np.arange(depth.shape[0]) * background.shape[0] // depth.shape[0]
        columns = np.arange(depth.shape[1]) * background.shape[1] // depth.shape[1]
        inverse[background[rows][:, columns]] = np.nan
        if np.isnan(inverse).all():
            raise ValueError("the background mask covers the whole picture")
    return inverse


def _surface(inverse: np.ndarray, lattice: Lattice, view: _View, target: int) -> _Surface:
    patch = silhouette.patch(inverse, lattice)
    points = np.column_stack([patch.position, view.height(patch.inverse)])
    height = points[: lattice.inverse.size, 2].reshape(lattice.inverse.shape)
    whole = tiles(height, silhouette.whole_cells(lattice), _TILE_TOLERANCES, _TILE_EXCESS * target)
    faces = np.concatenate([whole, patch.faces])
    if not len(faces):
        raise ValueError("nothing is left of the depth map to build a mesh from; choose another picture or mask")
    return _Surface(points, faces, patch.steps, patch.line)


def _second(hidden: Hidden, camera: PinholeCamera, photo: np.ndarray, faces: int) -> Mesh:
    """What goes on behind silhouettes, of about so many faces; of none where it is thinner than a cell everywhere."""
    view = _View(_with_margins(camera, hidden), hidden.lattice.inverse.shape)
    try:
        surface = _surface(hidden.lattice.inverse, hidden.lattice, view, faces)
    except ValueError:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    return _open_mesh(_open(surface, view, max(2, faces)), view, coloured(photo, hidden))


def _with_margins(camera: PinholeCamera, hidden: Hidden) -> PinholeCamera:
    """The camera of a picture that is as much larger as what goes on behind silhouettes."""
    (top, bottom), (left, right) = hidden.margins
    rows, columns = hidden.hidden.shape
    down, across = camera.height / (rows - top - bottom - 1), camera.width / (columns - left - right - 1)
    return replace(
        camera,
        width=across * (columns - 1),
        height=down * (rows - 1),
        cx=camera.cx + across * left,
        cy=camera.cy + down * top,
    )


def _open(surface: _Surface, view: _View, target: int) -> _Sheet:
    points, faces, _ = used_only(surface.points, surface.faces)
    points, faces = simplified(points, faces, target)
    points = _straight_border(points, np.unique(outline(faces)), view.shape, _BORDER)
    return _Sheet(points, faces, np.full(len(faces), solid.Part.FRONT))


def _closed(surface: _Surface, view: _View, target: int) -> _Sheet:
    back = solid.backs(surface.points, surface.line, view.shape, _THICK * max(view.shape))
    points, faces = solid.closed(surface.points, surface.faces, surface.steps, surface.line, back)
    points, faces, _ = used_only(points, faces)
    points, faces = solid.simplified_closed(points, faces, target, view.unprojected)
    points = _straight_border(points, np.arange(len(points)), view.shape, _BORDER_OF_SOLID)
    return _Sheet(points, faces, solid.parts(points, faces))


def _straight_border(points: np.ndarray, edge: np.ndarray, shape: tuple[int, int], reach: float) -> np.ndarray:
    """The points inside the picture, those (numbers `edge`) within reach, in cells, of its border exactly on it."""
    points = points.copy()
    for axis, last in ((0, shape[1] - 1), (1, shape[0] - 1)):
        values = points[edge, axis]
        points[edge, axis] = np.where(values < reach, 0.0, np.where(values > last - reach, last, values))
        points[:, axis] = np.clip(points[:, axis], 0.0, last)
    return points


def _open_mesh(sheet: _Sheet, view: _View, texture: np.ndarray) -> Mesh:
    uv = view.uv(sheet.points).astype(np.float32)
    outward = np.ascontiguousarray(sheet.faces[:, ::-1])
    return Mesh(view.unprojected(sheet.points), outward, uv, texture=texture).with_normals()


def _solid_mesh(sheet: _Sheet, view: _View, texture: np.ndarray) -> Mesh:
    """Front and back with smooth normals and the photo, sides flat with its colours at their edge."""
    vertices, outward = view.unprojected(sheet.points), np.ascontiguousarray(sheet.faces[:, ::-1])
    uv = view.uv(sheet.points).astype(np.float32)
    parts = []
    for part in (solid.Part.FRONT, solid.Part.BACK):
        own, faces, used = used_only(vertices, outward[sheet.part == part])
        parts.append(Mesh(own, np.ascontiguousarray(faces), uv[used]).with_normals())
    corners = outward[sheet.part == solid.Part.SIDE].ravel()
    apart = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)  # each face has its own, so that it is flat
    parts.append(Mesh(vertices[corners], apart, uv[corners]).with_normals())
    firsts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + np.int32(first) for part, first in zip(parts, firsts)]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.normals for part in parts]),
        texture,
    )
