# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of the scene as a file for the worker, as it is seen: with its modifiers, turned and scaled as it stands, and
around its own origin. Must not know the worker.
"""

from __future__ import annotations

from array import array
from contextlib import suppress
from itertools import chain
from pathlib import Path

import bpy
from mathutils import Matrix

from ....worker.core.refining import MOST_FACES
from ...session.glb_writing import Flat, write
from . import material
from .errors import CannotChange
from .mesh import UPRIGHT

_SMALLEST = 1e-9  # determinant of how it is turned and scaled, beside the cube of its longest axis


def turned(thing: bpy.types.Object) -> Matrix:
    """How the object is turned and scaled. Raises CannotChange where that leaves nothing of it."""
    own = thing.matrix_world.to_3x3()
    longest = max(column.length for column in own.col)
    if abs(own.determinant()) <= _SMALLEST * longest**3:
        raise CannotChange(f"{thing.name} is scaled to nothing along an axis: apply another scale first")
    return own.to_4x4()


def send(context: bpy.types.Context, thing: bpy.types.Object, path: str) -> None:
    """Writes the object to a GLB. Raises CannotChange where that cannot be worked on."""
    graph = context.evaluated_depsgraph_get()
    mesh = bpy.data.meshes.new_from_object(thing.evaluated_get(graph), depsgraph=graph)
    try:
        mesh.transform(UPRIGHT.inverted() @ turned(thing))
        mesh.calc_loop_triangles()
        count = len(mesh.loop_triangles)
        if not count:
            raise CannotChange(f"{thing.name} has no faces")
        if count > MOST_FACES:
            raise CannotChange(
                f"{thing.name} has {count:,} triangles, and {MOST_FACES:,} are the most that are refined: decimate or "
                "retopologise it first"
            )
        write(_flat(mesh, _picture(thing)), Path(path), thing.name)
    except OSError as error:
        raise CannotChange(f"{thing.name} could not be written to {path}: {error.strerror or error}") from None
    finally:
        bpy.data.meshes.remove(mesh)


def _flat(mesh: bpy.types.Mesh, picture: bytes) -> Flat:
    """Its triangles; with a picture, each corner is a vertex of its own."""
    points, corners = array("f", bytes(12 * len(mesh.vertices))), array("i", bytes(12 * len(mesh.loop_triangles)))
    mesh.vertices.foreach_get("co", points)
    mesh.loop_triangles.foreach_get("vertices", corners)
    if not picture or mesh.uv_layers.active is None:
        return Flat(points, corners)
    loops, uv = array("i", bytes(4 * len(corners))), array("f", bytes(8 * len(mesh.loops)))
    mesh.loop_triangles.foreach_get("loops", loops)
    mesh.uv_layers.active.uv.foreach_get("vector", uv)
    apart = array("f", chain.from_iterable(points[3 * corner : 3 * corner + 3] for corner in corners))
    places = array("f", chain.from_iterable((uv[2 * loop], 1.0 - uv[2 * loop + 1]) for loop in loops))
    return Flat(apart, array("i", range(len(corners))), places, picture)


def _picture(thing: bpy.types.Object) -> bytes:
    """The file of the picture that gives it its colour, b"" for none that is to be had."""
    image = material.texture(thing)
    if image is None:
        return b""
    if image.packed_file:
        return bytes(image.packed_file.data)
    with suppress(OSError):
        return Path(bpy.path.abspath(image.filepath)).read_bytes()
    return b""
