# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of making an asset better by pictures of it from sides that no photo shows: which are asked for, and what
becomes of shape and texture once they are painted.

Knows views and geometry; must not know networks, methods or requests. Meshes and views are in glTF axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..core import refining
from ..core.errors import Invalid
from ..core.job import Job, Span
from ..core.representations import Field
from ..core.texts import shortened
from ..core.view import View
from ..geometry.around import worst_known
from ..geometry.mesh import Mesh, used_only
from ..geometry.oriented import Cloud
from ..geometry.place import Placed
from ..geometry.texturing.bake import baked
from ..geometry.texturing.consensus import agreed
from ..geometry.texturing.photo import Sight
from ..geometry.texturing.projection import silhouette_iou
from ..geometry.texturing.seen import Seen, pictured
from ..geometry.texturing.spread import welded
from ..geometry.texturing.unwrap import unwrapped
from ..geometry.views_pull import pulled
from ..pictures.silhouette import large_parts
from .asset import Asset
from .field import camera_info, surface
from .options import FieldOptions
from .photos import resized
from .seen import marked

Shape = Callable[[Sequence[View], Callable[[np.ndarray], np.ndarray], int, Job | Span], Field]
"""The solid that views with masks show: of them, of the signed distance (N,), positive inside, from places (N, 3) to
the shape that was there before, and of the cells along its longest side. All in glTF axes."""

ALIKE = 34.0
"""dB: pictures that agree better look the same."""

BEHIND = ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0))
"""Colours, sRGB in [0, 1], before which a thing is shown: that one which its photos have least of."""

_MIXED = 3  # pixels beside an outline that mix colours
_PHOTO = 768  # pixels of a photo's longer side that are looked at, at least
_SMOOTH = 20  # rounds of smoothing, which takes the stairs of marching cubes
_RIM = (0.01, 0.12)  # of a picture's side: how far its outline may move at strength 0 and 1
_FAR_OFF = 1.5  # of the rim's width: beyond, a picture shows nothing but its plain colour, and its noise
_PARTS = ("vertices", "faces", "uv", "normals", "texture")
_FITTING = 0.98  # IoU of a photo's outline and the mesh's: nothing is to be moved
_SPECK, _HOLE = 0.02, 0.01  # of the thing's pixels: smaller pieces, and holes, are mistakes
_TOLD = 0.06  # sRGB of 1 by which a colour differs from the plain one at least
_SURE = 3.0  # deviations of the noise by which it does
_PLAINEST = 0.6  # of what lies far from a render: a new part of the thing may reach into the rest
_FAINT, _RARE = 0.2, 0.02
"""Colours, sRGB of 1, that differ less from the plain one do not tell how much of a pixel is the thing's; and less of
the pixels near by tells no colour of the thing's."""
_SMEARED = 12.0  # pixels of blur per sRGB of 1 of noise


@dataclass(frozen=True)
class Plan:
    """Of one round. size: pixels along a view's side. views: how many are made. strength: how far a repainter may go,
    confidence: how far it is believed beside a photo's 1. grid: cells along the thing; faces: at most; texture:
    texels along the side."""

    size: int
    views: int
    strength: float
    confidence: float
    grid: int
    faces: int
    texture: int


STRENGTHS = (1.0, 0.6, 0.35, 0.2)
"""How far a repainter may go in each round: first it invents, then it sharpens. Later rounds have the last."""

CONFIDENCE = 0.5
"""How far what was painted is believed, beside a photo: of two that differ, the photo wins."""

PRESETS = {
    name: Plan(*sizes, grid=grid, faces=refining.PRESETS[name].faces, texture=refining.PRESETS[name].texture)
    for name, sizes, grid in (
        ("fast", (192, 6, 1.0, CONFIDENCE), 96),
        ("balanced", (256, 8, 1.0, CONFIDENCE), 128),
        ("high", (256, 10, 1.0, CONFIDENCE), 160),
    )
}
"""Of each, the first round's plan: the next has twice the size."""

LARGEST = 1024
"""Pixels along a view's side, at most."""


def plans(preset: str, rounds: int = 0) -> list[Plan]:
    """Of each round. rounds: 0: as many as the preset says. Raises Invalid."""
    if preset not in PRESETS:
        raise Invalid(f"there is no preset {shortened(preset)!r}: choose one of {', '.join(PRESETS)}")
    first, found = PRESETS[preset], []
    for number in range(rounds or refining.PRESETS[preset].rounds):
        strength = STRENGTHS[min(number, len(STRENGTHS) - 1)]
        found.append(replace(first, size=min(first.size * 2**number, LARGEST), strength=strength))
    return found


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture that is to be painted. picture: (H, W, 3) uint8 before one colour; unknown: (H, W) float32, as a
    repainter takes it; facing: (H, W) float32 cosine between the surface and the line of sight."""

    view: View
    picture: np.ndarray
    unknown: np.ndarray
    share: np.ndarray
    facing: np.ndarray


def plain(photos: Sequence[View]) -> np.ndarray:
    """(3,) float32, the colour of BEHIND that differs most from the photos'."""
    colours = np.concatenate([photo.rgb[photo.mask >= 128][::97] for photo in photos]) / 255.0
    nearest = [np.percentile(np.linalg.norm(colours - behind, axis=1), 2.0) for behind in BEHIND]
    return np.float32(BEHIND[int(np.argmax(nearest))])


def before(photo: View, behind: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the thing of a photo before one colour (3,)."""
    share = photo.mask[..., None] / np.float32(255.0)
    return np.rint(photo.rgb * share + 255.0 * behind * (1.0 - share)).astype(np.uint8)


def asked(mesh: Mesh, photos: Sequence[View], plan: Plan, behind: np.ndarray, number: int = 0) -> list[Asked]:
    """The views that are known worst, as far as they are known. number: of the round; each has other places."""
    views = worst_known(mesh, photos, plan.views, plan.size, number)
    return [_asked(mesh, photos, view, plan, behind) for view in views]


def _asked(mesh: Mesh, photos: Sequence[View], view: View, plan: Plan, behind: np.ndarray) -> Asked:
    picture, share = pictured(mesh, view, behind)
    seen = Seen.of(mesh, view)
    points, normals = seen.points, seen.normals
    best = np.zeros(len(points), np.float32)
    for photo in photos:
        np.maximum(best, Sight(photo, mesh.vertices, mesh.faces).trust(points, normals)[0], out=best)
    ray = view.position - points
    facing = np.abs((ray * normals).sum(axis=1)) / np.maximum(np.linalg.norm(ray, axis=1), 1e-12)
    reach = _rim(plan)
    inside = share >= 128
    near = ndimage.distance_transform_edt(~inside) < reach
    unknown = seen.laid(1.0 - best, np.float32(0.0))
    rim = near & (ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] < reach)
    unknown = np.where(rim, 1.0, unknown)  # a photo tells the colours there, and not how deep they lie
    return Asked(view, picture, unknown.astype(np.float32), share, seen.laid(facing.astype(np.float32), 0.0))


def _rim(plan: Plan) -> float:
    """Pixels by which an outline may move."""
    return max(2.0, plan.size * (_RIM[0] + (_RIM[1] - _RIM[0]) * plan.strength))


def taken(ask: Asked, painted: np.ndarray, plan: Plan, behind: np.ndarray) -> View:
    """The view with what was painted, (H, W, 3) uint8, its outline, and how far each pixel is believed."""
    return _believed(ask, painted, _outlined(ask, painted, plan, behind), plan)


def _believed(ask: Asked, painted: np.ndarray, mask: np.ndarray, plan: Plan) -> View:
    """The view with what was painted within a mask (H, W) uint8."""
    believed = np.where(ask.unknown > 0.5, plan.confidence, 1.0) * np.where(ask.facing > 0, ask.facing, 0.5)
    believed = np.where(mask >= 128, believed, 0.0)
    return replace(ask.view, rgb=painted, mask=mask, confidence=believed.astype(np.float32))


def _outlined(ask: Asked, painted: np.ndarray, plan: Plan, behind: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of the thing in what was painted before one colour, which may be noisy. Where a photo tells the
    render's colours it stays the thing's, unless it was painted over with the plain one."""
    inside = ask.share >= 128
    away = ndimage.distance_transform_edt(~inside) > _FAR_OFF * _rim(plan)
    apart = painted / np.float32(255.0) - behind
    away = _plainest(apart, away)
    apart = apart - (apart[away].mean(axis=0) if away.any() else 0.0)
    shown = _shown(apart, away)
    stays = inside & ~_shown(ask.picture / np.float32(255.0) - behind, away)
    found = np.where(ask.unknown > 0.0, shown, stays | shown)
    found = ndimage.binary_opening(ndimage.binary_closing(found, iterations=1), iterations=1)
    found = large_parts(found, _SPECK * found.mean())
    found = ~large_parts(~found, _HOLE * found.mean())  # of the plain colour are also highlights and labels
    return np.rint(255.0 * _share(found, apart)).astype(np.uint8)


def _plainest(apart: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(H, W) bool: the part of what is far away (H, W) bool that differs least from the plain colour, (H, W, 3)."""
    strong = np.linalg.norm(ndimage.gaussian_filter(apart, (2.0, 2.0, 0)), axis=2)
    return away & (strong <= np.quantile(strong[away], _PLAINEST)) if away.any() else away


def _shown(apart: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a picture, of which is told by how much it differs from the plain colour, (H, W, 3), shows
    anything. away: (H, W) bool, where it does not, so that its noise is seen there."""
    noise = float(apart[away].std()) if away.any() else 0.0
    blur = min(_SMEARED * noise, 4.0)
    smooth = ndimage.gaussian_filter(apart, (blur, blur, 0)) if blur > 0.3 else apart
    left = noise / max(2.0 * np.sqrt(np.pi) * blur, 1.0)
    strong = np.linalg.norm(smooth, axis=2)
    beside = ndimage.maximum_filter(strong, 2 * round(3.0 * max(blur, 0.7)) + 1)  # the thing's own, half of it at a rim
    return strong > np.maximum(max(_TOLD, _SURE * left * np.sqrt(3.0)), beside / 2.0)


def _share(found: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """(H, W) float32 the thing's share of each pixel, of the pixels that are its own (bool), and by how much the
    picture differs from the plain colour (H, W, 3): along the outline as much as it does inside of it, near by."""
    inner = ndimage.binary_erosion(found, iterations=_MIXED - 1).astype(np.float32)
    there = ndimage.gaussian_filter(inner, _MIXED)
    own = ndimage.gaussian_filter(apart * inner[..., None], (_MIXED, _MIXED, 0)) / np.maximum(there, 1e-6)[..., None]
    strength = np.square(own).sum(axis=2)
    share = np.clip((apart * own).sum(axis=2) / np.maximum(strength, 1e-6), 0.0, 1.0)
    rim = ndimage.binary_dilation(found, iterations=2) & ~ndimage.binary_erosion(found, iterations=2, border_value=1)
    return np.where(rim & (there > _RARE) & (strength > _FAINT**2), share, found).astype(np.float32)


def followed(
    mesh: Mesh,
    photos: Sequence[View],
    before: Sequence[View],
    asks: Sequence[Asked],
    pictures: Sequence[np.ndarray],
    plan: Plan,
    shape: Shape | None,
    job: Job | Span,
) -> tuple[Mesh, tuple[View, ...]] | None:
    """The mesh after what was painted, (H, W, 3) uint8 of each ask, and all views; None where the user has had enough
    before its texture. before: of earlier rounds. shape: None where what was painted tells nothing of the shape: it
    follows the photos' outlines alone, and the texture keeps what it has."""
    behind = plain(photos)
    if shape is None:
        views = [_believed(ask, picture, ask.share, plan) for ask, picture in zip(asks, pictures)]
        own = outlined(mesh, photos, job.span(0.0, 0.3))
        return agreed(own, [*_small(photos, plan), *views], job.span(0.3, 1.0).report, on_top=True), (*before, *views)
    new = [taken(ask, picture, plan, behind) for ask, picture in zip(asks, pictures)]
    views = (*before, *new)
    found = shaped(mesh, photos, views, plan, shape, job.span(0.0, 0.5))
    return None if job.is_enough() else (painted(found, photos, views, plan, job.span(0.5, 1.0)), views)


def outlined(mesh: Mesh, photos: Sequence[View], job: Job | Span) -> Mesh:
    """The mesh, with its texture, as the photos' outlines show it; the same where they do already."""
    job.report(0.0, "following the outlines")
    if np.mean([likeness(mesh, photo)[0] for photo in photos]) >= _FITTING:
        return mesh
    whole = _welded(mesh)
    moved = pulled(whole.vertices, whole.faces, [(photo, 1.0) for photo in photos], check=job.check)
    found = replace(mesh, vertices=moved[cKDTree(whole.vertices).query(mesh.vertices)[1]], normals=None)
    return found.with_normals()


def shaped(
    mesh: Mesh, photos: Sequence[View], views: Sequence[View], plan: Plan, shape: Shape, job: Job | Span
) -> Mesh:
    """The mesh, without a texture, as all views show it."""
    job.report(0.0, "following the outlines")
    whole = _welded(mesh)
    weighted = [*((photo, 1.0) for photo in photos), *((view, plan.confidence) for view in views)]
    moved = pulled(whole.vertices, whole.faces, weighted, check=job.check)
    before = Cloud.of(replace(whole, vertices=moved, normals=None))
    field = shape([*_small(photos, plan), *views], before.value, plan.grid, job.span(0.1, 0.7))
    made = surface(field, FieldOptions(grid=plan.grid, faces=plan.faces, smooth=_SMOOTH), job.span(0.7, 0.9))
    return outlined(made, photos, job.span(0.9, 1.0))  # smoothing takes what is thin back


def painted(mesh: Mesh, photos: Sequence[View], views: Sequence[View], plan: Plan, job: Job | Span) -> Mesh:
    """The mesh with the texture on which all views agree best."""
    job.report(0.0, "unwrapping")
    flat = unwrapped(mesh, plan.texture, check=job.check)
    every = [*_small(photos, plan), *views]
    first = baked(flat, plan.texture, None, every, job.span(0.1, 0.5).report)
    return agreed(first, every, job.span(0.5, 1.0).report)


def finished(mesh: Mesh, photos: Sequence[View], notes: tuple[str, ...] = ()) -> Asset:
    """The mesh where it is, with what no photo sees marked, and the photos' cameras."""
    mesh = marked(mesh.with_normals(), photos)
    at_rest = Placed(mesh, 1.0, np.zeros(3))
    return Asset(mesh, tuple(camera_info(photo, at_rest) for photo in photos), False, notes)


def to_arrays(mesh: Mesh) -> dict[str, np.ndarray]:
    """What `of_arrays` makes the mesh of again."""
    return {part: values for part in _PARTS if (values := getattr(mesh, part)) is not None}


def of_arrays(arrays: Mapping[str, np.ndarray]) -> Mesh:
    """The mesh whose `to_arrays` are among these."""
    return Mesh(**{part: arrays[part] for part in _PARTS if part in arrays})


def likeness(mesh: Mesh, photo: View) -> tuple[float, float]:
    """How the mesh agrees with a photo: outlines (IoU), and colours where both are for sure (PSNR in dB)."""
    small = _smaller(photo, 512)
    iou = silhouette_iou(mesh.vertices, mesh.faces, photo.mask >= 128, photo, 512)
    seen = Seen.of(mesh, small)
    both = ndimage.binary_erosion(seen.where & (small.mask >= 128), iterations=_MIXED)
    if not both.any():
        return iou, 0.0
    error = np.square(seen.laid(seen.colours, 0.0)[both] - small.rgb[both] / 255.0).mean()
    return iou, min(float(-10.0 * np.log10(max(error, 1e-9))), ALIKE)


def _small(photos: Sequence[View], plan: Plan) -> list[View]:
    """The photos, as fine as a round looks at them."""
    return [_smaller(photo, max(2 * plan.size, _PHOTO)) for photo in photos]


def _smaller(view: View, most: int) -> View:
    """The view with at most so many pixels along the longer side."""
    camera = view.camera.at_most(most)
    return view if camera == view.camera else resized(view, camera, view.rotation, view.position)


def _welded(mesh: Mesh) -> Mesh:
    """The same triangles, of which corners at one place are one."""
    number = welded(mesh.vertices)
    vertices = np.empty((int(number.max()) + 1, 3), np.float32)
    vertices[number] = mesh.vertices
    faces = number[mesh.faces].astype(np.int32)
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    vertices, faces, _ = used_only(vertices, faces[whole])
    return Mesh(vertices, faces)
