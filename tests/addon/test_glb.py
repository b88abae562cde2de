# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker writes is what the add-on reads: whole, with each corner's own place on the texture."""

import json
import struct
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from image_to_3d.addon.session import glb
from image_to_3d.worker.geometry.glb import Part, write_glb, write_parts
from image_to_3d.worker.geometry.mesh import Mesh


def split_tetrahedron(channels: int = 3) -> Mesh:
    """Four faces, each with vertices of its own, one of whose zeros is negative; every second texel is white."""
    corners = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    vertices = corners[faces.ravel()]
    vertices[3] = -0.0
    uv = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    texture = np.zeros((16, 16, channels), np.uint8)
    texture[..., 0] = 255
    texture[..., 3:] = 255
    return Mesh(vertices, np.arange(12, dtype=np.int32).reshape(4, 3), uv, texture=texture)


def test_split_vertices_become_one_and_corners_keep_their_places(tmp_path):
    mesh, path = split_tetrahedron(), tmp_path / "a.glb"
    write_glb(mesh, path, "a", double_sided=False)
    shape = glb.read(str(path))[0]
    points, corners = np.reshape(shape.points, (-1, 3)), np.array(shape.corners)
    assert len(points) == 4
    assert np.array_equal(points[corners], mesh.vertices[mesh.faces.ravel()])
    assert np.allclose(np.reshape(shape.uv, (-1, 2)), (mesh.uv * [1, -1] + [0, 1])[mesh.faces.ravel()], atol=1e-6)
    assert shape.creased
    surface = shape.surface
    assert (surface.texture.ending, surface.masked, surface.double_sided) == (".jpg", False, False)
    assert surface.colour == (1.0, 0.0, 0.0)


def test_what_no_photo_saw_is_told_of_each_vertex(tmp_path):
    mesh, path = split_tetrahedron(), tmp_path / "a.glb"
    write_glb(mesh, path, "a")
    assert glb.read(str(path))[0].unseen is None
    write_glb(replace(mesh, unseen=mesh.vertices[:, 2]), path, "a")
    shape = glb.read(str(path))[0]
    assert shape.unseen.tolist() == np.reshape(shape.points, (-1, 3))[:, 2].tolist() != [0.0] * 4


def test_two_meshes_are_told_by_their_names(tmp_path):
    mesh, path = split_tetrahedron(), tmp_path / "a.glb"
    far = mesh.transformed(2.0, np.array([5.0, 0.0, 0.0]))
    write_parts([Part(mesh, "thing", False), Part(far, "thing scene", True)], path)
    near, behind = glb.read(str(path))
    assert (near.name, behind.name) == ("thing", "thing scene")
    assert (near.surface.double_sided, behind.surface.double_sided) == (False, True)
    assert near.surface.texture.data == behind.surface.texture.data
    assert np.ptp(behind.points) > 4.0 > np.ptp(near.points)
    write_parts([Part(mesh, "a")] * 3, path)
    with pytest.raises(glb.Unreadable, match="3 meshes"):
        glb.read(str(path))


def test_a_seam_of_the_texture_is_no_crease(tmp_path):
    mesh = split_tetrahedron()
    normals = mesh.vertices - 0.25
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_glb(Mesh(mesh.vertices, mesh.faces, mesh.uv, normals, mesh.texture), tmp_path / "a.glb", "a")
    assert not glb.read(str(tmp_path / "a.glb"))[0].creased


def test_more_corners_than_are_looked_at_at_once(tmp_path, monkeypatch):
    write_glb(split_tetrahedron(), tmp_path / "a.glb", "a")
    whole = glb.read(str(tmp_path / "a.glb"))[0]
    monkeypatch.setattr(glb, "_AT_ONCE", 9)
    assert glb.Reading(str(tmp_path / "a.glb")).shapes()[0] == whole


def test_a_texture_with_alpha_is_a_png_that_masks(tmp_path):
    write_glb(split_tetrahedron(4), tmp_path / "a.glb", "a")
    surface = glb.read(str(tmp_path / "a.glb"))[0].surface
    assert (surface.texture.ending, surface.masked, surface.double_sided) == (".png", True, True)


def test_a_face_of_which_nothing_is_left_when_it_is_whole_is_left_out(tmp_path):
    mesh = split_tetrahedron()
    faces = np.concatenate([mesh.faces, [[0, 3, 1]]]).astype(np.int32)  # two of them at the same place
    write_glb(Mesh(mesh.vertices, faces, mesh.uv, texture=mesh.texture), tmp_path / "a.glb", "a")
    assert len(glb.read(str(tmp_path / "a.glb"))[0].corners) == 12


def test_every_file_that_ends_too_early_is_refused_in_one_sentence(tmp_path):
    write_glb(split_tetrahedron(), tmp_path / "a.glb", "a")
    whole = (tmp_path / "a.glb").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "b.glb").write_bytes(whole[:length])
        with pytest.raises(glb.Unreadable):
            glb.read(str(tmp_path / "b.glb"))[0]


@pytest.mark.parametrize("change", [{key: []} for key in ("nodes", "meshes", "materials", "accessors")])
def test_another_description_is_refused_or_read_but_never_an_error_of_ours(tmp_path, change):
    write_glb(split_tetrahedron(), tmp_path / "a.glb", "a")
    whole = (tmp_path / "a.glb").read_bytes()
    [size] = struct.unpack_from("<I", whole, 12)
    text = json.dumps(json.loads(whole[20 : 20 + size]) | change).encode()
    text += b" " * (-len(text) % 4)
    rest = whole[20 + size :]
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest)) + struct.pack("<I4s", len(text), b"JSON")
    (tmp_path / "b.glb").write_bytes(head + text + rest)
    try:
        assert len(glb.read(str(tmp_path / "b.glb"))[0].corners) == 12
    except glb.Unreadable as error:
        assert len(str(error).splitlines()) == 1


def test_a_file_that_is_not_there_says_why():
    with pytest.raises(glb.Unreadable, match="cannot be read"):
        glb.Reading("/no/such/file.glb").shapes()


LONGEST_HOLD = 0.008
"""Seconds of a processor: four times what a step takes on this project's machines, a quarter of a stall one feels."""


@pytest.mark.parametrize("faces", [300_000, 2_000_000])
def test_python_is_never_kept_from_others_for_long_while_a_large_file_is_read(
    tmp_path, faces, record_testsuite_property
):
    write_glb(split_sheet(faces), tmp_path / "a.glb", "a")
    held = min(longest_hold(tmp_path / "a.glb") for _ in range(2))
    record_testsuite_property(f"seconds that reading {faces:,} faces keeps Python from others at most", held)
    print(f"{faces:,} faces: {1000.0 * held:.1f} ms")
    assert held < LONGEST_HOLD


def split_sheet(faces: int) -> Mesh:
    """A wavy square of that many triangles, each tenth of its lines of vertices a seam of the texture."""
    side = round((faces / 2) ** 0.5)
    lines = np.sort(np.concatenate([np.arange(side + 1), np.arange(0, side + 1, 10)[1:-1]]))
    columns, rows = np.meshgrid(lines, np.arange(side + 1))
    height = np.sin(columns * 0.1) + np.cos(rows * 0.1)
    vertices = np.stack([columns, height, rows], axis=-1).reshape(-1, 3).astype(np.float32)
    number = np.arange(len(vertices), dtype=np.int32).reshape(rows.shape)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    quads = np.stack([a, b, c, a, c, d], axis=-1)[np.tile(np.diff(lines) > 0, side)]
    uv = np.random.default_rng(0).random((len(vertices), 2)).astype(np.float32)
    texture = np.random.default_rng(1).integers(0, 255, (2048, 2048, 3), np.uint8)
    return Mesh(vertices, quads.reshape(-1, 3), uv, texture=texture)


def longest_hold(path) -> float:
    """Seconds of a processor that the reading thread takes at most between two calls in which others have Python."""
    longest, since = 0.0, None

    def note(frame, event, called):
        nonlocal longest, since
        now = time.thread_time()
        if since is None or getattr(called, "__name__", "") in ("sleep", "read"):
            longest, since = max(longest, now - (now if since is None or event == "c_return" else since)), now

    threading.setprofile(note)
    try:
        [shape] = glb.Reading(str(path)).shapes()
    finally:
        threading.setprofile(None)
    assert len(shape.starts)
    return longest
