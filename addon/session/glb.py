# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the GLB that the worker writes (worker/geometry/glb.py), as arrays of the standard library.

A glTF vertex has one place on the texture, so a mesh arrives split along its seams. Here it is put together again:
vertices at the same place, bit for bit, become one (the file says which), and each corner of a face keeps its own place
on the texture. Only loops in C touch what there is thousands of, and none of them for long: it happens on a thread, and
Blender's own waits for each. Must not know bpy, nor what becomes of the arrays.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
from array import array
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_CODES = {_FLOAT: "f", _UINT16: "H", _UINT32: "I"}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png"}
_ROUGHNESS = 0.9

_MOST = 2  # meshes: a thing, and the scene behind it

_AT_ONCE = 3 << 14
"""Corners that one loop in C takes: two to five milliseconds on this project's machines. A multiple of three."""


class Unreadable(Exception):
    """The file is not one of the worker's; the message is for the user."""


@dataclass(frozen=True)
class Texture:
    """An encoded picture, JPEG or PNG as `ending` (".jpg", ".png") says."""

    data: bytes
    ending: str


@dataclass(frozen=True)
class Surface:
    """How the mesh looks. masked: its texture's alpha cuts parts away. colour: the texture's mean, linear, None if the
    file does not say."""

    texture: Texture | None
    masked: bool
    double_sided: bool
    roughness: float
    colour: tuple[float, float, float] | None


@dataclass(frozen=True)
class Shape:
    """A triangle mesh in glTF's axes, +Y up. name: its node's.

    points: x, y, z of each vertex, float32. corners: three vertices per triangle, int32. uv: u, v of each corner,
    float32, v pointing up as in Blender; None without a texture. creased: it has edges that are not to look round.
    """

    points: array
    corners: array
    uv: array | None
    creased: bool
    surface: Surface
    name: str = ""


class Reading:
    """A file that is being read, from the moment that this is made."""

    def __init__(self, path: str) -> None:
        self.path, self._found = path, Unreadable("it was not read to its end")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def shapes(self) -> tuple[Shape, ...]:
        """The meshes of the file; waits for them unless the reading is over. Raises Unreadable."""
        self._thread.join()
        if isinstance(self._found, Unreadable):
            raise self._found
        return self._found

    def _read(self) -> None:
        try:
            self._found = read(self.path)
        except Unreadable as error:
            self._found = error


def read(path: str) -> tuple[Shape, ...]:
    """The meshes of the file, one at least. Raises Unreadable."""
    try:
        document, binary = _chunks(Path(path).read_bytes())
        return tuple(_shape(document, binary, node) for node in _nodes(document))
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror or error}") from None
    except (KeyError, IndexError, TypeError, ValueError, struct.error):
        raise Unreadable("the file is damaged, or none of ours") from None


def _chunks(data: bytes) -> tuple[dict[str, Any], memoryview]:
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != b"glTF" or version != 2 or length > len(data):
        raise ValueError("no GLB")
    size, kind = struct.unpack_from("<I4s", data, 12)
    binary_size, binary_kind = struct.unpack_from("<I4s", data, 20 + size)
    if kind != b"JSON" or binary_kind != b"BIN\0":
        raise ValueError("chunks in another order")
    begin = 28 + size
    return json.loads(data[20 : 20 + size]), memoryview(data)[begin : begin + binary_size]


def _nodes(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Those with a mesh, which is where it lies."""
    nodes = document["nodes"]
    if not 0 < len(nodes) <= _MOST:
        raise Unreadable(f"the file has {len(nodes)} meshes instead of {_MOST} at most")
    for node in nodes:
        if set(node) & {"matrix", "translation", "rotation", "scale", "children"} or "mesh" not in node:
            raise ValueError("the mesh is not where it lies")
    return nodes


def _shape(document: dict[str, Any], binary: memoryview, node: dict[str, Any]) -> Shape:
    mesh = document["meshes"][node["mesh"]]
    [primitive] = mesh["primitives"]
    attributes, extras = primitive["attributes"], mesh.get("extras", {})
    places = _bytes(document, binary, attributes["POSITION"], (_FLOAT, "VEC3"))
    indices = _values(document, binary, primitive["indices"])
    seams = _array("I", _view(document, binary, extras["seams"])) if "seams" in extras else ()
    surface = _surface(document, binary, document["materials"][primitive["material"]])
    coordinates = None
    if surface.texture and "TEXCOORD_0" in attributes:
        coordinates = _on_texture(_bytes(document, binary, attributes["TEXCOORD_0"], (_FLOAT, "VEC2")))
    different = len(places) // 12 - len(seams)
    corners, uv = _corners(indices, [*range(different), *seams], coordinates)
    return Shape(
        _array("f", places[: 12 * different]),
        corners,
        uv,
        bool(extras.get("creased")),
        surface,
        str(node.get("name", "")),
    )


def _corners(indices: array, place: list[int], coordinates: list[int] | None) -> tuple[array, array | None]:
    """The vertex of each corner, and u and v of each, as the vertices of the file that `indices` name have them."""
    if not indices or len(indices) % 3:
        raise ValueError("not of triangles")
    corners, pairs = array("i"), array("Q")
    for begin in range(0, len(indices), _AT_ONCE):
        chosen = itemgetter(*indices[begin : begin + _AT_ONCE])
        corners.extend(array("i", chosen(place)))
        if coordinates is not None:
            pairs.extend(array("Q", chosen(coordinates)))
    if coordinates is None:
        return corners, None
    uv = array("f")
    uv.frombytes(memoryview(pairs).cast("B"))
    return corners, uv


def _on_texture(coordinates: memoryview) -> list[int]:
    """u and v of each vertex, both in one number so that a corner is one look-up; glTF's v points down."""
    pairs: list[int] = []
    for begin in range(0, len(coordinates), 8 * _AT_ONCE):
        flat = _array("f", coordinates[begin : begin + 8 * _AT_ONCE])
        flat[1::2] = array("f", map((1.0).__sub__, flat[1::2]))
        pairs += memoryview(flat).cast("B").cast("Q").tolist()
    return pairs


def _surface(document: dict[str, Any], binary: memoryview, material: dict[str, Any]) -> Surface:
    look = material.get("pbrMetallicRoughness", {})
    texture = None
    if "baseColorTexture" in look:
        source = document["textures"][look["baseColorTexture"]["index"]]["source"]
        image = document["images"][source]
        texture = Texture(bytes(_view(document, binary, image["bufferView"])), _ENDINGS[image["mimeType"]])
    colour = material.get("extras", {}).get("meanColour")
    return Surface(
        texture,
        material.get("alphaMode") == "MASK",
        bool(material.get("doubleSided")),
        float(look.get("roughnessFactor", _ROUGHNESS)),
        None if colour is None else tuple(map(float, colour)),
    )


def _values(document: dict[str, Any], binary: memoryview, number: int) -> array:
    kind = document["accessors"][number]["componentType"]
    return _array(_CODES[kind], _bytes(document, binary, number, (kind, "SCALAR")))


def _bytes(document: dict[str, Any], binary: memoryview, number: int, expected: tuple[int, str]) -> memoryview:
    accessor = document["accessors"][number]
    kind = accessor["componentType"], accessor["type"]
    view = _view(document, binary, accessor["bufferView"])
    size = accessor["count"] * _SIZES[kind[1]] * struct.calcsize(_CODES[kind[0]])
    if kind != expected or len(view) != size:
        raise ValueError("another type than ours")
    return view


def _view(document: dict[str, Any], binary: memoryview, number: int) -> memoryview:
    view = document["bufferViews"][number]
    begin, size = view.get("byteOffset", 0), view["byteLength"]
    if begin + size > len(binary):
        raise ValueError("ends too early")
    return binary[begin : begin + size]


def _array(code: str, data: bytes | memoryview) -> array:
    """Files are little-endian everywhere."""
    values = array(code)
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values
