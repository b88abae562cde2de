# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a light mesh onto the surface of a dense one, which it then follows as closely as its faces can."""

from __future__ import annotations

import bpy
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from mathutils.interpolate import poly_3d_calc

ROUNDS = 4
"""Each takes a fifth of a second. Of how far a bottle's and a robot's surface were from 4,000 quads, on average 6.2 and
3.8 mm of 2 m, one leaves 4.5 and 2.1, four 3.3 and 1.4, and six 2.9 and 1.3."""

_POINTS = 30_000  # of the dense mesh are looked at, at most

Point = tuple[Vector, Vector]


def tree(mesh: bpy.types.Mesh) -> BVHTree:
    """What finds the mesh's nearest point, in its own axes."""
    return BVHTree.FromPolygons([vertex.co for vertex in mesh.vertices], [face.vertices for face in mesh.polygons])


def points(mesh: bpy.types.Mesh) -> list[Point]:
    """Places all over a mesh, each with the direction outwards there."""
    count = len(mesh.vertices) + len(mesh.polygons)
    step = max(1, count // _POINTS)
    corners = [(each.co.copy(), each.normal.copy()) for each in [*mesh.vertices][::step]]
    return corners + [(each.center.copy(), each.normal.copy()) for each in [*mesh.polygons][::step]]


def onto(mesh: bpy.types.Mesh, surface: list[Point]) -> None:
    """Moves the mesh's vertices so that its faces pass through the middle of the points.

    Each face is drawn to the points that are nearest to it and face the way it does, and its corners share that by how
    near they are: least squares by steps that need no matrix.
    """
    vertices, faces = mesh.vertices, mesh.polygons
    for _ in range(ROUNDS):
        found, normals = tree(mesh), [face.normal.copy() for face in faces]
        pull, weight = [Vector() for _ in vertices], [1e-9] * len(vertices)
        for point, outwards in surface:
            place, _, face, _ = found.find_nearest(point)
            if face is None or normals[face].dot(outwards) <= 0.0:
                continue
            corners = [*faces[face].vertices]
            for corner, share in zip(corners, poly_3d_calc([vertices[each].co for each in corners], place)):
                pull[corner] += share * (point - place)
                weight[corner] += share
        for vertex, far, total in zip(vertices, pull, weight):
            vertex.co += far / total
        mesh.update()
