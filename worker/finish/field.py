# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing from all sides: a field becomes a closed mesh, textured with the photo where that sees it.

This is the one place where a field's axes become glTF's: upright, facing +Z, which Blender shows facing -Y.
Knows representations, pictures and geometry; must not know networks, backends or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.representations import Field, Layers
from ..core.view import PinholeCamera, View
from ..geometry.mesh import Mesh
from ..geometry.place import place
from ..geometry.surface.clean import smoothed, without_cavities, without_slivers, without_small_parts
from ..geometry.surface.decimate import decimated
from ..geometry.surface.isosurface import isosurface
from ..geometry.texturing.bake import baked
from ..geometry.texturing.mirrored import mirrored
from ..geometry.texturing.photo import Photo
from ..geometry.texturing.projection import fitted_from, moved
from ..geometry.texturing.unwrap import unwrapped
from ..pictures.edges import decontaminated
from ..pictures.load import Picture
from ..wire.protocol import CameraInfo, Value
from .asset import Asset, Stage
from .layers import LayersPlan
from .photos import with_square_pixels

_FLOATER = 0.01  # parts with a smaller share of the largest part's area are mistakes of the field
_SLIVER = 0.1  # of a cell: shorter edges are drawn together
_LEAST_IOU = 0.6
"""Outlines that agree less than this are those of different things: a photo would be smeared over the wrong places."""

_NO_CAMERA = PinholeCamera.from_fov(1, 1, 40.0)  # of what no camera is known for

_NO_FIT = "the shape's outline differs from the photo's, so the texture has the network's own colours only"

_MIRRORED = "what the photo does not show is coloured like its mirror image, as far as that is seen"
_SPREAD = "what the photo does not show is coloured like what is beside it"


@dataclass(frozen=True)
class SolidPlan:
    """What is wanted of a solid, read from the options before any work is done.

    grid: cells along the longest side of the field's box. faces: triangles at most. texture: its side in pixels.
    smooth: rounds of smoothing. photo: whether the photo is projected onto what it sees.
    """

    grid: int
    faces: int
    texture: int
    smooth: int
    photo: bool
    size: float
    origin: str

    @classmethod
    def of(cls, options: Mapping[str, Value]) -> SolidPlan:
        """From the options of a backend that gives fields."""
        counts = (int(options[name]) for name in ("grid", "faces", "texture", "smooth"))
        return cls(*counts, bool(options["photo"]), float(options["size"]), str(options["origin"]))

    def made_of(self, found: Field | Layers, picture: Picture | None, job: Job | Span, stage: Stage) -> Asset:
        """The finished thing. picture: the user's own, where there is just one. Raises Unable without a surface."""
        if isinstance(found, Layers):
            return LayersPlan(self.faces, self.texture, self.size, self.origin).made_of(found, picture, job, stage)
        with stage("surface"):
            mesh = self._surface(found, job.span(0.0, 0.5))
        with stage("texture"):
            job.report(0.5, "unwrapping")
            mesh = unwrapped(mesh, self.texture)
            job.report(0.55, "finding the photo's place")
            photos = [_photo(posed, found.to_gltf, mesh, picture) for posed in found.pictures]
            fitting = [photo for photo, iou in photos if iou >= _LEAST_IOU] if self.photo else []
            colour = _colour(found) if len(fitting) < 2 else None  # it was learned from them, and elsewhere is noise
            guesses = mirrored(mesh, fitting[0]) if found.colour is None and len(fitting) == 1 else []
            mesh = baked(mesh, self.texture, colour, fitting, job.span(0.6, 1.0).report, guesses)
        camera = photos[0][0].view.camera if photos else _NO_CAMERA
        placed = place(mesh, camera, self.size or None, self.origin)
        cameras = tuple(
            _camera_info(posed.name, photo.view, placed.scale, placed.offset)
            for posed, (photo, _) in zip(found.pictures, photos)
        )
        said = (_NO_FIT,) if self.photo and photos and not fitting else ()
        if found.colour is None and len(photos) == 1 and fitting:
            said = (_MIRRORED if guesses else _SPREAD,)
        return Asset(placed.mesh, cameras, double_sided=False, warnings=(*found.notes, *said))

    def _surface(self, field: Field, job: Span) -> Mesh:
        """The clean mesh in glTF axes, without a texture."""
        try:
            found = isosurface(field.value, field.bounds, self.grid, job.span(0.0, 0.8).report)
        except ValueError as error:
            raise Unable(str(error)) from None
        job.report(0.8, "cleaning")
        vertices, faces = without_cavities(*without_small_parts(found.vertices, found.faces, _FLOATER))
        vertices, faces = smoothed(vertices, faces, self.smooth)
        vertices, faces = without_slivers(vertices, faces, _SLIVER * found.spacing)
        job.report(0.9, "simplifying")
        vertices, faces = decimated(vertices, faces, self.faces)
        return Mesh((vertices @ field.to_gltf.T).astype(np.float32), faces).with_normals()


def _colour(field: Field) -> Callable[[np.ndarray], np.ndarray] | None:
    """The field's colours at points in glTF axes, None where it has none."""
    if field.colour is None:
        return None
    back = field.to_gltf.astype(np.float32)
    return lambda points: field.colour(np.ascontiguousarray(points @ back))


def _photo(posed: View, to_gltf: np.ndarray, mesh: Mesh, picture: Picture | None) -> tuple[Photo, float]:
    """A picture with its camera (glTF axes), and how well the thing's outline agrees with the mesh's there (IoU)."""
    view = _turned(posed.view, to_gltf)
    rgb = picture.rgb if posed.rgb is None else posed.rgb
    if posed.subject is None:
        return Photo(rgb, None, view), 1.0
    mask = posed.subject >= 128
    if posed.exact:
        return Photo(rgb, mask, view), 1.0
    centre = mesh.bounds.astype(np.float64).mean(axis=0)
    swings = (np.array([0.0, 0.0, 0.0, *np.radians(turn)]) for turn in posed.turns)
    starts = (view, *(moved(view, swing, centre, 1.0) for swing in swings))
    fit = fitted_from(mesh.vertices, mesh.faces, mask, starts)
    clean = decontaminated(rgb, posed.subject) if picture.alpha is None else rgb
    return Photo(clean, mask, fit.view), fit.iou


def _turned(view: View, turn: np.ndarray) -> View:
    return View(view.camera, view.rotation @ turn.T, turn @ view.position)


def _camera_info(name: str, view: View, scale: float, offset: np.ndarray) -> CameraInfo:
    """The camera of `view` (glTF axes) beside a mesh whose points p were moved to scale * p + offset."""
    camera = with_square_pixels(view.camera)
    longer = max(camera.width, camera.height)
    shift = (camera.width / 2.0 - camera.cx) / longer, (camera.cy - camera.height / 2.0) / longer
    # rows: the camera's axes as OpenCV has them; glTF's cameras have y and z the other way round
    x, y, z, w = Rotation.from_matrix((np.diag([1.0, -1.0, -1.0]) @ view.rotation).T).as_quat()
    position = scale * view.position + offset
    return CameraInfo(
        tuple(map(float, position)),
        camera.fov_degrees,
        camera.width,
        camera.height,
        tuple(map(float, (w, x, y, z))),
        tuple(map(float, shift)),
        name,
    )
