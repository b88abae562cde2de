# SPDX-License-Identifier: GPL-3.0-or-later
"""Refining a mesh of anybody's by a picture of the same thing."""

import json
import struct
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from image_to_3d.worker import cli
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish import refined
from image_to_3d.worker.finish.refined import Found, _moved_along
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.methods.method import Method, Network
from image_to_3d.worker.pictures.load import Picture, load
from image_to_3d.worker.pipeline import facing
from image_to_3d.worker.pipeline.refine import refine, seen
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import making, protocol
from PIL import Image

RED, BLUE = (200, 40, 30), (30, 40, 200)


@pytest.fixture
def picture(tmp_path) -> str:
    """A red square with round corners, a little wider than high, on nothing."""
    rows, columns = np.indices((160, 200))
    inside = ((abs(columns - 100) / 70.0) ** 6 + (abs(rows - 80) / 60.0) ** 6) < 1
    rgba = np.dstack([np.broadcast_to(np.uint8(RED), (160, 200, 3)), np.where(inside, 255, 0).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "square.png")
    return str(tmp_path / "square.png")


def painted(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh in plain blue."""
    image = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (8, 8), BLUE))
    mesh.visual = trimesh.visual.TextureVisuals(np.full((len(mesh.vertices), 2), 0.5), material=image)
    return mesh


def ball(detail: int = 4) -> trimesh.Trimesh:
    """A ball of a size, and in a place, of its own."""
    made = trimesh.creation.icosphere(detail)
    made.apply_scale([3.5, 3.1, 3.0])
    made.apply_translation([10.0, 20.0, 30.0])
    return made


def run(tmp_path, mesh: trimesh.Trimesh, picture: str, texture: int = 256, **named) -> making.GenerateResult:
    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name=named.get("name", "blob"))
    scene.export(tmp_path / "mesh.glb")
    params = making.RefineParams(str(tmp_path / "mesh.glb"), picture, str(tmp_path / "out.glb"), texture)
    machine = Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    return protocol.read(making.GenerateResult, refine(params, machine, Job(lambda *_: None)))


def colours(mesh: trimesh.Trimesh) -> np.ndarray:
    """(F, 3) of the middles of the faces, and which of them look forwards."""
    return np.asarray(mesh.visual.to_color().vertex_colors)[:, :3].astype(int)


def test_a_thing_that_the_picture_cuts_off_keeps_its_shape(tmp_path, picture):
    Image.open(picture).crop((0, 40, 200, 160)).save(tmp_path / "cut.png")
    whole, cut = (run(tmp_path, ball(), str(tmp_path / name)) for name in ("square.png", "cut.png"))
    assert any("fits the picture by" in note for note in whole.warnings)
    assert any("ends at the picture's edge, so its shape stays" in note for note in cut.warnings)
    made = trimesh.load(cut.glb, force="mesh")
    assert np.allclose(np.ptp(made.vertices, axis=0), np.ptp(ball().vertices, axis=0), atol=1e-3)


def test_a_cancel_is_heard_while_the_pictures_place_is_looked_for():
    made, told = ball(3), []
    mesh = Mesh(np.float32(made.vertices), np.int32(made.faces))
    rgb, mask = np.zeros((96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8)
    mask[20:70, 30:100] = 255
    view = View(PinholeCamera.from_fov(128, 96, 40.0), rgb=rgb, mask=mask)

    def check():
        told.append(1)
        raise Cancelled

    with pytest.raises(Cancelled):
        refined.located(Found(mesh, mesh.vertices, None, "ball", ()), view, check)
    assert told == [1]


def test_the_outline_becomes_the_pictures_and_place_name_and_unseen_colours_stay(tmp_path, picture):
    made = run(tmp_path, painted(ball()), picture, name="my blob")
    scene = trimesh.load(made.glb)
    found = trimesh.load(made.glb, force="mesh")
    assert made.name == "my blob" and list(scene.graph.nodes_geometry) == ["my blob"]
    middle = found.bounds.mean(axis=0)
    np.testing.assert_allclose(middle, [10.0, 20.0, 30.0], atol=0.2)
    width, height, depth = np.ptp(found.bounds, axis=0)
    assert depth == pytest.approx(6.0, abs=0.05)
    corner = np.abs((found.vertices - middle)[:, :2] / [width / 2, height / 2]).min(axis=1).max()
    assert corner > 0.8 > np.sqrt(0.5) + 0.05  # a ball's reaches 0.71
    assert any("the outline fits the picture by 9" in note for note in made.warnings)
    front = found.vertices[:, 2] > 32.0
    assert np.abs(colours(found)[front] - RED).max(axis=1).mean() < 30
    assert np.abs(colours(found)[found.vertices[:, 2] < 28.0] - BLUE).max(axis=1).mean() < 30
    assert len(made.cameras) == 1 and made.faces == 5120


def sees(monkeypatch, name: str, says) -> list[str]:
    """The network of that name, as if it were fetched, says that; which networks were asked is heard."""
    asked, original = [], Method.run
    monkeypatch.setattr(Network, "is_here", lambda self, weights: self.name in (name, facing.INCLUDED))

    def run(self, task, job):
        asked.append(task.network.name)
        return says(task.picture) if task.network.name == name else original(self, task, job)

    monkeypatch.setattr(Method, "run", run)
    return asked


def slanting(picture: Picture) -> DepthMap:
    """Normals of a plane that is turned to the left."""
    normals = np.zeros((40, 50, 3), np.float32) + np.float32([-0.6, 0.0, -0.8])
    return DepthMap(np.ones((40, 50), np.float32), True, np.ones((40, 50), bool), picture.view(35.0), normals=normals)


def broken(picture: Picture) -> DepthMap:
    raise Unable("the network gave nothing")


@pytest.mark.parametrize(("says", "asked"), [(slanting, ["moge-2"]), (broken, ["moge-2", "included-object"])])
def test_normals_are_those_of_a_fetched_network_or_else_of_the_included_one(
    tmp_path, picture, monkeypatch, says, asked
):
    heard = sees(monkeypatch, "moge-2", says)
    machine, job = Machine(WeightStore(tmp_path), tmp_path, "cpu"), Job(lambda *_: None)
    loaded = load(Path(picture), job.check)
    view = facing.facing(seen(loaded, machine), loaded, machine, job)
    assert heard == asked
    middle = view.normals[view.normals.shape[0] // 2, view.normals.shape[1] // 2]
    assert (abs(middle[0] + 0.6) < 1e-3) == (says is slanting) and middle[2] < -0.5
    assert not view.normals[0, 0].any()


def test_without_any_network_the_outline_is_enough(tmp_path, picture, monkeypatch):
    def none(*_):
        raise Unable("nothing")

    monkeypatch.setattr(facing, "_seen", none)
    made = run(tmp_path, ball(3), picture)
    assert any("the outline fits the picture by 9" in note for note in made.warnings)


def test_colours_go_where_the_surface_goes():
    """Or a stretched thing has those of what lay nearest before, and to look for them takes ten times as long."""
    mesh = Mesh(ball().vertices.astype(np.float32), ball().faces.astype(np.int32))
    places = mesh.vertices[::5].astype(np.float64)
    found = Found(mesh, places, np.zeros((len(places), 3)), "ball", ())
    stretched = replace(mesh, vertices=mesh.vertices * np.float32([2.0, 1.0, 1.0]))
    np.testing.assert_allclose(_moved_along(found, stretched), places * [2.0, 1.0, 1.0], rtol=1e-5)
    assert _moved_along(found, Mesh(stretched.vertices, mesh.faces.copy())) is places


def test_the_same_again_gives_the_same_mesh(tmp_path, picture):
    first = run(tmp_path, ball(3), picture).glb
    before = Path(first).read_bytes()
    assert Path(run(tmp_path, ball(3), picture).glb).read_bytes() == before


def test_a_mesh_of_twelve_faces_is_cut_finer_and_that_is_said(tmp_path, picture):
    made = run(tmp_path, trimesh.creation.box((7.0, 6.0, 5.0)), picture)
    assert made.faces >= refined.FEWEST_FACES and "the mesh had 12 faces" in made.warnings[0]


@pytest.mark.parametrize("kind", ["open", "two parts", "loose triangles"])
def test_meshes_that_are_not_closed_of_several_parts_or_without_uvs_are_refined(tmp_path, picture, kind):
    mesh = ball()
    if kind == "open":
        mesh = trimesh.Trimesh(mesh.vertices, mesh.faces[mesh.triangles_center[:, 2] > 28.5])
    if kind == "two parts":
        mesh = trimesh.util.concatenate([mesh, trimesh.creation.icosphere(2).apply_translation([10.0, 20.0, 34.5])])
    if kind == "loose triangles":
        mesh = trimesh.Trimesh(
            mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3), process=False
        )
    made = run(tmp_path, mesh, picture)
    assert made.faces == len(mesh.faces) and any("the outline" in note for note in made.warnings)


def test_outlines_that_do_not_fit_are_told_and_nothing_is_written(tmp_path, picture):
    rod = trimesh.creation.cylinder(0.1, 6.0)
    cross = trimesh.util.concatenate(
        [rod, rod.copy().apply_transform(trimesh.transformations.rotation_matrix(1.57, [1, 0, 0]))]
    )
    with pytest.raises(
        Unable, match="agrees with the picture's by .* only: choose a picture of the same thing; nothing"
    ):
        run(tmp_path, cross, picture)
    assert not (tmp_path / "out.glb").exists()


def test_a_thing_that_would_have_to_be_bent_to_another_is_told(tmp_path):
    rows, columns = np.abs(np.indices((200, 200)) - 100)
    plus = (np.minimum(rows, columns) < 44) & (np.maximum(rows, columns) < 80)
    Image.fromarray(np.dstack([np.full((200, 200, 3), 90, np.uint8), np.uint8(255 * plus)])).save(tmp_path / "plus.png")
    with pytest.raises(Unable, match="agrees with the picture's by 8. %, and by more only if it is bent to another"):
        run(tmp_path, ball(), str(tmp_path / "plus.png"))


def test_a_disc_is_no_picture_of_a_thing_with_a_shape_of_its_own(tmp_path):
    rows, columns = np.indices((200, 200)) - 100
    disc = Image.fromarray(
        np.dstack([np.full((200, 200, 3), 90, np.uint8), np.uint8(255 * (np.hypot(rows, columns) < 80))])
    )
    disc.save(tmp_path / "disc.png")
    with pytest.raises(Unable, match="agrees with the picture's by [89]. %, but hardly more than an ellipse's does"):
        run(tmp_path, trimesh.creation.box((2.0, 2.0, 2.0)), str(tmp_path / "disc.png"))
    assert run(tmp_path, ball(), str(tmp_path / "disc.png")).faces == 5120


@pytest.mark.parametrize(("colours", "fits"), [((BLUE, BLUE), True), ((RED, RED), True), ((BLUE, (20, 20, 60)), False)])
def test_a_thing_of_other_colours_is_told_unless_it_is_plainly_painted(tmp_path, picture, colours, fits):
    mesh = ball()
    page = np.repeat(np.uint8(colours)[:, None], 2, axis=1)
    image = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(page))
    uv = np.where(mesh.vertices[:, :1] > 10.0, 0.9, 0.1) * [0.0, 1.0] + [0.5, 0.0]
    mesh.visual = trimesh.visual.TextureVisuals(uv, material=image)
    if fits:
        assert run(tmp_path, mesh, picture).faces == len(mesh.faces)
        return
    with pytest.raises(Unable, match="and its colours do not: choose a picture of the same thing; nothing was changed"):
        run(tmp_path, mesh, picture)


@pytest.mark.parametrize(
    ("scale", "offset", "sentence"),
    [
        (1e30, 0.0, "is .* m across: scale it"),
        (1e-12, 0.0, "is .* m across: scale it"),
        (1.0, 1e7, "m from the origin, too far for its size: move it nearer first"),
        (0.0, 0.0, "no triangle with an area"),
    ],
)
def test_sizes_and_places_that_cannot_be_are_one_sentence_without_warnings(tmp_path, picture, scale, offset, sentence):
    mesh = trimesh.creation.icosphere(2)
    odd = trimesh.Trimesh(mesh.vertices * scale + offset, mesh.faces, process=False)
    with warnings.catch_warnings(), pytest.raises(Unable, match=sentence):
        warnings.simplefilter("error")
        run(tmp_path, odd, picture)
    assert not (tmp_path / "out.glb").exists()


def test_a_file_of_an_empty_scene_is_refused(tmp_path, picture):
    empty = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": []}], "nodes": []}
    text = json.dumps(empty).encode().ljust(100)
    head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A)
    (tmp_path / "empty.glb").write_bytes(head + text)
    with pytest.raises(Unable, match="empty.glb has no triangles"):
        refined.opened(tmp_path / "empty.glb", 256)


def test_a_mesh_of_too_many_faces_is_refused_with_what_helps(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(refined, "MOST_FACES", 1000)
    with pytest.raises(
        Unable, match="has 5,120 faces, and 1,000 are the most that are refined: decimate or retopologise"
    ):
        run(tmp_path, ball(), picture)


def test_too_little_memory_is_told_before_anything_is_done(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(refined, "available", lambda: 10_000_000)
    with pytest.raises(
        OutOfMemory, match="GB of memory, of which 0.0 GB are free: close other programs, or choose a sm"
    ):
        run(tmp_path, ball(), picture)


def test_a_mesh_without_any_area_is_refused(tmp_path, picture):
    flat = trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False)
    with pytest.raises(Unable, match="no triangle with an area"):
        run(tmp_path, flat, picture)


def test_a_picture_without_a_thing_is_refused(tmp_path, picture):
    Image.fromarray(np.zeros((50, 50, 4), np.uint8)).save(tmp_path / "empty.png")
    with pytest.raises(Unable, match="transparent everywhere"):
        run(tmp_path, ball(3), str(tmp_path / "empty.png"))


def test_from_the_terminal(tmp_path, picture, capsys):
    ball(3).export(tmp_path / "ball.glb")
    output = tmp_path / "out.glb"
    wanted = ["refine", str(tmp_path / "ball.glb"), picture, "-o", str(output), "--texture", "128", "--json"]
    assert cli.main(wanted) == cli.DONE
    assert json.loads(capsys.readouterr().out)["method"] == "refine" and output.is_file()
    assert cli.main(["refine", picture, picture, "-o", str(output)]) == cli.FAILED
    assert "is no GLB file: export the mesh as one" in capsys.readouterr().err
