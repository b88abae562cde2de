# SPDX-License-Identifier: GPL-3.0-or-later
"""Anybody's mesh and one picture of the same thing: the mesh with the picture's outline and its colours.

The camera is found by the outline, and by the picture's normals where a network saw any; what both say the mesh
follows; then the picture is laid onto what it sees, and the mesh's own colours onto the rest. Place, size and name
stay. Knows views and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..core.errors import OutOfMemory, Unable
from ..core.free_memory import available
from ..core.job import Job, Span
from ..core.refining import MOST_FACES
from ..core.representations import DepthMap
from ..core.view import View
from ..geometry.depth_points import points_on
from ..geometry.glb_reading import Read, read_glb
from ..geometry.mesh import Mesh, face_vectors, used_only
from ..geometry.outline_pull import pulled
from ..geometry.outline_warp import warped
from ..geometry.place import Placed
from ..geometry.texturing.bake import baked
from ..geometry.texturing.facing import AS_TOLD
from ..geometry.texturing.mirrored import mirrored
from ..geometry.texturing.projection import (
    degrees_off,
    fitted_from,
    fitted_view,
    framed_from,
    moved,
    reduced,
    silhouette_iou,
)
from ..geometry.texturing.spread import welded
from ..geometry.texturing.unwrap import unwrapped
from ..pictures.silhouette import cut_off
from .asset import Asset
from .field import camera_info
from .same_thing import agreement, another

FEWEST_FACES = 2_000
"""Fewer cannot follow an outline: each is cut into four until there are so many."""

_BYTES_PER_FACE, _BYTES_PER_TEXEL = 3_000, 250
"""Of memory, about: 0.9 GB were measured at 200,000 faces and 2048 texels, with 0.2 GB before."""

_SIZES, _FARTHEST = (1e-6, 1e9), 1e5
"""Metres across; and sizes from the origin, at which 32 bits leave a hundredth of a size."""

_OUTLINE = 512  # pixels of the outlines that are compared in the end
_LEAST_GAIN = 0.002  # of the outlines' agreement: less is not worth that anything moves
_MUCH_LESS = 0.6
"""Of what outlines disagree by, after the whole thing was stretched or bent: a plate's ellipse is explained by many
stretches and cameras, which gain less and ruin it. Of deformed scans of YCB none of three plates and seven of nine
others get below; with .67 one plate does, and its normals are twice as wrong."""

_YAWS, _PITCHES = range(0, 360, 30), (0.0, 20.0)  # degrees from which a picture may have been taken
_ALL_YAWS, _ALL_PITCHES = range(0, 360, 15), (-15.0, 5.0, 25.0, 45.0, 65.0)
"""The same of several pictures from all around. Steps of 30 and 25 degrees left two of eight places of a bottle out of
reach, one on its wrong side."""

_COLOURS = 0.2
"""By how much of an outline's IoU colours that agree wholly are better than those that do not at all. Of eight photos
of a bottle, .1 to .5 find the same places."""

_LIKELY = 0.1
"""Of IoU: places from which outlines agree by so much less, before anything is fitted, are not the one. Between two of
the places that are tried it falls by .04 where outlines tell something."""

_TRIED, _EVERY, _SWINGS = 5, 10, (10.0, 5.0, 2.5, 1.2)
"""Places from which outlines are fitted; every so manieth colour that is looked at; degrees."""

_CUT_OFF = "the thing ends at the picture's edge, so its shape stays and only the colours are new"
_AWAY = 1.2  # times as far as the whole thing fills the picture: where the search begins
_SAMPLES = 600_000  # places at which the mesh's own colours are remembered


@dataclass(frozen=True, eq=False)
class Found:
    """A mesh that was read. mesh: welded. places, colours: (N, 3) of its own colours, sRGB in [0, 1]; None: none."""

    mesh: Mesh
    places: np.ndarray
    colours: np.ndarray | None
    name: str
    notes: tuple[str, ...]


def opened(path: Path, texture: int) -> Found:
    """The mesh of a GLB that can be worked on. Raises Unable, OutOfMemory."""
    read = read_glb(path)
    count = len(read.corners)
    if count > MOST_FACES:
        message = f"{path.name} has {count:,} faces, and {MOST_FACES:,} are the most that are refined"
        raise Unable(f"{message}: decimate or retopologise it first")
    needed, there = count * _BYTES_PER_FACE + texture**2 * _BYTES_PER_TEXEL, available()
    if there is not None and needed > there:
        message = f"this needs about {needed / 1e9:.1f} GB of memory, of which {there / 1e9:.1f} GB are free"
        raise OutOfMemory(f"{message}: close other programs, or choose a smaller texture", needed, there)
    _check_place(path, read.corners.reshape(-1, 3))
    mesh = _welded(read)
    if not len(mesh.faces) or not np.ptp(mesh.vertices, axis=0).max() > 0.0:
        raise Unable(f"{path.name} has no triangle with an area: there is nothing to refine")
    notes = ()
    if count < FEWEST_FACES:
        mesh = _finer(mesh)
        notes = (f"the mesh had {count:,} faces, too few to follow an outline: it has {len(mesh.faces):,} now",)
    return Found(mesh, *_remembered(read), read.name or path.stem, notes)


def _check_place(path: Path, corners: np.ndarray) -> None:
    """Raises Unable where a mesh's corners (N, 3) are of a size, or so far away, that nothing can be worked out."""
    low, high = corners.min(axis=0).astype(np.float64), corners.max(axis=0).astype(np.float64)
    size, far = float((high - low).max()), float(np.maximum(np.abs(low), np.abs(high)).max())
    if size > 0.0 and not _SIZES[0] <= size <= _SIZES[1]:
        raise Unable(
            f"{path.name} is {size:.0e} m across: scale it to between {_SIZES[0]:.0e} and {_SIZES[1]:.0e} first"
        )
    if far > _FARTHEST * size > 0.0:
        raise Unable(f"{path.name} lies {far:.0e} m from the origin, too far for its size: move it nearer first")


def refined(found: Found, view: View, texture: int, job: Job | Span) -> Asset:
    """The mesh as the view's picture and mask show it, where it was. Raises Unable where the outlines do not fit."""
    mesh, camera, note = shaped(found, view, job)
    with job.timed("texture"):
        job.report(0.4, "unwrapping")
        mesh = painted(mesh.with_normals(), found, camera, texture, job.span(0.5, 1.0))
    at_rest = Placed(mesh, 1.0, np.zeros(3))
    return Asset(mesh, (camera_info(camera, at_rest),), False, (*found.notes, note))


def shaped(found: Found, view: View, job: Job | Span) -> tuple[Mesh, View, str]:
    """The mesh with the picture's outline, the view in its place before it, and a sentence on that. Raises Unable where
    the outlines do not fit."""
    job.report(0.0, "finding the picture's place")
    with job.timed("camera"):
        camera, iou = located(found, view, job.check)
    job.report(0.2, "following the outline")
    with job.timed("outline"):
        mesh, mask, after = found.mesh, view.mask >= 128, iou
        whole = not cut_off(mask)
        if whole:
            mesh, camera, after = _followed(mesh, mask, camera, iou, job)
    note = f"the outline fits the picture by {100 * after:.1f} %, and did by {100 * iou:.1f} %"
    if mesh is found.mesh:
        note = f"the outline fitted the picture already (by {100 * iou:.1f} %), so only the colours are new"
    if not whole:
        note = f"{_CUT_OFF}: for its shape take a picture that shows it whole, with some room around it"
    return mesh, camera, note


def shown(depth: DepthMap, found: Found, view: View) -> np.ndarray | None:
    """(N, 3) points that a depth map shows of the mesh, which the view is in its place before; None where it
    contradicts the mesh."""
    return points_on(depth, found.mesh.vertices, found.mesh.faces, view)


def remade(found: Found, mesh: Mesh, view: View, before: float, texture: int, job: Span) -> Asset:
    """A mesh that a network made of `found`, in its place, with the picture's colours and the old one's own. view: in
    its place before it. before: how far the old one's outline agrees with the picture's."""
    after = silhouette_iou(mesh.vertices, mesh.faces, view.mask >= 128, view, _OUTLINE)
    note = (
        f"the refined shape's outline fits the picture by {100 * after:.1f} %, the one before by {100 * before:.1f} %"
    )
    with job.timed("texture"):
        mesh = painted(mesh, found, view, texture, job)
    return Asset(mesh, (camera_info(view, Placed(mesh, 1.0, np.zeros(3))),), False, (*found.notes, note))


def _followed(mesh: Mesh, mask: np.ndarray, view: View, before: float, job: Job | Span) -> tuple[Mesh, View, float]:
    """The mesh with the picture's outline, its view and how far outlines agree: what is large first, then the rest,
    each where it is worth that anything moves."""

    def agreeing(vertices: np.ndarray, view: View) -> float:
        whole = np.isfinite(vertices).all()
        return silhouette_iou(vertices, mesh.faces, mask, view, _OUTLINE) if whole else 0.0

    off = degrees_off(mesh.vertices, mesh.faces, mask, view)
    if off is None or off > AS_TOLD:
        vertices, there = warped(mesh.vertices, mesh.faces, mask, view, job.check)
        there = replace(view, rotation=there.rotation, position=there.position)
        after = agreeing(vertices, there)
        if 1.0 - after < _MUCH_LESS * (1.0 - before):
            mesh, view, before = replace(mesh, vertices=vertices), there, after
    vertices = pulled(mesh.vertices, mesh.faces, mask, view, job.check)
    after = agreeing(vertices, view)
    if after < before + _LEAST_GAIN:
        return mesh, view, before
    return replace(mesh, vertices=vertices), view, after


def located(found: Found, view: View, check: Callable[[], None] = lambda: None) -> tuple[View, float]:
    """The view in its place before the mesh, and how far outlines agree (IoU). check: may raise to stop. Raises Unable
    where it shows another thing, which the outline alone says: normals are too rough for that."""
    by_outline, iou = _placed(found.mesh, replace(view, normals=None), check)
    _check_same(found, by_outline, iou)
    return (by_outline, iou) if view.normals is None else _placed(found.mesh, view, check)


def _placed(mesh: Mesh, view: View, check: Callable[[], None]) -> tuple[View, float]:
    fit = fitted_from(mesh.vertices, mesh.faces, view.mask >= 128, _starts(mesh, view), check)
    return replace(view, camera=fit.view.camera, rotation=fit.view.rotation, position=fit.view.position), fit.iou


def _check_same(found: Found, view: View, iou: float) -> None:
    if why := another(found.mesh, found.places, found.colours, view, iou):
        which = f"{view.name}: " if view.name else ""
        raise Unable(
            f"{which}the outline of {found.name} {why}: choose a picture of the same thing; nothing was changed"
        )


def located_among(found: Found, view: View) -> View:
    """As `located`, of one of several pictures from all around: of places from which outlines agree about as well, the
    one from which the mesh has its own colours where the picture has them."""
    mesh, mask = found.mesh, view.mask >= 128
    places, colours = found.places[::_EVERY], None if found.colours is None else found.colours[::_EVERY]
    vertices, faces = reduced(mesh.vertices, mesh.faces)
    few = Mesh(vertices.astype(np.float32), faces.astype(np.int32))

    def worth(iou: float, there: View) -> float:
        there = replace(view, rotation=there.rotation, position=there.position)
        return iou + _COLOURS * agreement(few, places, colours, there)

    framed = framed_from(mesh.vertices, mesh.faces, mask, _starts(mesh, view, _ALL_YAWS, _ALL_PITCHES))
    likely = [each for each in framed if each[0] > max(framed, key=itemgetter(0))[0] - _LIKELY]
    likely.sort(key=lambda each: worth(*each), reverse=True)
    fits = [fitted_view(mesh.vertices, mesh.faces, mask, start) for _, start in likely[:_TRIED]]
    best = max((worth(fit.iou, fit.view), number) for number, fit in enumerate(fits))[1]
    there = _turned(few, fits[best].view, mask, worth)
    view = replace(view, rotation=there.rotation, position=there.position)
    _check_same(found, view, silhouette_iou(mesh.vertices, mesh.faces, mask, view, _OUTLINE))
    return view


def _turned(mesh: Mesh, view: View, mask: np.ndarray, worth: Callable[[float, View], float]) -> View:
    """A view swung sideways to where it is worth most, which outlines of round things do not tell."""
    centre, size = _middle(mesh)

    def judged(there: View) -> tuple[float, View]:
        return worth(silhouette_iou(mesh.vertices, mesh.faces, mask, there, _OUTLINE // 4), there), there

    best = judged(view)
    for step in _SWINGS:
        for angle in (-step, step):
            there = judged(moved(best[1], np.array((0.0, 0.0, 0.0, 0.0, np.radians(angle))), centre, size))
            best = max(best, there, key=lambda each: each[0])
    return best[1]


def painted(mesh: Mesh, found: Found, view: View, texture: int, job: Span) -> Mesh:
    """The mesh with the picture on what it sees, its own colours or else the picture's mirror images on the rest."""
    colour = None
    if found.colours is not None:
        tree = cKDTree(_moved_along(found, mesh))

        def colour(points: np.ndarray) -> np.ndarray:
            return found.colours[tree.query(points)[1]]

    flat = unwrapped(mesh, texture, check=job.check)
    guesses = [] if colour else mirrored(flat, view)
    return baked(flat, texture, colour, [view], job.report, guesses)


def _moved_along(found: Found, mesh: Mesh) -> np.ndarray:
    """(N, 3) where the places are whose colours are remembered, on a mesh of the same triangles that moved; as they
    were where another was made."""
    if mesh.faces is not found.mesh.faces:
        return found.places
    nearest = cKDTree(found.mesh.vertices).query(found.places)[1]
    return found.places + (mesh.vertices - found.mesh.vertices)[nearest]


def _starts(mesh: Mesh, view: View, yaws: Sequence[int] = _YAWS, pitches: Sequence[float] = _PITCHES) -> list[View]:
    """From where the picture may have been taken: first from before the mesh, which faces +Z, then from all around."""
    centre, size = _middle(mesh)
    camera = view.camera
    far = _AWAY * size * camera.fx / min(camera.width, camera.height)
    front = View(camera, np.diag([1.0, -1.0, -1.0]), centre + np.array([0.0, 0.0, far]))
    turns = ((0.0, 0.0, 0.0, np.radians(pitch), np.radians(yaw)) for pitch in pitches for yaw in yaws)
    return [replace(moved(front, np.array(turn), centre, size), normals=view.normals) for turn in turns]


def _middle(mesh: Mesh) -> tuple[np.ndarray, float]:
    return mesh.bounds.astype(np.float64).mean(axis=0), float(np.linalg.norm(np.ptp(mesh.bounds, axis=0)))


def _welded(read: Read) -> Mesh:
    """The triangles as one mesh: corners at one place are one."""
    corners = np.ascontiguousarray(read.corners.reshape(-1, 3)) + np.float32(0.0)
    number = welded(corners)
    vertices = np.empty((int(number.max(initial=-1)) + 1, 3), np.float32)
    vertices[number] = corners
    faces = number.reshape(-1, 3).astype(np.int32)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    vertices, faces, _ = used_only(vertices, faces[whole])
    return Mesh(vertices, faces)


def _finer(mesh: Mesh) -> Mesh:
    """The same shape in smaller triangles: each into four, until there are enough."""
    vertices, faces = mesh.vertices, mesh.faces
    while len(faces) < FEWEST_FACES:
        ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        edges, number = np.unique(ends, axis=0, return_inverse=True)
        ab, bc, ca = (number.ravel() + len(vertices)).astype(np.int32).reshape(3, -1)
        a, b, c = faces.T
        vertices = np.concatenate([vertices, vertices[edges].mean(axis=1)]).astype(np.float32)
        smaller = (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)
        faces = np.concatenate([np.column_stack(corners) for corners in smaller])
    return Mesh(vertices, faces)


def _remembered(read: Read) -> tuple[np.ndarray, np.ndarray | None]:
    """Places on the surface, evenly spread, and the mesh's own colours there."""
    faces = np.arange(3 * len(read.corners)).reshape(-1, 3)
    area = np.linalg.norm(face_vectors(read.corners.reshape(-1, 3), faces), axis=1)
    if not read.pages or not area.sum() > 0.0:
        return np.zeros((0, 3), np.float32), None
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(area), _SAMPLES, p=area / area.sum())
    weight = rng.dirichlet(np.ones(3), _SAMPLES).astype(np.float32)
    return np.einsum("nk,nkc->nc", weight, read.corners[chosen]), read.coloured(chosen, weight)
