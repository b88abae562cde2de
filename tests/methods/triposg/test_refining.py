# SPDX-License-Identifier: GPL-3.0-or-later
"""The method that refines what depth and the included generator begin, with tiny networks of random weights."""

from dataclasses import replace

import numpy as np
import pytest
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.asked import silent, task
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposg import files, refiner, refining
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.cache import Cache
from image_to_3d.worker.store.weights import WeightStore

NETWORKS = "hybrid-triposg", "hybrid-detailgen3d"


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)
    monkeypatch.setattr(triposg, "POINTS", 500)
    monkeypatch.setattr(refiner.detail, "POINTS", 400)


@pytest.fixture
def quick(monkeypatch):
    """A slab in the photo's outline in place of the method that comes first."""

    def first(wanted, job):
        job.report(0.0, "denoising")
        picture = wanted.inputs.pictures[0]
        camera = PinholeCamera.from_fov(picture.rgb.shape[1], picture.rgb.shape[0], 40.0)
        front = np.full((32, 32), -0.4, np.float32)
        view = View(camera, rgb=picture.rgb, mask=picture.alpha)
        return Layers(front, front + 0.8, np.zeros((32, 32, 3), np.uint8), Window(45, 25, 70), view)

    monkeypatch.setattr(refining, "_first", first)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "triposg")
    tiny.write(root / "detailgen3d", tiny.TINY_DETAIL)
    return WeightStore(root)


def photo() -> Picture:
    rows, columns = np.indices((120, 160))
    is_disc = (rows - 60) ** 2 + (columns - 80) ** 2 <= 30**2
    rgb = np.where(is_disc[..., None], [200, 40 + rows[0, 0], 30], 255).astype(np.uint8)
    return Picture(rgb, np.where(is_disc, 255, 0).astype(np.uint8), None, "", "disc")


def run(weights, network="hybrid-triposg", job=None, on_coarse=lambda coarse: None, **options):
    wanted = replace(task(network, weights, photo(), **{"steps": 4, **options}), on_coarse=on_coarse)
    return asked.run(wanted, job)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_field_is_a_solid_where_the_camera_sees_the_thing(weights, quick, network):
    found = run(weights, network)
    middle = found.bounds.mean(axis=0)
    assert abs(middle - [0.0, 0.0, -1.0]).max() < 0.05  # before the camera in the origin
    assert float(found.value(np.float32([middle]))[0]) > 0.0
    assert (found.value(np.float32(found.bounds)) < 0.0).all()
    [view] = found.views
    assert view.mask is not None and not view.exact and found.colour is None


@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_field_comes_back_from_the_cache_without_the_networks(weights, quick, tmp_path, network):
    made, kept = run(weights, network), Cache(tmp_path)
    kept.save_arrays("key", made.to_arrays())
    again = refining.restored(kept.load_arrays("key"), task(network, WeightStore(tmp_path / "none"), photo()), silent())
    points = np.float32(made.bounds.mean(axis=0) + np.random.default_rng(0).normal(size=(50, 3)) * 0.1)
    assert (again.value(points) == made.value(points)).all()
    assert again.notes == made.notes and again.views[0].camera == made.views[0].camera


def test_every_option_is_heard(weights, quick):
    usual = run(weights).to_arrays()["tokens"]
    for options in ({"seed": 1}, {"steps": 6}, {"strength": 0.9}, {"trust": 0.0}, {"guidance": 1.0}):
        assert abs(run(weights, **options).to_arrays()["tokens"] - usual).max() > 1e-5, options
    assert (run(weights, guidance=triposg.GUIDANCE).to_arrays()["tokens"] == usual).all()


def test_the_coarse_shape_is_told_first_and_outlives_a_cancel(weights, quick):
    told, stages = [], []
    job = Job(lambda progress, stage, message, _: stages.append(stage) or (stage == "guiding" and job.cancel()))
    with pytest.raises(Cancelled):
        run(weights, job=job, on_coarse=lambda coarse: told.append((coarse, len(stages))))
    [(coarse, heard)] = told
    assert isinstance(coarse, Layers) and "encoding the coarse shape" not in stages[:heard]


def test_too_little_memory_is_told_before_anything_is_made(weights, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    monkeypatch.setattr(refining, "_first", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(OutOfMemory, match="smaller model"):
        run(weights)


def test_what_is_not_here_is_said_with_what_to_do(tmp_path):
    with pytest.raises(WeightsMissing) as caught:
        run(WeightStore(tmp_path))
    assert caught.value.network == "triposg"
    _, network = with_network("hybrid-detailgen3d")
    for ask in (network.folder, lambda weights: network.download(weights, silent())):
        with pytest.raises(Unable, match=r"huggingface.co/VAST-AI/DetailGen3D.*put its files") as caught:
            ask(WeightStore(tmp_path, online=True))
        assert str(tmp_path / "detailgen3d") in str(caught.value)


def test_triposgs_download_serves_both_and_neither_is_taken_by_itself(weights):
    _, own = with_network("triposg")
    for name in NETWORKS:
        _, network = with_network(name)
        assert network.is_here(weights) and not network.automatic
    _, refined = with_network("hybrid-triposg")
    assert refined.folder(weights) == own.folder(weights)


def test_the_layouts_are_those_of_the_networks(weights):
    assert set(refining.LAYOUTS) == set(NETWORKS)
    with pytest.raises(Unable, match="cannot be loaded"):
        refiner.load(weights.root / "triposg", "cpu", files.DETAILGEN3D)


def test_it_begins_with_the_included_hybrid(weights):
    found = []
    run(weights, steps=1, on_coarse=found.append)
    [coarse] = found
    assert len(coarse.front) >= 32 and (coarse.back >= coarse.front)[coarse.front != 0].mean() > 0.9
