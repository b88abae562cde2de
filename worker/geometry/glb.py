# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes meshes as a binary glTF 2.0 file. Knows Mesh and the specification; must not know where a mesh came from.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html (sections 3.6 buffers, 3.7 meshes, 3.9
materials, 4.4 GLB).

Two things are there for who reads the file as it was meant (addon/session/glb.py), as extras that others pass over. A
vertex has one place on the texture, so vertices are split along its seams: those that are the first at their place come
first, and the mesh's `seams` names the bufferView with the vertex (uint32) at whose place each further one is; it is
`creased` if at one place normals differ. The material's `meanColour` is that of what the surface shows, linear.
"""

from __future__ import annotations

import io
import json
import os
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.whole_file import WholeFile
from .mesh import Mesh, lengths

UNSEEN = "_UNSEEN"
"""The attribute (a float for each vertex) that says where no photo saw the surface; glTF wants the underscore."""

_GENERATOR = "Image to 3D"
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTICES, _INDICES = 34962, 34963  # ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP = 9729, 9987, 33071
_ROUGHNESS = 0.9
_SRGB = np.arange(256) / 255.0
_LIGHT = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)
_CREASE = (
    0.87  # cosine of 30 degrees; normals at seams of the texture alone are the same, those at edges differ much more
)


def write_glb(
    mesh: Mesh, path: str | os.PathLike[str], name: str, double_sided: bool = True, jpeg_quality: int = 92
) -> None:
    """Writes `mesh` to `path` as one node called `name`, all or nothing.

    An opaque texture is stored as JPEG, one with transparency as PNG with its alpha used as a mask. OSError with a
    sentence for the user where the file cannot be written; then neither it nor a part of it is left behind.
    """
    write_parts([Part(mesh, name, double_sided)], path, jpeg_quality)


@dataclass(frozen=True, eq=False)
class Part:
    """One mesh of a file, with the name of its node."""

    mesh: Mesh
    name: str
    double_sided: bool = True


def write_parts(parts: Sequence[Part], path: str | os.PathLike[str], jpeg_quality: int = 92) -> None:
    """As `write_glb`, with a node for each part, in their order."""
    _write_whole(Path(path), encode_glb(parts, jpeg_quality))


def encode_glb(parts: Sequence[Part], jpeg_quality: int = 92) -> bytes:
    """The GLB file's bytes. ValueError for a mesh without faces or with numbers that are not finite."""
    binary = _Binary()
    document = {
        "asset": {"version": "2.0", "generator": _GENERATOR},
        "scene": 0,
        "scenes": [{"nodes": [*range(len(parts))]}],
        "nodes": [{"mesh": number, "name": _clean(part.name)} for number, part in enumerate(parts)],
        **{kind: [] for kind in ("meshes", "materials", "textures", "samplers", "images")},
    }
    for part in parts:
        _add(document, binary, part, jpeg_quality)
    document = {name: value for name, value in document.items() if value != []}
    document |= {"accessors": binary.accessors, "bufferViews": binary.views}
    document["buffers"] = [{"byteLength": len(binary.data)}]
    return container(document, bytes(binary.data))


def _add(document: dict, binary: _Binary, part: Part, jpeg_quality: int) -> None:
    """Adds a part's mesh, its material and its texture."""
    mesh, seams = _seams_last(part.mesh.validated())
    name = _clean(part.name)
    attributes = {"POSITION": binary.accessor(mesh.vertices, "VEC3", _VERTICES, bounds=True)}
    normals = mesh.normals if mesh.normals is not None else mesh.with_normals().normals
    normals = _unit(normals)
    attributes["NORMAL"] = binary.accessor(normals, "VEC3", _VERTICES)
    if mesh.uv is not None and mesh.texture is not None:
        attributes["TEXCOORD_0"] = binary.accessor(mesh.uv, "VEC2", _VERTICES)
    if mesh.unseen is not None:
        attributes[UNSEEN] = binary.accessor(mesh.unseen, "SCALAR", _VERTICES)
    narrow = len(mesh.vertices) <= 0xFFFF  # the largest value of the type is reserved (3.7.2.1)
    indices = binary.accessor(mesh.faces.ravel().astype(np.uint16 if narrow else np.uint32), "SCALAR", _INDICES)
    material = _material(mesh, name, part.double_sided)
    if "TEXCOORD_0" in attributes:
        data, mime = _picture(mesh.texture, jpeg_quality)
        number = len(document["textures"])
        material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": number}
        document["textures"].append({"source": number, "sampler": 0})
        sampler = {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, "wrapS": _CLAMP, "wrapT": _CLAMP}
        document["samplers"] = [sampler]
        document["images"].append({"name": name, "bufferView": binary.view(data), "mimeType": mime})
        material["extras"] = {"meanColour": _mean_colour(mesh)}
    primitive = {"attributes": attributes, "indices": indices, "material": len(document["materials"])}
    shape = {"name": name, "primitives": [primitive]}
    if len(seams):
        creased = (normals[seams] * normals[-len(seams) :]).sum(axis=1).min() < _CREASE
        shape["extras"] = {"seams": binary.view(seams.astype("<u4").tobytes()), "creased": bool(creased)}
    document["materials"].append(material)
    document["meshes"].append(shape)


@dataclass
class _Binary:
    """The binary chunk while it grows, with the views and accessors into it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict] = field(default_factory=list)
    accessors: list[dict] = field(default_factory=list)

    def view(self, data: bytes, target: int | None = None) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.data += data
        self.views.append(view)
        return len(self.views) - 1

    def accessor(self, array: np.ndarray, kind: str, target: int, bounds: bool = False) -> int:
        component = {"f": _FLOAT, "u": _UINT16 if array.dtype.itemsize == 2 else _UINT32}[array.dtype.kind]
        little_endian = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        view = self.view(little_endian.tobytes(), target)
        accessor = {"bufferView": view, "componentType": component, "count": len(array), "type": kind}
        if bounds:  # the decimals written are those of the float32 itself, so they match exactly
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _seams_last(mesh: Mesh) -> tuple[Mesh, np.ndarray]:
    """The mesh with the vertices first (W of them) that are the only ones or the first at their place, bit for bit; and
    of each further one the vertex (V - W,) at whose place it is. Faces with two corners at one place go."""
    vertices = mesh.vertices + np.float32(0.0)  # there are two zeros
    x, y, z = np.ascontiguousarray(vertices).view(np.uint32).T.astype(np.uint64)
    pair = x << np.uint64(32) | y
    order = np.lexsort((z, pair))  # stable: of those at one place the first comes first
    pair, z = pair[order], z[order]
    begins = np.concatenate([[True], (pair[1:] != pair[:-1]) | (z[1:] != z[:-1])])
    at = np.empty(len(order), np.int64)
    at[order] = order[begins][np.cumsum(begins) - 1]
    own = at == np.arange(len(at))
    arranged = np.concatenate([np.flatnonzero(own), np.flatnonzero(~own)])
    number = np.empty(len(at), np.int32)
    number[arranged] = np.arange(len(at), dtype=np.int32)
    own_values = {name: getattr(mesh, name) for name in ("uv", "normals", "unseen")}
    moved = {name: values[arranged] for name, values in own_values.items() if values is not None}
    moved = replace(mesh, vertices=vertices[arranged], faces=number[_with_area(mesh.faces, at)], **moved)
    return moved, number[at[arranged[own.sum() :]]]


def _with_area(faces: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The faces (F, 3) whose corners are at three places; all if there is none such. at (V,): a vertex's place."""
    a, b, c = at[faces].T
    kept = faces[(a != b) & (b != c) & (c != a)]
    return kept if len(kept) else faces


def _mean_colour(mesh: Mesh) -> list[float]:
    """Linear red, green, blue of the texture, as much of each as the surface shows of it."""
    height, width = mesh.texture.shape[:2]
    u, v = (np.clip(np.take(each, mesh.faces.T).mean(axis=0), 0.0, 1.0) for each in mesh.uv.T)
    column = np.minimum((u * width).astype(np.int64), width - 1)
    row = np.minimum((v * height).astype(np.int64), height - 1)
    texels = mesh.texture[row, column]
    weight = mesh.face_areas() + 1e-30
    if mesh.texture.shape[2] == 4:
        weight = weight * (texels[:, 3] / 255.0 + 1e-6)
    return np.round(np.average(_LIGHT[texels[:, :3]], axis=0, weights=weight), 4).tolist()


def _material(mesh: Mesh, name: str, double_sided: bool) -> dict:
    surface: dict = {"metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS}
    material = {"name": name, "pbrMetallicRoughness": surface, "doubleSided": double_sided}
    if mesh.uv is not None and mesh.texture is not None and mesh.texture.shape[2] == 4:
        material["alphaMode"] = "MASK"
    return material


def _picture(texture: np.ndarray, jpeg_quality: int) -> tuple[bytes, str]:
    """An encoded texture and its MIME type. sRGB in, sRGB out."""
    stream = io.BytesIO()
    if texture.shape[2] == 4:
        Image.fromarray(texture).save(stream, "PNG", compress_level=4)
        return stream.getvalue(), "image/png"
    sharp = 0 if jpeg_quality >= 90 else 2  # 0: colour at full resolution (4:4:4)
    Image.fromarray(texture).save(stream, "JPEG", quality=jpeg_quality, subsampling=sharp)
    return stream.getvalue(), "image/jpeg"


def _unit(normals: np.ndarray) -> np.ndarray:
    length = lengths(normals)[:, None]
    return np.where(length > 1e-6, normals / np.maximum(length, 1e-6), np.float32([0.0, 0.0, 1.0])).astype(np.float32)


def _clean(name: str) -> str:
    """The name without control characters and broken surrogates, in composed form; never empty."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cc").strip()
    return text or "picture"


def container(document: dict, binary: bytes) -> bytes:
    """The bytes of a GLB with that JSON and that buffer."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _write_whole(path: Path, data: bytes) -> None:
    try:
        with WholeFile(path) as file:
            file.write(data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"cannot write {path.name} into {path.parent}: {reason}; choose another folder"
        raise OSError(error.errno, message) from error
