# SPDX-License-Identifier: GPL-3.0-or-later
"""A lighter mesh of the same shape, which carries the texture and the relief of the dense one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import bmesh
import bpy
from bmesh.types import BMesh
from mathutils import Matrix

from . import bake, fit, material
from .copies import copied, discard, edited, open_edges, put_away, replace_mesh, volume, with_modifier
from .errors import CannotChange
from .selection import select_only

WAYS = (
    ("QUADS", "Quads", "Evenly spread quads that follow the shape: QuadriFlow. For closed things"),
    ("VOXEL", "Voxels", "A grid of quads around it, which also closes what is open"),
    ("DECIMATE", "Decimate", "Fewer triangles where it is flat"),
)

NAMES = {"QUADS": "Quads", "VOXEL": "Voxels", "DECIMATE": "Light"}

OFF = 2.0
"""A mesh with more or fewer faces than this many times what was asked for is none of what was asked for."""

LOST = 0.05
"""Of a closed thing's volume: quads that lose or gain more are torn. A sailboat lost .13, 20 other cut-outs .004."""

SHORTEST = 1e-3
"""Ten times the length below which QuadriFlow refuses a mesh for one edge."""

DENSEST, PER_QUAD = 40_000, 8
"""Triangles that QuadriFlow gets at most, or at most of these per quad that is wanted. Its time grows faster than they
do: 100,000 take half a minute, 300,000 more than five."""

_ROUNDS = 4  # of finding the voxels' size
_ISLANDS_APART = 8  # pixels
_STEEPEST = 50.0  # degrees; at 66, Blender's own, charts lay over themselves and the robot's head got specks


@dataclass(frozen=True)
class Wish:
    """way: of WAYS. faces: about. texture: pixels along the side of the new textures."""

    way: str
    faces: int
    texture: int
    normal_map: bool


def retopologised(context: bpy.types.Context, dense: bpy.types.Object, wish: Wish) -> bpy.types.Object:
    """The lighter object, selected, where the dense one is, which is hidden. CannotChange: all is as it was."""
    new = copied(dense, f"{dense.name} {NAMES[wish.way]}")
    try:
        select_only(context, new)
        {"QUADS": quads, "VOXEL": _voxels, "DECIMATE": _decimated}[wish.way](context, new, wish.faces)
        _check(dense, new, wish)
        new.data.shade_smooth()
        _carry_over(context, dense, new, wish)
    except (CannotChange, RuntimeError) as error:  # the latter is what operators report
        discard(new)
        select_only(context, dense)
        raise CannotChange(str(error).removeprefix("Error: ").strip()) from None
    put_away(dense)
    select_only(context, new)
    return new


def quads(context: bpy.types.Context, thing: bpy.types.Object, faces: int) -> None:
    """QuadriFlow on the object's mesh, of which it sees as much as it can make something of in a bearable time.

    It takes short edges for none, whatever the thing's size, so it sees it larger than it is. Where a closed mesh is
    rough it leaves small holes, which are closed. Its quads leave out what lies between their corners; they are fitted.
    """
    closed, surface = not open_edges(thing.data), fit.points(thing.data)
    most = max(DENSEST, PER_QUAD * faces)
    if len(thing.data.polygons) > most:
        _decimated(context, thing, most)
    edited(thing.data, _without_forks)
    scale = max(1.0, SHORTEST / max(_shortest_edge(thing.data), 1e-9))
    thing.data.transform(Matrix.Scale(scale, 4))
    select_only(context, thing)
    bpy.ops.object.quadriflow_remesh(
        mode="FACES",
        target_faces=faces,
        seed=0,
        use_mesh_symmetry=False,
        use_preserve_sharp=False,
        use_preserve_boundary=False,
        smooth_normals=False,
    )
    thing.data.transform(Matrix.Scale(1.0 / scale, 4))
    thing.data.update()
    if closed:
        edited(thing.data, _without_holes)
    fit.onto(thing.data, surface)


def _without_forks(data: BMesh) -> None:
    """Takes apart what meets at an edge of more than two faces, for which QuadriFlow refuses a whole relief."""
    bmesh.ops.split_edges(data, edges=[edge for edge in data.edges if len(edge.link_faces) > 2])


def _without_holes(data: BMesh) -> None:
    """Fills holes with quads, and with one triangle where their edges are odd in number."""
    rim = [edge for edge in data.edges if edge.is_boundary]
    if not rim:
        return
    for face in bmesh.ops.holes_fill(data, edges=rim, sides=0)["faces"]:
        while len(face.verts) > 4:
            quad, _ = bmesh.utils.face_split(face, face.verts[0], face.verts[3])
            face = max(face, quad, key=lambda each: len(each.verts))
    bmesh.ops.recalc_face_normals(data, faces=data.faces)


def _shortest_edge(mesh: bpy.types.Mesh) -> float:
    points = [vertex.co for vertex in mesh.vertices]
    lengths = ((points[a] - points[b]).length_squared for a, b in (edge.vertices for edge in mesh.edges))
    return math.sqrt(min(lengths, default=1.0))


def _voxels(context: bpy.types.Context, thing: bpy.types.Object, faces: int) -> None:
    """A size at first by the area, then by how many faces that gave."""
    size = math.sqrt(sum(face.area for face in thing.data.polygons) / faces)
    size = min(size, max(thing.dimensions) / 4.0)
    found = None
    for _ in range(_ROUNDS):
        if found:
            size *= math.sqrt(len(found.polygons) / faces)
            bpy.data.meshes.remove(found)
        found = with_modifier(context, thing, "REMESH", mode="VOXEL", voxel_size=size)
        if not found.polygons or abs(len(found.polygons) / faces - 1.0) < 0.05:
            break
    replace_mesh(thing, found)


def _decimated(context: bpy.types.Context, thing: bpy.types.Object, faces: int) -> None:
    ratio = faces / max(1, len(thing.data.polygons))
    replace_mesh(thing, with_modifier(context, thing, "DECIMATE", ratio=min(1.0, ratio), use_collapse_triangulate=True))


def _check(dense: bpy.types.Object, new: bpy.types.Object, wish: Wish) -> None:
    """QuadriFlow refuses by a mere warning, and leaves the mesh as it was."""
    count = len(new.data.polygons)
    if count == len(dense.data.polygons) and count != wish.faces:
        other = "Voxels make a closed one of any." if wish.way == "QUADS" else "It has no more than that."
        raise CannotChange(f"The mesh was refused: it still has its {count:,} faces. {other}")
    if not wish.faces / OFF <= count <= wish.faces * OFF:
        raise CannotChange(f"It came out with {count:,} faces instead of {wish.faces:,}: ask for more, or for others")
    if wish.way == "QUADS" and not open_edges(dense.data):
        lost = abs(1.0 - volume(new.data) / volume(dense.data)) if volume(dense.data) else 0.0
        if lost > LOST:
            raise CannotChange(f"The quads lost a part of it ({lost:.0%} of its volume). Voxels keep all that is thick")


def _carry_over(context: bpy.types.Context, dense: bpy.types.Object, new: bpy.types.Object, wish: Wish) -> None:
    """UVs, texture, normal map and material of the new mesh."""
    _unwrap(new, wish.texture)
    image = bake.blank(new.name, wish.texture)
    bend = bake.blank(f"{new.name} Normals", wish.texture, is_data=True) if wish.normal_map else None
    old = next((each for each in dense.data.materials if each), None)
    made = material.textured(new.name, image, old.roughness if old else 0.9, normal_map=bend)
    if old:
        made.diffuse_color, made.use_backface_culling = old.diffuse_color, old.use_backface_culling
    new.data.materials.clear()
    new.data.materials.append(made)
    bake.onto(context, dense, new, image, bend)


def _unwrap(thing: bpy.types.Object, texture: int) -> None:
    for layer in [*thing.data.uv_layers]:
        thing.data.uv_layers.remove(layer)
    thing.data.uv_layers.new(name="UVMap")
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.uv.smart_project(
        angle_limit=math.radians(_STEEPEST), island_margin=_ISLANDS_APART / texture, margin_method="FRACTION"
    )
    bpy.ops.object.mode_set(mode="OBJECT")
