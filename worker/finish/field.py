# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing from all sides: a field becomes a closed mesh, textured with the photo where that sees it.

This is the one place where a field's axes become glTF's: upright, facing +Z, which Blender shows facing -Y.
Knows representations, pictures and geometry; must not know networks, methods or requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.camera_info import CameraInfo
from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Field
from ..core.view import View
from ..geometry.mesh import Mesh, face_vectors
from ..geometry.place import Placed, place
from ..geometry.surface.clean import (
    smoothed,
    without_cavities,
    without_short_edges,
    without_slivers,
    without_small_parts,
)
from ..geometry.surface.decimate import decimated
from ..geometry.surface.isosurface import isosurface
from ..geometry.texturing.bake import baked
from ..geometry.texturing.mirrored import mirrored
from ..geometry.texturing.projection import fitted_from, moved
from ..geometry.texturing.unwrap import unwrapped
from ..pictures.silhouette import apart
from .asset import Asset
from .behind import imagined
from .options import FieldOptions
from .photos import with_square_pixels
from .seen import marked, only_known, only_seen

_FLOATER = 0.01  # parts with a smaller share of the largest part's area are mistakes of the field
_FRAGMENT = 0.1
"""Parts of a smaller share are mistakes too where there are more parts than the outlines show apart; a larger one is
rather a limb that is too thin where it hangs on. Of 21 cut-outs' parts the smallest that was truly apart had .028."""

_RIM = 1.5  # cells over which smoothing rounds where a place was closed at its box
_SLIVER = 0.1  # of a cell: shorter edges are drawn together
_LEAST_IOU = 0.6
"""Outlines that agree less than this are those of different things: a photo would be smeared over the wrong places."""

_FINER = 1.25  # texels per pixel of the photo: pixels and texels do not lie on each other, and blur a little
_PAGE_USED = 0.5  # of the texture by charts, about
_BLOCK, _LEAST_PAGE = 64, 256  # the side is a multiple of the first, and at least the second

_NO_FIT = "the shape's outline differs from the photo's, so the texture has the network's own colours only"

_MIRRORED = "what the photo does not show is coloured like its mirror image, as far as that is seen"
_IMAGINED = "what the photo does not show has colours and patches of what it shows"
_SPREAD = "what the photo does not show is coloured like what is beside it"


def finished(field: Field, options: FieldOptions, job: Job | Span) -> Asset:
    """The finished thing. Raises Unable without a surface."""
    with job.timed("surface"):
        mesh = surface(field, options, job.span(0.0, 0.5))
    with job.timed("texture"):
        mesh, views, said = _textured(field, mesh, options, job.span(0.5, 1.0))
    mesh = marked(mesh, views) if len(views) > 1 else mesh
    placed = place(mesh, options.size or None, options.origin)
    cameras = tuple(camera_info(view, placed) for view in views)
    photos = views if all(view.rgb is not None for view in views) else ()
    return Asset(placed.mesh, cameras, double_sided=_is_place(field), warnings=(*field.notes, *said), photos=photos)


def surface(field: Field, options: FieldOptions, job: Span) -> Mesh:
    """The clean mesh in glTF axes, without a texture: of a place, only what its photos saw."""
    try:
        found = isosurface(field.value, field.bounds, options.grid, job.span(0.0, 0.8).report)
    except ValueError as error:
        raise Unable(str(error)) from None
    job.report(0.8, "cleaning")
    alone = _FLOATER, _most_parts(field.views), _FRAGMENT
    vertices, faces = without_cavities(*without_small_parts(found.vertices, found.faces, *alone))
    vertices, faces = smoothed(vertices, faces, options.smooth)
    vertices, faces = without_slivers(vertices, faces, _SLIVER * found.spacing)
    job.report(0.9, "simplifying")
    vertices, faces = decimated(vertices, faces, options.faces)
    vertices, faces = without_short_edges(vertices, faces)
    if _is_place(field):
        if field.known is not None:
            vertices, faces = only_known(vertices, faces, field.known)
        vertices, faces = only_seen(vertices, faces, field.views, field.bounds, _RIM * found.spacing)
    vertices, faces = without_small_parts(vertices, faces, *alone)  # where it was thinner than its triangles
    return Mesh((vertices @ field.to_gltf.T).astype(np.float32), faces).with_normals()


def _is_place(field: Field) -> bool:
    """Whether the field is all that several photos show, not a thing that was cut out of them."""
    return len(field.views) > 1 and all(view.mask is None for view in field.views)


def _most_parts(views: tuple[View, ...]) -> int | None:
    """As how many parts, that do not touch each other, an outline shows the thing at most; None where none is known."""
    return max((apart(view.mask)[1] for view in views if view.mask is not None), default=0) or None


def _textured(
    field: Field, mesh: Mesh, options: FieldOptions, job: Span
) -> tuple[Mesh, tuple[View, ...], tuple[str, ...]]:
    """The mesh with its texture, the views in glTF axes with their cameras where they were found to be, and sentences
    for the user."""
    job.report(0.0, "finding the photo's place")
    registered = [_registered(view, field.to_gltf, mesh) for view in field.views]
    views = tuple(view for view, _ in registered)
    shown = [(view, iou) for view, iou in registered if view.rgb is not None] if options.photo else []
    fitting = [view for view, iou in shown if iou >= _LEAST_IOU]
    job.report(0.1, "unwrapping")
    size = _page(mesh, fitting[0], options.texture) if len(fitting) == len(field.views) == 1 else options.texture
    mesh = unwrapped(mesh, size, check=job.check)
    colour = _colour(field) if len(fitting) < 2 else None  # it was learned from them, and elsewhere is noise
    guessing = field.colour is None and len(fitting) == 1
    guesses = mirrored(mesh, fitting[0]) if guessing else []
    colour = imagined(fitting[0]) if guessing else colour
    mesh = baked(mesh, size, colour, fitting, job.span(0.2, 1.0).report, guesses)
    if shown and not fitting:
        return mesh, views, (_NO_FIT,)
    if field.colour is None and len(views) == 1 and fitting:
        return mesh, views, (_MIRRORED if guesses else _SPREAD if colour is None else _IMAGINED,)
    return mesh, views, ()


def _page(mesh: Mesh, photo: View, most: int) -> int:
    """Texels along the texture's side, at most so many: about as fine as the photo shows the thing, since finer ones
    would cost time and show nothing more."""
    centre = mesh.bounds.astype(np.float64).mean(axis=0)
    pixels = photo.camera.fx / np.linalg.norm(photo.position - centre)  # per unit of length
    area = np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1).sum() / 2.0
    wanted = _FINER * pixels * np.sqrt(area / _PAGE_USED)
    return min(most, max(_LEAST_PAGE, _BLOCK * -(-int(wanted) // _BLOCK)))


def _colour(field: Field) -> Callable[[np.ndarray], np.ndarray] | None:
    """The field's colours at points in glTF axes, None where it has none."""
    if field.colour is None:
        return None
    back = field.to_gltf.astype(np.float32)
    return lambda points: field.colour(np.ascontiguousarray(points @ back))


def _registered(view: View, to_gltf: np.ndarray, mesh: Mesh) -> tuple[View, float]:
    """The view in glTF axes, and how well the thing's outline agrees with the mesh's there (IoU)."""
    turned = replace(view, rotation=view.rotation @ to_gltf.T, position=to_gltf @ view.position)
    if view.mask is None or view.exact:
        return turned, 1.0
    centre = mesh.bounds.astype(np.float64).mean(axis=0)
    swings = (np.array([0.0, 0.0, 0.0, *np.radians(turn)]) for turn in view.turns)
    starts = (turned, *(moved(turned, swing, centre, 1.0) for swing in swings))
    fit = fitted_from(mesh.vertices, mesh.faces, view.mask >= 128, starts)
    return replace(turned, camera=fit.view.camera, rotation=fit.view.rotation, position=fit.view.position), fit.iou


def camera_info(view: View, placed: Placed) -> CameraInfo:
    """The camera of `view` (glTF axes) beside the mesh, which was moved."""
    camera = with_square_pixels(view.camera)
    longer = max(camera.width, camera.height)
    shift = (camera.width / 2.0 - camera.cx) / longer, (camera.cy - camera.height / 2.0) / longer
    # rows: the camera's axes as OpenCV has them; glTF's cameras have y and z the other way round
    x, y, z, w = Rotation.from_matrix((np.diag([1.0, -1.0, -1.0]) @ view.rotation).T).as_quat()
    position = placed.scale * view.position + placed.offset
    return CameraInfo(
        tuple(map(float, position)),
        camera.fov_degrees,
        camera.width,
        camera.height,
        tuple(map(float, (w, x, y, z))),
        tuple(map(float, shift)),
        view.name,
    )
