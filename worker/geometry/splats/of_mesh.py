# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured surface as splats: flat ones that lie in it, each as large as the piece that it stands for, and larger
ones just behind, so that nothing else shines through between two.

A triangle is cut into n x n alike ones; a piece's splat has its middle, its second moments (of a triangle with corners
p_i about its middle m: sum (p_i - m)(p_i - m)^T / 12) and the texture's mean colour there.

Most programs blend splats in the order of their middles' depths: of two that overlap the nearer one hides the other, so
that on a slanted surface each is seen farther away than its middle is. What is looked at from a known place gets its
colours for that.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from ...core.harmonics import of_colours
from ...core.representations import Splats
from ..mesh import Mesh
from ..texturing.photo import sampled

_WIDER = 2.2
"""So many times a piece's own deviations are its splat's: less lets through what is behind, more is soft. A meadow, a
vase on a table and a room of true depth, 12 degrees aside: 33.9, 28.9 and 30.1 dB with 2, 34.2, 28.8 and 30.1 with
2.2."""

_BEHIND, _NARROWER = 1.0, 0.8
"""Of a larger piece's deviation, how far behind the surface its splat lies, and how much less wide it is than one in
the surface. A meadow and a room of true depth, 12 degrees aside: 33.6 and 29.7 dB with none (then best 2.4 times as
wide as their pieces), 34.2 and 29.9 with as many splats in all; half as deep or .6 as wide: 34.2 and 30.0, 33.9 and
30.0."""

_FRONT = 0.83  # share of the splats that lie in the surface; those behind are about a quarter as many

_LONG, _ROUNDS, _MORE = 6.0, 6, 0.2
"""So many times longer than high a triangle is cut, how often at most, and how many triangles more there may be, per
splat that is wanted, or what needs it less gets too few. Of true depth, 12 degrees aside, with 16, 5, .08 and now: a
room 29.9 and 30.1 dB, a vase on a table 28.7 and 28.8, a meadow 34.2 both, for a tenth more splats; without it a
landscape loses 1.8 dB, and with no limit a meadow 3."""

_FLAT = 1e-3
"""Of the surface's piece, how thick a splat is: not nothing, whose logarithm no format holds."""

_OPACITY = 0.99  # as much as most programs let one have

_BEYOND, _SQUARE = 0.4, 0.2
"""So many of a splat's deviations beyond its middle it is taken to be seen, and the sine of the slant at which that
begins: what is seen squarely has another order from each place. Where splats are sorted, .7 is better yet, but Cycles
asks each ray what comes first. A room and a meadow of true depth, sorted, from the photo's place: 35.1 and 36.8 dB with
0, 36.1 and 37.6 with .4, 37.3 and 38.0 with .7; floor and chairs of that room in Cycles: 39.1, 39.8 and 39.1 dB."""


def splats_of(meshes: tuple[Mesh, ...], most: int, eye: np.ndarray | None = None) -> Splats:
    """At most about so many splats of the meshes' surfaces. eye: (3,) the place from which they are looked at, if it is
    one. ValueError where they have none."""
    total = sum(mesh.area for mesh in meshes)
    if not total > 0.0:
        raise ValueError("no surface of which splats could be made")
    wanted = [max(int(most * mesh.area / total), 1) for mesh in meshes]
    parts = [_pieces(_bisected(mesh, int(_MORE * many)), many, eye) for mesh, many in zip(meshes, wanted)]
    centres, moments, colours = (np.concatenate(values) for values in zip(*parts))
    scales, rotations = _axes(moments)
    opacities = np.full(len(centres), _OPACITY, np.float32)
    return Splats(centres.astype(np.float32), scales, rotations, opacities, of_colours(colours))


def _bisected(mesh: Mesh, spare: int) -> Mesh:
    """The same surface without triangles that are much longer than high, as far as `spare` triangles more allow: cut in
    the middle of their longest side, again and again (Rivara 1984). The splat of such a one would reach beyond its ends
    by its own length."""
    vertices, faces, uv = mesh.vertices, mesh.faces, mesh.uv
    for _ in range(_ROUNDS):
        corners = vertices[faces].astype(np.float64)
        sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        double = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        longer = np.where(double > 0.0, sides.max(1) ** 2 / np.maximum(double, 1e-30), 0.0)
        long = np.argsort(-longer, kind="stable")[: min(int((longer > _LONG).sum()), spare)]
        if not len(long):
            break
        spare -= len(long)
        turn = (sides[long].argmax(1)[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[long], turn, 1).T
        middles = np.arange(len(vertices), len(vertices) + len(a))
        vertices = np.concatenate([vertices, (vertices[a] + vertices[b]) / 2])
        uv = None if uv is None else np.concatenate([uv, (uv[a] + uv[b]) / 2])
        halves = np.stack([a, middles, c], 1), np.stack([middles, b, c], 1)
        faces = np.concatenate([np.delete(faces, long, axis=0), *halves]).astype(np.int32)
    return dataclasses.replace(mesh, vertices=vertices, faces=faces, uv=uv, normals=None)


def _pieces(mesh: Mesh, most: int, eye: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles (N, 3), second moments (N, 3, 3) and sRGB (N, 3) in [0, 1], of about `most` pieces."""
    areas, most = _shown(mesh), int(_FRONT * most)
    across = np.ceil(np.sqrt(areas / areas.sum() * most)).astype(int)
    while (across**2).sum() > 1.3 * most and across.max() > 1:  # a triangle that is one piece counts, however small
        across = np.maximum((across * 0.9).astype(int), 1)
    across[areas <= 0.0] = 0
    behind = np.where(across > 1, (across + 1) // 2, 0)
    parts = _cut(across), _cut(behind)
    faces, weights = (np.concatenate(values) for values in zip(*parts))
    many, back = across[faces], slice(len(parts[0][0]), None)
    many[back] = behind[faces[back]]
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    about = corners - corners.mean(1, keepdims=True)
    moments = np.einsum("fkd,fke->fde", about, about)[faces] / (12.0 * many**2)[:, None, None]
    middles = np.einsum("nk,nkd->nd", weights, corners[faces])
    normals = np.cross(about[:, 1] - about[:, 0], about[:, 2] - about[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    deep = _BEHIND * np.sqrt(np.trace(moments[back], axis1=1, axis2=2))
    middles[back] -= deep[:, None] * normals[faces[back]]
    moments[back] *= _NARROWER**2
    return middles, moments, _coloured(mesh, faces, weights, many, eye)


def _shown(mesh: Mesh) -> np.ndarray:
    """(F,) how much each triangle shows: of the texture where it has one, whose far parts are large and show little;
    none of those that have no surface."""
    areas = mesh.face_areas()
    if mesh.texture is None or mesh.uv is None:
        return areas
    a, b, c = mesh.uv[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    u, v = b - a, c - a
    texels = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return np.where(areas > 0.0, np.maximum(texels, 1e-12), 0.0)


def _cut(across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of triangles that are cut into across x across: the face of each piece, and its middle's weights (N, 3)."""
    faces, weights = [np.zeros(0, np.int64)], [np.zeros((0, 3))]
    for many in np.unique(across[across > 0]):
        rows, columns = np.mgrid[:many, :many]
        inside = rows + columns < many
        upright = np.stack([rows[inside], columns[inside]], 1) + 1.0 / 3.0
        turned = np.stack([rows[rows + columns < many - 1], columns[rows + columns < many - 1]], 1) + 2.0 / 3.0
        first = np.concatenate([upright, turned]) / many
        middle = np.concatenate([first, 1.0 - first.sum(1, keepdims=True)], 1)
        here = np.flatnonzero(across == many)
        faces.append(np.repeat(here, len(middle)))
        weights.append(np.tile(middle, (len(here), 1)))
    return np.concatenate(faces), np.concatenate(weights)


def _coloured(
    mesh: Mesh, faces: np.ndarray, weights: np.ndarray, across: np.ndarray, eye: np.ndarray | None
) -> np.ndarray:
    """The texture's mean over each piece, or a middle grey without one: over three places halfway to the piece's
    corners, which have its second moments."""
    if mesh.texture is None or mesh.uv is None:
        return np.full((len(faces), 3), 0.7)
    corners = mesh.uv[mesh.faces].astype(np.float64) * mesh.texture.shape[1::-1]
    about = corners - corners.mean(1, keepdims=True)
    places = np.einsum("nk,nkd->nd", weights, corners[faces])
    if eye is not None:
        places += _beyond(mesh, about, eye)[faces] / across[:, None]
    picture = mesh.texture[..., :3].astype(np.float32)
    found = [sampled(picture, places + about[faces, k] / (2 * across)[:, None]) for k in range(3)]
    return np.mean(found, axis=0) / 255.0


def _beyond(mesh: Mesh, about: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(F, 2) texels by which the splat of a whole triangle is seen farther from the eye than its middle is: along the
    slope of the distance, none of what faces away. about: (F, 3, 2) texels from the triangle's middle to its
    corners."""
    corners = mesh.vertices[mesh.faces] - np.asarray(eye, np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    towards = np.einsum("fd,fd->f", normals, corners[:, 0]) < 0.0
    distances = np.linalg.norm(corners, axis=2)
    distances -= distances.mean(1, keepdims=True)
    spread = (corners - corners.mean(1, keepdims=True)).reshape(-1, 9)
    deviations = np.sqrt((distances**2).sum(1) + _SQUARE**2 / 2.0 * (spread**2).sum(1))
    shift = np.einsum("fk,fkd->fd", distances, about) / np.maximum(deviations, 1e-12)[:, None]
    return towards[:, None] * (_BEYOND * _WIDER / 12.0**0.5) * shift


def _axes(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviations (N, 3) and unit quaternions (N, 4) of the moments, a little wider than they are."""
    values, vectors = np.linalg.eigh(moments)
    vectors[:, :, 0] *= np.sign(np.linalg.det(vectors))[:, None]
    deviations = np.sqrt(np.maximum(values, 0.0))
    deviations = np.maximum(_WIDER * deviations, _FLAT * deviations.max(1, keepdims=True)).clip(1e-7)
    return deviations.astype(np.float32), np.roll(Rotation.from_matrix(vectors).as_quat(), 1, axis=1).astype(np.float32)
