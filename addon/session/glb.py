# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the GLB that the worker writes (worker/geometry/glb.py), as memory that Blender copies from.

A glTF vertex has one place on the texture, so a mesh arrives split along its seams. Here it is put together again:
vertices at the same place, bit for bit, become one (the file says which), and each corner of a face keeps its own place
on the texture. It happens on a thread while Blender's own draws and listens, and only one of them has Python at a time:
whatever there is thousands of goes through loops in C, a few thousand at once, with a rest after each. Must not know
bpy, nor what becomes of the arrays.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import struct
import threading
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_CODES = {_FLOAT: "f", _UINT16: "H", _UINT32: "I"}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
UNSEEN = "_UNSEEN"
"""What the attribute is called that says where no photo saw the surface, in the file and in Blender."""

_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png"}
_ROUGHNESS = 0.9

_MOST = 2  # meshes: a thing, and the scene behind it

_AT_ONCE = 3 << 11
"""Corners or vertices that are looked at between two rests: one to two milliseconds of a processor on this project's
machines, in proportion. Blender calls Python dozens of times to draw itself, and may wait so long each time."""

_REST = 0.001
"""Seconds for others; with none at all the thread that rests would have Python back before they wake."""


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

    points: x, y, z of each vertex, float32. corners: three vertices per triangle, int32. starts: the first corner of
    each triangle, int32. uv: u, v of each corner, float32, v pointing up as in Blender; None without a texture.
    creased: it has edges that are not to look round. unseen: float32 for each vertex, 1 where no photo saw the surface;
    None where that is not known.
    """

    points: memoryview
    corners: memoryview
    starts: memoryview
    uv: memoryview | None
    creased: bool
    surface: Surface
    name: str = ""
    unseen: memoryview | None = None


SPLATS = ".spz"
"""How the name of a file ends that Blender itself reads, and not we."""


class Reading:
    """A file that is being read, from the moment that this is made; of splats nothing is."""

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
            self._found = () if self.path.endswith(SPLATS) else read(self.path)
        except Unreadable as error:
            self._found = error


def read(path: str) -> tuple[Shape, ...]:
    """The meshes of the file, one at least. Raises Unreadable."""
    try:
        with open(path, "rb", buffering=0) as source:
            file = _File(source)
            return tuple(_shape(file, node) for node in _nodes(file.document))
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror or error}") from None
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RecursionError, struct.error):
        raise Unreadable("the file is damaged, or none of ours") from None


class _File:
    """The parts of a GLB, each read when it is wanted: Python is anybody's while the system copies."""

    def __init__(self, file: io.FileIO) -> None:
        self._file, self._end = file, os.fstat(file.fileno()).st_size
        magic, version, length, size, kind = struct.unpack("<4sIII4s", self._part(0, 20))
        if magic != b"glTF" or version != 2 or length > self._end or kind != b"JSON":
            raise ValueError("no GLB")
        self.document: dict[str, Any] = json.loads(self._part(20, size))
        binary_size, kind = struct.unpack("<I4s", self._part(20 + size, 8))
        self._begin = 28 + size
        self._end = min(self._end, self._begin + binary_size)
        if kind != b"BIN\0":
            raise ValueError("chunks in another order")

    def view(self, number: int) -> bytes:
        """The bytes of a bufferView."""
        view = self.document["bufferViews"][number]
        return self._part(self._begin + view.get("byteOffset", 0), view["byteLength"])

    def values(self, number: int, components: tuple[int, ...], kind: str) -> memoryview:
        """The numbers of an accessor of one of these component types and of that type."""
        accessor = self.document["accessors"][number]
        component, data = accessor["componentType"], self.view(accessor["bufferView"])
        code = _CODES[component]
        size = accessor["count"] * _SIZES[kind] * struct.calcsize(code)
        if component not in components or accessor["type"] != kind or len(data) != size:
            raise ValueError("another type than ours")
        return memoryview(data).cast(code)

    def _part(self, begin: int, size: int) -> bytes:
        if not 0 <= begin <= begin + size <= self._end:
            raise ValueError("ends too early")
        self._file.seek(begin)
        data = self._file.read(size)
        if len(data) != size:
            raise ValueError("ends too early")
        return data


def _nodes(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Those with a mesh, which is where it lies."""
    nodes = document["nodes"]
    if not 0 < len(nodes) <= _MOST:
        raise Unreadable(f"the file has {len(nodes)} meshes instead of {_MOST} at most")
    for node in nodes:
        if set(node) & {"matrix", "translation", "rotation", "scale", "children"} or "mesh" not in node:
            raise ValueError("the mesh is not where it lies")
    return nodes


def _shape(file: _File, node: dict[str, Any]) -> Shape:
    document = file.document
    mesh = document["meshes"][node["mesh"]]
    [primitive] = mesh["primitives"]
    attributes, extras = primitive["attributes"], mesh.get("extras", {})
    points = file.values(attributes["POSITION"], (_FLOAT,), "VEC3")
    indices = file.values(primitive["indices"], (_UINT16, _UINT32), "SCALAR")
    seams = memoryview(file.view(extras["seams"]) if "seams" in extras else b"").cast("I")
    surface = _surface(file, document["materials"][primitive["material"]])
    coordinates = None
    if surface.texture and "TEXCOORD_0" in attributes:
        coordinates = _on_texture(file.values(attributes["TEXCOORD_0"], (_FLOAT,), "VEC2"))
    different = len(points) // 3 - len(seams)
    corners, uv = _corners(indices, _places(different, seams), coordinates)
    shape = points[: 3 * different], corners, _starts(len(corners)), uv, bool(extras.get("creased")), surface
    unseen = file.values(attributes[UNSEEN], (_FLOAT,), "SCALAR")[:different] if UNSEEN in attributes else None
    return Shape(*shape, str(node.get("name", "")), unseen)


def _steps(count: int) -> Iterator[tuple[int, int]]:
    """From where to where each step goes, with a rest after each."""
    for begin in range(0, count, _AT_ONCE):
        yield begin, min(begin + _AT_ONCE, count)
        time.sleep(_REST)


def _room(code: str, count: int) -> memoryview:
    """So many numbers. The system gives the memory when it is written to, and not all of it at once."""
    return memoryview(mmap.mmap(-1, max(1, count * struct.calcsize(code))))[: count * struct.calcsize(code)].cast(code)


def _places(different: int, seams: memoryview) -> memoryview:
    """The vertex that is at the place of each of the file's."""
    places = _room("I", different + len(seams))
    for begin, end in _steps(different):
        places[begin:end] = array("I", range(begin, end))
    for begin, end in _steps(len(seams)):
        places[different + begin : different + end] = seams[begin:end]
    return places


def _starts(corners: int) -> memoryview:
    starts = _room("i", corners // 3)
    for begin, end in _steps(len(starts)):
        starts[begin:end] = array("i", range(3 * begin, 3 * end, 3))
    return starts


def _on_texture(coordinates: memoryview) -> memoryview:
    """u and v of each vertex, both in one number so that a corner is one look-up; glTF's v points down."""
    turned = _room("f", len(coordinates))
    for begin, end in _steps(len(coordinates) // 2):
        flat = array("f", coordinates[2 * begin : 2 * end])
        flat[1::2] = array("f", map((1.0).__sub__, flat[1::2]))
        turned[2 * begin : 2 * end] = flat
    return turned.cast("B").cast("Q")


def _corners(
    indices: memoryview, places: memoryview, coordinates: memoryview | None
) -> tuple[memoryview, memoryview | None]:
    """The vertex of each corner, and u and v of each, as the vertices of the file that `indices` name have them."""
    if not indices or len(indices) % 3:
        raise ValueError("not of triangles")
    corners, pairs = _room("i", len(indices)), _room("Q", len(indices) if coordinates else 0)
    for begin, end in _steps(len(indices)):
        chosen = itemgetter(*indices[begin:end])
        corners[begin:end] = array("i", chosen(places))
        if coordinates:
            pairs[begin:end] = array("Q", chosen(coordinates))
    return corners, pairs.cast("B").cast("f") if coordinates else None


def _surface(file: _File, material: dict[str, Any]) -> Surface:
    document, look, texture = file.document, material.get("pbrMetallicRoughness", {}), None
    if "baseColorTexture" in look:
        source = document["textures"][look["baseColorTexture"]["index"]]["source"]
        image = document["images"][source]
        texture = Texture(file.view(image["bufferView"]), _ENDINGS[image["mimeType"]])
    colour = material.get("extras", {}).get("meanColour")
    return Surface(
        texture,
        material.get("alphaMode") == "MASK",
        bool(material.get("doubleSided")),
        float(look.get("roughnessFactor", _ROUGHNESS)),
        None if colour is None else tuple(map(float, colour)),
    )
