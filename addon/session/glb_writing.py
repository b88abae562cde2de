# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a mesh as a GLB for the worker. Must not know bpy, nor where the arrays come from."""

from __future__ import annotations

import json
import struct
from array import array
from dataclasses import dataclass
from pathlib import Path

_FLOAT, _UINT32 = 5126, 5125
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True)
class Flat:
    """Triangles in glTF's axes. points: x, y, z of each vertex; corners: three vertices per triangle. uv: u, v of each
    vertex, v down, or None. picture: the bytes of a PNG or JPEG file, b"" for none."""

    points: array
    corners: array
    uv: array | None = None
    picture: bytes = b""


def write(flat: Flat, path: Path, name: str) -> None:
    """Writes the file. Raises OSError."""
    kind = next((kind for head, kind in _KINDS.items() if flat.picture.startswith(head)), "")
    coloured = flat.uv is not None and bool(kind)
    parts = [flat.points.tobytes(), flat.corners.tobytes(), *([flat.uv.tobytes(), flat.picture] if coloured else ())]
    views, offset = [], 0
    for part in parts:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(part)})
        offset += len(part) + -len(part) % 4
    binary = b"".join(part + b"\0" * (-len(part) % 4) for part in parts)
    document = _document(flat, name, kind if coloured else "")
    document |= {"bufferViews": views, "buffers": [{"byteLength": len(binary)}]}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


def _document(flat: Flat, name: str, kind: str) -> dict[str, object]:
    attributes, count = {"POSITION": 0}, len(flat.points) // 3
    accessors = [
        {"bufferView": 0, "componentType": _FLOAT, "count": count, "type": "VEC3"},
        {"bufferView": 1, "componentType": _UINT32, "count": len(flat.corners), "type": "SCALAR"},
    ]
    primitive = {"attributes": attributes, "indices": 1, "material": 0}
    look: dict[str, object] = {"materials": [{}]}
    if kind:
        attributes["TEXCOORD_0"] = 2
        accessors.append({"bufferView": 2, "componentType": _FLOAT, "count": count, "type": "VEC2"})
        surface = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
        look = {"materials": [surface], "textures": [{"source": 0}]}
        look["images"] = [{"bufferView": 3, "mimeType": kind}]
    shown = {"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": name}]}
    return {
        "asset": {"version": "2.0"},
        **shown,
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
    } | look
