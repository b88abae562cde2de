# SPDX-License-Identifier: GPL-3.0-or-later
"""A solid that can be printed: closed, manifold, with a flat base, in millimetres."""

from __future__ import annotations

import bmesh
import bpy
from bmesh.types import BMEdge, BMesh
from mathutils import Matrix, Vector
from mathutils.geometry import delaunay_2d_cdt

from .copies import copied, discard, edited, open_edges, put_away, replace_mesh, volume, with_modifier
from .errors import CannotChange
from .selection import select_only

VOXELS = 256
"""Along the longest side of what has to be closed first. A printed layer of 0.2 mm is as fine on 50 mm."""

_INSIDE_WITH_HOLES = 5  # what delaunay_2d_cdt is to give
_NEAR = 1e-6  # of the longest side


def printable(context: bpy.types.Context, thing: bpy.types.Object, longest: float, base: float) -> bpy.types.Object:
    """The solid, selected, where the object is, which is hidden. Raises CannotChange, with all as it was.

    longest: its longest side in millimetres. base: how much of its height is cut off below.
    """
    new = copied(thing, f"{thing.name} Print")
    try:
        _flatten(new)
        if open_edges(new.data):
            _close(context, new)
        _set_on_base(new.data, base)
        if open_edges(new.data):  # the cut met a place where it could not be closed
            _close(context, new)
            _set_on_base(new.data, base)
        if (found := open_edges(new.data)) or volume(new.data) <= 0.0:
            raise CannotChange(f"It could not be closed: {found:,} edges are open. Make it thicker first")
    except CannotChange:
        discard(new)
        raise
    _scale(context, new, longest)
    put_away(thing)
    select_only(context, new)
    return new


def millimetres(context: bpy.types.Context, thing: bpy.types.Object) -> tuple[float, float, float]:
    """The sides of the box around it, as the scene's unit says."""
    unit = 1000.0 * context.scene.unit_settings.scale_length
    return tuple(unit * (max(axis) - min(axis)) for axis in _axes(thing.data))


def _flatten(thing: bpy.types.Object) -> None:
    """Puts turn and size into the mesh, so that down is down."""
    place = thing.matrix_world.translation.copy()
    turn = thing.matrix_world.copy()
    turn.translation = (0.0, 0.0, 0.0)
    thing.parent = None
    thing.data.transform(turn)
    thing.matrix_world = Matrix.Translation(place)


def _close(context: bpy.types.Context, thing: bpy.types.Object) -> None:
    size = max(max(axis) - min(axis) for axis in _axes(thing.data)) / VOXELS
    replace_mesh(thing, with_modifier(context, thing, "REMESH", mode="VOXEL", voxel_size=size, use_smooth_shade=True))
    if not thing.data.polygons:
        raise CannotChange("It is too thin to be closed. Generate it as Solid, or give it a thickness first")


def _set_on_base(mesh: bpy.types.Mesh, base: float) -> None:
    """Cuts off below, closes the cut with a flat face, and lets all normals point out."""

    def change(data: BMesh) -> None:
        low, high = (which(vertex.co.z for vertex in data.verts) for which in (min, max))
        if base > 0.0:
            _cut(data, low + base * (high - low))
        bmesh.ops.recalc_face_normals(data, faces=data.faces)
        if data.calc_volume(signed=True) < 0.0:
            bmesh.ops.reverse_faces(data, faces=data.faces)

    edited(mesh, change)


def _cut(data: BMesh, height: float) -> None:
    everything = [*data.verts, *data.edges, *data.faces]
    cut = bmesh.ops.bisect_plane(
        data, geom=everything, dist=_NEAR, plane_co=Vector((0, 0, height)), plane_no=Vector((0, 0, 1)), clear_inner=True
    )
    if cut["geom_cut"]:
        _fill(data, [edge for edge in data.edges if edge.is_boundary])


def _fill(data: BMesh, rim: list[BMEdge]) -> None:
    """Closes what lies in a plane z = constant with triangles, none where a corner would have to be moved or made.

    BMesh's own triangle_fill leaves holes where corners lie nearly on a line, as along a solid's flat back.
    """
    corners = [*dict.fromkeys(corner for edge in rim for corner in edge.verts)]
    number = {corner: index for index, corner in enumerate(corners)}
    edges = [tuple(number[corner] for corner in edge.verts) for edge in rim]
    flat = [corner.co.xy for corner in corners]
    _, _, triangles, of_input, _, _ = delaunay_2d_cdt(flat, edges, [], _INSIDE_WITH_HOLES, 0.0)
    if all(len(inputs) == 1 for inputs in of_input):
        for triangle in triangles:
            data.faces.new([corners[of_input[index][0]] for index in triangle])


def _scale(context: bpy.types.Context, thing: bpy.types.Object, longest: float) -> None:
    xs, ys, zs = _axes(thing.data)
    side = max(max(axis) - min(axis) for axis in (xs, ys, zs))
    wanted = longest / (1000.0 * context.scene.unit_settings.scale_length)
    middle = Vector(((max(xs) + min(xs)) / 2.0, (max(ys) + min(ys)) / 2.0, min(zs)))
    thing.data.transform(Matrix.Scale(wanted / side, 4) @ Matrix.Translation(-middle))


def _axes(mesh: bpy.types.Mesh) -> tuple[tuple[float, ...], ...]:
    """All x, all y, all z."""
    return tuple(zip(*(vertex.co for vertex in mesh.vertices)))
