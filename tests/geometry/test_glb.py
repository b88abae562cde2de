# SPDX-License-Identifier: GPL-3.0-or-later
"""GLB files, read back by hand, by trimesh and by the Khronos validator where it is at hand."""

import errno
import io
import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.geometry import glb
from image_to_3d.worker.geometry.glb import write_glb
from image_to_3d.worker.geometry.mesh import Mesh
from PIL import Image

VALIDATE = """
const validator = require(process.argv[1]);
const bytes = new Uint8Array(require("fs").readFileSync(process.argv[2]));
validator.validateBytes(bytes).then(report => console.log(JSON.stringify(report.issues)));
"""


def sheet(rows=4, columns=5, channels=3, alpha=255):
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([first, first + columns, first + columns + 1, first + 1], axis=1)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    vertices = np.stack([x, -y, 0.1 * x * y], axis=-1).reshape(-1, 3)
    uv = np.stack([x / (columns - 1), y / (rows - 1)], axis=-1).reshape(-1, 2)
    texture = np.random.default_rng(0).integers(0, 255, (8, 16, channels), dtype=np.uint8)
    if channels == 4:
        texture[..., 3] = alpha
    return Mesh(vertices, faces, uv, texture=texture).with_normals()


def parsed(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, json_type = struct.unpack_from("<I4s", data, 12)
    assert json_type == b"JSON" and json_length % 4 == 0
    binary_length, binary_type = struct.unpack_from("<I4s", data, 20 + json_length)
    assert binary_type == b"BIN\0" and binary_length % 4 == 0
    binary = data[28 + json_length :]
    assert len(binary) == binary_length
    return json.loads(data[20 : 20 + json_length]), binary


def accessor(document: dict, binary: bytes, number: int) -> np.ndarray:
    entry = document["accessors"][number]
    view = document["bufferViews"][entry["bufferView"]]
    dtype = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[entry["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[entry["type"]]
    assert view["byteOffset"] % 4 == 0
    return np.frombuffer(binary, dtype, entry["count"] * width, view["byteOffset"]).reshape(-1, width)


def test_what_no_photo_saw_is_an_attribute_of_its_own(tmp_path):
    mesh, path = sheet(), tmp_path / "a.glb"
    write_glb(replace(mesh, unseen=np.arange(len(mesh.vertices), dtype=np.float32)), path, "a")
    document, binary = parsed(path)
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    assert accessor(document, binary, attributes["_UNSEEN"]).ravel().tolist() == [*range(len(mesh.vertices))]
    write_glb(mesh, path, "a")
    assert "_UNSEEN" not in parsed(path)[0]["meshes"][0]["primitives"][0]["attributes"]


def test_file_holds_one_named_textured_mesh(tmp_path):
    mesh, path = sheet(), tmp_path / "a.glb"
    write_glb(mesh, path, "Küche 厨房 🍳")
    document, binary = parsed(path)
    assert [node["name"] for node in document["nodes"]] == ["Küche 厨房 🍳"]
    (primitive,) = document["meshes"][0]["primitives"]
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert position["min"] == mesh.vertices.min(axis=0).tolist()
    assert position["max"] == mesh.vertices.max(axis=0).tolist()
    assert np.array_equal(accessor(document, binary, primitive["attributes"]["POSITION"]), mesh.vertices)
    assert np.array_equal(accessor(document, binary, primitive["attributes"]["TEXCOORD_0"]), mesh.uv)
    assert np.array_equal(accessor(document, binary, primitive["indices"]).ravel(), mesh.faces.ravel())
    normals = accessor(document, binary, primitive["attributes"]["NORMAL"])
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-5)
    material = document["materials"][0]
    assert material["doubleSided"] is True
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert document["images"][0]["mimeType"] == "image/jpeg"


@pytest.mark.parametrize("channels", [3, 4])
def test_the_mean_colour_is_linear_and_of_what_is_shown(tmp_path, channels):
    vertices = np.float32([[0, 0, 0], [3, 0, 0], [0, 3, 0], [5, 0, 0], [6, 0, 0], [5, 1, 0]])  # nine times as large
    uv = np.float32([[0.1, 0.5], [0.2, 0.5], [0.1, 0.6], [0.7, 0.5], [0.8, 0.5], [0.7, 0.6]])
    texture = np.full((8, 8, channels), 255, np.uint8)
    texture[:, :4, :3], texture[:, 4:, :3] = (188, 10, 0), (0, 10, 255)
    write_glb(Mesh(vertices, np.int32([[0, 1, 2], [3, 4, 5]]), uv, texture=texture), tmp_path / "a.glb", "a")
    found = parsed(tmp_path / "a.glb")[0]["materials"][0]["extras"]["meanColour"]
    assert found == pytest.approx([0.9 * 0.5029, 10 / 255 / 12.92, 0.1], abs=2e-4)


def test_transparent_texture_is_a_png_with_its_very_pixels(tmp_path):
    mesh, path = sheet(channels=4, alpha=100), tmp_path / "a.glb"
    write_glb(mesh, path, "a", double_sided=False)
    document, binary = parsed(path)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    picture = Image.open(io.BytesIO(binary[view["byteOffset"] :][: view["byteLength"]]))
    assert np.array_equal(np.asarray(picture), mesh.texture)
    assert document["materials"][0]["alphaMode"] == "MASK"
    assert document["materials"][0]["doubleSided"] is False


@pytest.mark.parametrize(("columns", "component"), [(5, 5123), (20_000, 5125)])
def test_indices_are_as_narrow_as_they_can_be(tmp_path, columns, component):
    write_glb(sheet(4, columns), tmp_path / "a.glb", "a")
    document, _ = parsed(tmp_path / "a.glb")
    assert document["accessors"][document["meshes"][0]["primitives"][0]["indices"]]["componentType"] == component


def test_another_program_reads_the_same_mesh(tmp_path):
    mesh = sheet()
    write_glb(mesh, tmp_path / "a.glb", "a", jpeg_quality=95)
    read = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    assert np.allclose(read.vertices, mesh.vertices) and np.array_equal(read.faces, mesh.faces)
    assert np.allclose(read.visual.uv[:, 1], 1.0 - mesh.uv[:, 1])


@pytest.mark.parametrize("name", ["", "\n\t", "a\x00b\x1f", "\udce9 lone surrogate", "x" * 5000])
def test_odd_names_are_cleaned(tmp_path, name):
    write_glb(sheet(), tmp_path / "a.glb", name)
    document, _ = parsed(tmp_path / "a.glb")
    assert document["nodes"][0]["name"].isprintable() and document["nodes"][0]["name"]


@pytest.mark.parametrize("bad", ["nan", "empty", "index"])
def test_broken_mesh_is_refused_and_nothing_is_written(tmp_path, bad):
    mesh = sheet()
    vertices, faces = mesh.vertices.copy(), mesh.faces.copy()
    if bad == "nan":
        vertices[0, 0] = np.nan
    faces = faces[:0] if bad == "empty" else faces
    if bad == "index":
        faces[0, 0] = len(vertices)
    with pytest.raises(ValueError):
        write_glb(Mesh(vertices, faces), tmp_path / "a.glb", "a")
    assert not list(tmp_path.iterdir())


def test_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.glb"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(glb.os, "fsync", full)
    with pytest.raises(OSError, match="a.glb .*no space left") as caught:
        write_glb(sheet(), path, "a")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(OSError, match="choose another folder"):
        write_glb(sheet(), tmp_path / "none" / "a.glb", "a")


def test_existing_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.glb"
    path.write_bytes(b"x" * 10_000_000)
    write_glb(sheet(), path, "a")
    parsed(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="session")
def validator() -> str:
    folder = os.environ.get("GLTF_VALIDATOR")
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    if not folder or not Path(folder, "package.json").is_file():
        pytest.skip("GLTF_VALIDATOR does not name the folder of the npm module gltf-validator")
    return folder


@pytest.mark.parametrize("case", ["opaque", "alpha", "large", "untextured", "degenerate"])
def test_khronos_validator_finds_neither_errors_nor_warnings(tmp_path, validator, case):
    mesh = {
        "opaque": sheet,
        "alpha": lambda: sheet(channels=4, alpha=9),
        "large": lambda: sheet(300, 300),
        "untextured": lambda: Mesh(sheet().vertices, sheet().faces),
        "degenerate": lambda: Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32)),
    }[case]()
    write_glb(mesh, tmp_path / "a.glb", "Zaun €")
    command = ["node", "-e", VALIDATE, os.path.abspath(validator), str(tmp_path / "a.glb")]
    issues = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
