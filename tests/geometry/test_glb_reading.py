# SPDX-License-Identifier: GPL-3.0-or-later
"""GLBs of anybody's."""

import json
import struct

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.geometry.glb_reading import read_glb
from PIL import Image


def painted(tmp_path, colour=(200, 30, 40)):
    """A box whose faces have a colour."""
    box = trimesh.creation.box()
    image = Image.new("RGB", (8, 8), colour)
    uv = np.full((len(box.vertices), 2), 0.5)
    box.visual = trimesh.visual.TextureVisuals(uv, material=trimesh.visual.material.PBRMaterial(baseColorTexture=image))
    path = tmp_path / "box.glb"
    box.export(path)
    return path


def test_triangles_come_with_the_colours_of_their_texture(tmp_path):
    found = read_glb(painted(tmp_path))
    assert found.corners.shape == (12, 3, 3) and np.ptp(found.corners.reshape(-1, 3), axis=0) == pytest.approx(
        [1, 1, 1]
    )
    colours = found.coloured(np.arange(12), np.full((12, 3), 1 / 3, np.float32))
    np.testing.assert_allclose(colours, np.tile(np.array([200, 30, 40]) / 255, (12, 1)), atol=0.02)


def test_nodes_within_nodes_are_where_they_are_seen(tmp_path):
    scene = trimesh.Scene()
    turn = trimesh.transformations.rotation_matrix(np.pi / 2, [0, 0, 1])
    scene.add_geometry(trimesh.creation.box((2, 1, 1)), node_name="a", transform=turn)
    move = trimesh.transformations.translation_matrix([0, 5, 0])
    scene.add_geometry(trimesh.creation.box(), node_name="b", parent_node_name="a", transform=move)
    scene.export(tmp_path / "two.glb")
    points = read_glb(tmp_path / "two.glb").corners.reshape(-1, 3)
    np.testing.assert_allclose([points.min(axis=0), points.max(axis=0)], [[-5.5, -1, -0.5], [0.5, 1, 0.5]], atol=1e-5)


def test_without_a_texture_there_are_no_pages(tmp_path):
    trimesh.creation.icosphere(1).export(tmp_path / "ball.glb")
    assert read_glb(tmp_path / "ball.glb").pages == ()


def damaged(path, change) -> None:
    data = path.read_bytes()
    (size,) = struct.unpack("<I", data[12:16])
    document = json.loads(data[20 : 20 + size])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["accessors"][0].update(count=10**9),
        lambda file: file["nodes"].append({"children": [len(file["nodes"])]}) or file["scenes"][0].update(nodes=[1]),
        lambda file: file.pop("scenes"),
        lambda file: file["meshes"][0]["primitives"][0]["attributes"].update(POSITION=99),
        lambda file: file["meshes"][0]["primitives"][0].update(mode=1),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, change):
    path = painted(tmp_path)
    damaged(path, change)
    with pytest.raises(Unable, match="box.glb (is damaged|has no triangles)"):
        read_glb(path)


@pytest.mark.parametrize("content", [b"", b"solid cube", b"glTF", b"glTF" + b"\0" * 40])
def test_what_is_no_glb_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "cube.glb"
    path.write_bytes(content)
    with pytest.raises(Unable, match="cube.glb is"):
        read_glb(path)
    with pytest.raises(Unable, match="gone.glb cannot be read: no such file"):
        read_glb(tmp_path / "gone.glb")
