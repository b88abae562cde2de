# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of anybody's refined by the large networks: tiny ones with random weights, that make about a ball."""

import json

import numpy as np
import pytest
import trimesh
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker import cli
from image_to_3d.worker.core.errors import Cancelled, Invalid, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import View
from image_to_3d.worker.methods import all_methods
from image_to_3d.worker.methods.method import Network
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg import refiner
from image_to_3d.worker.pipeline import refining_network
from image_to_3d.worker.pipeline.refine import refine
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import making, protocol
from PIL import Image

SMALL = {"steps": 3, "grid": 32, "faces": 2000}
MIDDLE, RADIUS = np.array([10.0, 20.0, 30.0]), 3.0


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "triposg")
    tiny.write(root / "detailgen3d", tiny.TINY_DETAIL)
    return WeightStore(root)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)
    monkeypatch.setattr(triposg, "POINTS", 500)
    monkeypatch.setattr(refiner.detail, "POINTS", 400)


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    """A ball in a place of its own, and a picture of one."""
    rows, columns = np.indices((120, 160))
    inside = (columns - 80) ** 2 + (rows - 60) ** 2 < 50**2
    rgba = np.dstack([np.full((120, 160, 3), (200, 40, 30), np.uint8), np.where(inside, 255, 0).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    ball = trimesh.creation.icosphere(4, RADIUS)
    ball.apply_translation(MIDDLE)
    scene = trimesh.Scene()
    scene.add_geometry(ball, node_name="my ball")
    scene.export(tmp_path / "mesh.glb")
    return str(tmp_path / "mesh.glb"), str(tmp_path / "disc.png")


def run(files, weights, tmp_path, network="triposg", job=None, **options) -> making.GenerateResult:
    params = making.RefineParams(*files, str(tmp_path / "out.glb"), 128, network, "fast", {**SMALL, **options})
    machine = Machine(weights, tmp_path / "cache", "cpu")
    return protocol.read(making.GenerateResult, refine(params, machine, job or Job(lambda *_: None)))


def vertices(made: making.GenerateResult) -> np.ndarray:
    return np.asarray(trimesh.load(made.glb, force="mesh").vertices)


@pytest.mark.parametrize("network", ["triposg", "DetailGen3D", "hybrid-triposg"])
def test_the_shape_is_made_anew_in_the_old_place_under_the_old_name(files, weights, tmp_path, network):
    made = run(files, weights, tmp_path, network)
    found = trimesh.load(made.glb, force="mesh")
    found.merge_vertices(merge_tex=True, merge_norm=True)
    assert made.name == "my ball" and made.method == "refine" and made.network.endswith(network.split("-")[-1].lower())
    np.testing.assert_allclose(found.bounds.mean(axis=0), MIDDLE, atol=0.5)
    radii = np.ptp(found.bounds, axis=0) / 2 / (RADIUS / (1.9 / 2))  # in the networks' box
    assert (radii > 0.5 * tiny.RADIUS).all() and (radii < 1.25 * tiny.RADIUS).all()
    assert found.is_watertight and len(made.cameras) == 1
    assert any("the refined shape's outline fits the picture by" in note for note in made.warnings)
    assert refining_network.NO_DEPTH in made.warnings


def test_every_option_is_heard(files, weights, tmp_path):
    usual = vertices(run(files, weights, tmp_path))
    for options in ({"seed": 1}, {"strength": 1.0}, {"guidance": 1.0}):
        other = vertices(run(files, weights, tmp_path, **options))
        assert other.shape != usual.shape or abs(other - usual).max() > 1e-5, options


def test_a_thing_seen_from_behind_is_turned_to_the_camera_and_back(files, weights, tmp_path, monkeypatch):
    told = []
    original = refiner.Refiner.__call__

    def heard(self, coarse, white, wishes, seen, job):
        told.append((coarse, seen))
        return original(self, coarse, white, wishes, seen, job)

    monkeypatch.setattr(refiner.Refiner, "__call__", heard)
    monkeypatch.setattr(refining_network, "located", lambda found, view, check: (behind(view), 1.0))
    box = trimesh.creation.box((2.0, 4.0, 6.0))
    box.apply_translation(MIDDLE + [0.0, 0.0, 1.0])
    box.export(files[0])
    found = vertices(run(files, weights, tmp_path))
    [(coarse, seen)] = told
    middle = (coarse.vertices.min(axis=0) + coarse.vertices.max(axis=0)) / 2
    np.testing.assert_allclose(np.ptp(coarse.vertices, axis=0), [6.0, 4.0, 2.0], atol=1e-6)  # a quarter turn
    assert seen.camera[2] > middle[2] + 5 and abs(seen.camera[0] - middle[0]) < 1e-6
    np.testing.assert_allclose((found.min(axis=0) + found.max(axis=0)) / 2, MIDDLE + [0, 0, 1], atol=0.5)


def behind(view: View) -> View:
    """From the right."""
    rotation = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    return View(view.camera, rotation, MIDDLE + [20.0, 0.0, 1.0], view.rgb, view.mask)


@pytest.fixture
def depth_network(monkeypatch):
    """A depth network that was fetched, and says what it is told to."""
    method = next(method for method in all_methods() if method.makes == "DepthMap")
    monkeypatch.setattr(Network, "is_here", lambda self, weights: self.name in ("included", "moge-2"))

    def says(bulge: float) -> None:
        def run(self, task, job):
            rows, columns = np.indices((120, 160)) + 0.5
            under = np.maximum(50.0**2 - (rows - 60) ** 2 - (columns - 80) ** 2, 0.0)
            z = 4.0 - bulge * np.sqrt(under) * 4.0 / 250.0
            return DepthMap((1 / z).astype(np.float32), True, under > 0, task.picture.view(35.0))

        original = type(method).run
        mine = lambda self, task, job: run(self, task, job) if self is method else original(self, task, job)  # noqa: E731
        monkeypatch.setattr(type(method), "run", mine)

    return says


def test_a_fetched_depth_network_guides_it_where_it_agrees_with_the_mesh(files, weights, tmp_path, depth_network):
    without = vertices(run(files, weights, tmp_path, trust=0.0))
    depth_network(1.0)
    made = run(files, weights, tmp_path)
    assert not {refining_network.NO_DEPTH, refining_network.UNLIKE} & set(made.warnings)
    guided = vertices(made)
    assert guided.shape != without.shape or abs(guided - without).max() > 1e-4


def test_a_depth_that_contradicts_the_mesh_is_left_out_and_that_is_said(files, weights, tmp_path, depth_network):
    depth_network(-3.0)
    assert refining_network.UNLIKE in run(files, weights, tmp_path).warnings


def test_what_cannot_be_is_said_and_nothing_is_written(files, weights, tmp_path, monkeypatch):
    cases = [
        (Invalid, "no network 'triposr' that refines a mesh: choose triposg, detailgen3d", {"network": "triposr"}),
        (Invalid, "strength must lie between 0 and 1", {"strength": 2.0}),
        (Invalid, "there is no option 'mood'", {"mood": 1}),
    ]
    for kind, said, wanted in cases:
        with pytest.raises(kind, match=said):
            run(files, weights, tmp_path, **wanted)
    with pytest.raises(WeightsMissing):
        run(files, WeightStore(tmp_path / "none"), tmp_path)
    with pytest.raises(Unable, match="put its files there"):
        run(files, WeightStore(tmp_path / "none"), tmp_path, "detailgen3d")
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    with pytest.raises(OutOfMemory):
        run(files, weights, tmp_path)
    assert not (tmp_path / "out.glb").exists()


def test_a_cancel_is_heard_within_the_network(files, weights, tmp_path):
    job = Job(lambda progress, stage, message, _: stage == "denoising" and job.cancel())
    with pytest.raises(Cancelled):
        run(files, weights, tmp_path, job=job)
    assert not (tmp_path / "out.glb").exists()


def test_from_the_terminal(files, weights, tmp_path, capsys):
    output = tmp_path / "out.glb"
    wanted = ["refine", *files, "-o", str(output), "--texture", "128", "--json", "--weights", str(weights.root)]
    options = [f"--set={name}={value}" for name, value in SMALL.items()]
    assert cli.main([*wanted, "--with", "triposg", "--preset", "fast", *options, "--set=strength=0.3"]) == cli.DONE
    assert json.loads(capsys.readouterr().out)["network"] == "hybrid-triposg" and output.is_file()
