# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats in a binary glTF, as KHR_gaussian_splatting says; a program that does not know it shows coloured points.

https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_gaussian_splatting, as ratified: scales are
lengths and opacities shares, quaternions end with w.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from ...core.harmonics import CONSTANT
from ...core.representations import Splats
from ..glb import container

_NAME = "KHR_gaussian_splatting"
_FLOAT, _BYTE, _ARRAY_BUFFER, _POINTS = 5126, 5121, 34962, 0
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def encode(splats: Splats, name: str = "splats") -> bytes:
    """The GLB's bytes, with one node of that name."""
    columns = {
        "POSITION": splats.centres,
        "COLOR_0": _fallback(splats),
        f"{_NAME}:ROTATION": np.roll(splats.rotations, -1, axis=1),
        f"{_NAME}:SCALE": splats.scales,
        f"{_NAME}:OPACITY": splats.opacities[:, None],
    }
    for degree in range(splats.degree + 1):
        for order in range(2 * degree + 1):
            columns[f"{_NAME}:SH_DEGREE_{degree}_COEF_{order}"] = splats.harmonics[:, degree * degree + order]
    data, views, accessors = bytearray(), [], []
    for values in columns.values():
        values = np.ascontiguousarray(values, np.uint8 if values.dtype == np.uint8 else "<f4")
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": values.nbytes, "target": _ARRAY_BUFFER})
        accessors.append(_accessor(values, len(views) - 1))
        data += values.tobytes()
    accessors[0] |= {"min": splats.centres.min(0).tolist(), "max": splats.centres.max(0).tolist()}
    told = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    primitive = {"attributes": dict(zip(columns, range(len(columns)))), "mode": _POINTS, "extensions": {_NAME: told}}
    document = {
        "asset": {"version": "2.0", "generator": "Image to 3D"},
        "extensionsUsed": [_NAME],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    return container(document, bytes(data))


def decode(content: bytes) -> Splats:
    """The splats that `encode` wrote. ValueError where it is something else."""
    length = struct.unpack_from("<I", content, 12)[0]
    document, data = json.loads(content[20 : 20 + length]), content[28 + length :]
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    if f"{_NAME}:SCALE" not in attributes:
        raise ValueError("a GLB without splats")

    def column(name: str) -> np.ndarray:
        view = document["bufferViews"][document["accessors"][attributes[name]]["bufferView"]]
        values = np.frombuffer(data, "<f4", view["byteLength"] // 4, view["byteOffset"])
        return values.reshape(document["accessors"][0]["count"], -1).astype(np.float32)

    harmonics = [column(name) for name in attributes if ":SH_DEGREE_" in name]
    rotations = np.roll(column(f"{_NAME}:ROTATION"), 1, axis=1)
    opacities = column(f"{_NAME}:OPACITY")[:, 0]
    return Splats(column("POSITION"), column(f"{_NAME}:SCALE"), rotations, opacities, np.stack(harmonics, 1))


def _fallback(splats: Splats) -> np.ndarray:
    """(N, 4) uint8: what a splat looks like from everywhere, linear as glTF's colours are, and its opacity."""
    srgb = np.clip(splats.harmonics[:, 0] * CONSTANT + 0.5, 0.0, 1.0)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.rint(np.concatenate([linear, splats.opacities[:, None]], 1) * 255.0).astype(np.uint8)


def _accessor(values: np.ndarray, view: int) -> dict:
    byte = values.dtype == np.uint8
    kind = {"componentType": _BYTE, "normalized": True} if byte else {"componentType": _FLOAT}
    return {"bufferView": view, "count": len(values), "type": _KINDS[values.shape[1]], **kind}
