# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the triangles of a GLB (glTF 2.0) of anybody's, with its colours. Must not know what it is read for.

Whatever is wrong with a file becomes one sentence (`Unable`).
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from ..core.errors import Unable

_TYPES = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES = 4
_DEEPEST = 100  # nodes within nodes


@dataclass(frozen=True, eq=False)
class Read:
    """corners: (F, 3, 3) float32 places of each face's corners, in glTF's axes. uv: (F, 3, 2) float32, v down, of each
    corner on its page. page: (F,) which of `pages`, each (h, w, 3) uint8 sRGB, colours a face; -1 for none. name: the
    first mesh's, "" where it has none. double_sided: whether the first material is seen from both sides."""

    corners: np.ndarray
    uv: np.ndarray
    page: np.ndarray
    pages: tuple[np.ndarray, ...]
    name: str
    double_sided: bool = False

    def coloured(self, face: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(N, 3) float32 sRGB in [0, 1] of places on faces (N,), with these barycentric weights (N, 3)."""
        at = np.einsum("nk,nkc->nc", weight, self.uv[face]) % 1.0
        found = np.full((len(face), 3), 0.5, np.float32)
        for number, picture in enumerate(self.pages):
            own = self.page[face] == number
            size = np.array(picture.shape[1::-1])
            column, row = np.minimum((at[own] * size).astype(int), size - 1).T
            found[own] = picture[row, column] / np.float32(255.0)
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """Triangles of one surface, as in Read. picture: their page, or None."""

    corners: np.ndarray
    uv: np.ndarray
    picture: np.ndarray | None


def read_glb(path: Path) -> Read:
    """All triangles of the file's scene. Raises Unable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unable(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if data[:4] != b"glTF":
        raise Unable(f"{path.name} is no GLB file: export the mesh as one (glTF binary)")
    try:
        found = _File.of(data).triangles()
    except Unable as error:
        raise Unable(f"{path.name} {error}") from None
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, OverflowError, struct.error):
        raise Unable(f"{path.name} is damaged, or of a kind that is not known here: export it anew") from None
    return found


@dataclass(frozen=True, eq=False)
class _File:
    document: dict[str, Any]
    binary: bytes

    @classmethod
    def of(cls, data: bytes) -> _File:
        _, version, _, size, kind = struct.unpack("<4sIII4s", data[:20])
        if version != 2 or kind != b"JSON":
            raise ValueError("of another version")
        return cls(json.loads(data[20 : 20 + size]), data[28 + size :])

    def triangles(self) -> Read:
        scene = self.document["scenes"][self.document.get("scene", 0)]
        parts = [part for node in scene["nodes"] for part in self._below(node, np.eye(4), 0)]
        if not parts:
            raise Unable("has no triangles")
        corners = np.concatenate([part.corners for part in parts])
        if not np.isfinite(corners).all():
            raise Unable("has places that are no numbers")
        pages = [part.picture for part in parts if part.picture is not None]
        number = {id(picture): place for place, picture in enumerate(pages)}
        page = [np.full(len(part.corners), number.get(id(part.picture), -1)) for part in parts]
        uv = np.nan_to_num(np.concatenate([part.uv for part in parts]))
        both = next((each.get("doubleSided", False) for each in self.document.get("materials", ())), False)
        return Read(corners, uv, np.concatenate(page), tuple(pages), str(self._name()), bool(both))

    def _name(self) -> str:
        return next((node.get("name", "") for node in self.document["nodes"] if "mesh" in node), "")

    def _below(self, number: int, parent: np.ndarray, depth: int) -> list[_Part]:
        if depth > _DEEPEST:
            raise ValueError("nodes within nodes without end")
        node = self.document["nodes"][number]
        own = parent @ _matrix(node)
        found = [part for child in node.get("children", ()) for part in self._below(child, own, depth + 1)]
        if "mesh" in node:
            for primitive in self.document["meshes"][node["mesh"]]["primitives"]:
                if primitive.get("mode", _TRIANGLES) == _TRIANGLES:
                    found.append(self._primitive(primitive, own))
        return found

    def _primitive(self, primitive: dict[str, Any], matrix: np.ndarray) -> _Part:
        attributes = primitive["attributes"]
        places = self._values(attributes["POSITION"]).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is told of below
            places = (places @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
        count = len(places)
        index = self._values(primitive["indices"]).ravel() if "indices" in primitive else np.arange(count)
        faces = index[: len(index) // 3 * 3].reshape(-1, 3).astype(np.int64)
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, ::-1]
        look = self._material(primitive).get("pbrMetallicRoughness", {})
        if "TEXCOORD_0" not in attributes or (picture := self._picture(look)) is None:
            return _Part(places[faces], np.zeros((len(faces), 3, 2), np.float32), None)
        return _Part(places[faces], self._values(attributes["TEXCOORD_0"])[faces].astype(np.float32), picture)

    def _material(self, primitive: dict[str, Any]) -> dict[str, Any]:
        return self.document["materials"][primitive["material"]] if "material" in primitive else {}

    def _picture(self, look: dict[str, Any]) -> np.ndarray | None:
        """(h, w, 3) uint8 sRGB, None where there is none that can be read."""
        if "baseColorTexture" not in look:
            return None
        source = self.document["textures"][look["baseColorTexture"]["index"]].get("source")
        view = None if source is None else self.document["images"][source].get("bufferView")
        if view is None:
            return None
        try:
            with Image.open(io.BytesIO(self._view(view))) as image:
                return np.asarray(image.convert("RGB"))
        except OSError:
            return None

    def _view(self, number: int) -> bytes:
        view = self.document["bufferViews"][number]
        start = view.get("byteOffset", 0)
        return self.binary[start : start + view["byteLength"]]

    def _values(self, number: int) -> np.ndarray:
        """(N, C) of an accessor."""
        accessor = self.document["accessors"][number]
        kind, width, count = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]], accessor["count"]
        view = self.document["bufferViews"][accessor["bufferView"]]
        step, own = view.get("byteStride") or kind.itemsize * width, kind.itemsize * width
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        if start < 0 or count < 0 or start + (count - 1) * step + own > len(self.binary):
            raise ValueError("ends too early")
        rows = np.ndarray((count, width), kind, self.binary, start, (step, kind.itemsize))
        return rows.astype(np.float32) / 65535.0 if accessor.get("normalized") and kind.itemsize == 2 else rows.copy()


def _matrix(node: dict[str, Any]) -> np.ndarray:
    """(4, 4) of a node in its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    own = np.eye(4)
    turn = Rotation.from_quat(node.get("rotation", (0.0, 0.0, 0.0, 1.0))).as_matrix()
    own[:3, :3] = turn * np.array(node.get("scale", (1.0, 1.0, 1.0)), np.float64)
    own[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return own
