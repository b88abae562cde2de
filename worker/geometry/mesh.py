# SPDX-License-Identifier: GPL-3.0-or-later
"""The textured triangle mesh that every part of the geometry hands on.

Must not know where a mesh came from, nor files. Axes are glTF's: right-handed, +Y up, the front faces +Z.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with an optional texture.

    vertices: (V, 3) float32 positions. faces: (F, 3) int32, counter-clockwise seen from outside.
    uv: (V, 2) float32, (0, 0) is the texture's top left and v points down (glTF). normals: (V, 3) float32, unit length.
    texture: (h, w, 3 or 4) uint8, sRGB with straight alpha, row 0 on top. unseen: (V,) float32, 1 where none of several
    photos sees the surface, else 0; None where that is not known.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    normals: np.ndarray | None = None
    texture: np.ndarray | None = None
    unseen: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.vertices)
        _expect("vertices", self.vertices, np.float32, (count, 3))
        _expect("faces", self.faces, np.int32, (len(self.faces), 3))
        if self.uv is not None:
            _expect("uv", self.uv, np.float32, (count, 2))
        if self.normals is not None:
            _expect("normals", self.normals, np.float32, (count, 3))
        if self.unseen is not None:
            _expect("unseen", self.unseen, np.float32, (count,))
        t = self.texture
        if t is not None and not (t.ndim == 3 and t.shape[2] in (3, 4) and t.dtype == np.uint8):
            raise ValueError(f"texture must be (h, w, 3 or 4) uint8, not {t.shape} {t.dtype}")

    @property
    def bounds(self) -> np.ndarray:
        """(2, 3) float32: the smallest and largest coordinates of the vertices. An empty mesh raises ValueError."""
        if not len(self.vertices):
            raise ValueError("an empty mesh has no bounds")
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def face_areas(self) -> np.ndarray:
        """(F,) float64 area of each triangle, in square units of the vertices."""
        return 0.5 * lengths(face_vectors(self.vertices, self.faces))

    @property
    def area(self) -> float:
        """Area of all triangles, in square units of the vertices."""
        return float(self.face_areas().sum())

    def transformed(self, scale: float, offset: np.ndarray) -> Mesh:
        """The mesh with its vertices at `scale * vertex + offset` (offset (3,), same unit as the result)."""
        moved = self.vertices.astype(np.float64) * scale + np.asarray(offset, np.float64)
        return replace(self, vertices=moved.astype(np.float32))

    def with_normals(self) -> Mesh:
        """The mesh with smooth vertex normals, the area-weighted mean of the adjoining faces'."""
        return replace(self, normals=vertex_normals(self.vertices, self.faces))

    def validated(self) -> Mesh:
        """The mesh itself, after a check that it can be drawn: finite numbers, indices in range, at least one face."""
        if not len(self.faces):
            raise ValueError("the mesh has no faces")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ValueError("a face of the mesh names a vertex that does not exist")
        for name in ("vertices", "uv", "normals"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise ValueError(f"the mesh's {name} contain numbers that are not finite")
        return self


def joined(mesh: Mesh, other: Mesh) -> Mesh:
    """Both as one mesh, with the other's texture, reduced to half the mesh's width, below the mesh's."""
    height, width = mesh.texture.shape[:2]
    half = max(1, width // 2)
    size = half, max(1, round(other.texture.shape[0] * half / other.texture.shape[1]))
    below = np.asarray(Image.fromarray(other.texture[..., :3]).resize(size, Image.Resampling.BOX))
    texture = np.concatenate([mesh.texture[..., :3], np.pad(below, ((0, 0), (0, width - half), (0, 0)), mode="edge")])
    first = mesh.uv * np.float32([1.0, height / len(texture)])
    second = other.uv * np.float32([half / width, len(below) / len(texture)]) + np.float32([0.0, height / len(texture)])
    faces = np.concatenate([mesh.faces, other.faces + np.int32(len(mesh.vertices))])
    arrays = (np.concatenate(pair) for pair in ((mesh.vertices, other.vertices), (mesh.normals, other.normals)))
    vertices, normals = arrays
    return Mesh(vertices, faces, np.concatenate([first, second]), normals, texture)


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F, 3) float64 normals of the faces whose length is twice the face's area."""
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = (np.take(each, faces.T) for each in vertices.T.astype(np.float64))
    bx, cx, by, cy, bz, cz = bx - ax, cx - ax, by - ay, cy - ay, bz - az, cz - az  # planes: rows of three are slow
    return np.stack([by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx], axis=1)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """(N,) how long vectors (N, 3) are, many times as fast as `np.linalg.norm`."""
    x, y, z = vectors.T
    return np.sqrt(x * x + y * y + z * z)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32 unit normals, area-weighted; +Z where no face gives a direction."""
    corner, count = faces.ravel(), len(vertices)
    vectors = face_vectors(vertices, faces).T
    total = np.stack([np.bincount(corner, np.repeat(each, 3), minlength=count) for each in vectors], axis=1)
    length = lengths(total)
    flat = length < 1e-30
    total[flat] = (0.0, 0.0, 1.0)
    length[flat] = 1.0
    return (total / length[:, None]).astype(np.float32)


def used_only(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices that a face names, faces renumbered (int32), and the old index (int64) of each kept vertex."""
    used = np.zeros(len(vertices), bool)
    used[faces.ravel()] = True
    kept = np.flatnonzero(used)
    number = np.full(len(vertices), -1, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    return vertices[kept], number[faces], kept


def _expect(name: str, array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} must be {shape} {np.dtype(dtype).name}, not {array.shape} {array.dtype}")
