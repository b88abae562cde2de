# SPDX-License-Identifier: GPL-3.0-or-later
"""The NeRF backend with a tiny TripoSR whose field is a ball."""

import hashlib
import math

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods.triposr import tiny
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Cancelled, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import triposr as nerf
from image_to_3d.worker.methods.triposr import reconstructor as nerf_inference
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "triposr")
    return WeightStore(root)


def photo(row: int = 60, column: int = 80, alpha: bool = True) -> Picture:
    """A red disc of radius 30 at that place, on nothing or on plain white, 120 x 160."""
    rows, columns = np.indices((120, 160))
    is_disc = (rows - row) ** 2 + (columns - column) ** 2 <= 30**2
    rgb = np.where(is_disc[..., None], [200, 40, 30], [255, 255, 255]).astype(np.uint8)
    digest = hashlib.sha256(rgb.tobytes()).hexdigest()
    return Picture(rgb, np.where(is_disc, 255, 0).astype(np.uint8) if alpha else None, None, digest, "disc")


def task(weights: WeightStore, *pictures: Picture, **options) -> backends.Task:
    settled = backends.settle(nerf.Backend().describe(weights), "fast", options)
    return backends.Task(pictures or (photo(),), "triposr", settled, "cpu", weights)


def silent() -> Job:
    return Job(lambda *_: None)


def sphere(radius: float, count: int = 500) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius).astype(np.float32)


def test_the_field_is_positive_inside_and_zero_on_the_surface_and_has_colours(weights):
    field = nerf.Backend().generate(task(weights), silent())
    assert (field.value(sphere(0.3)) > 0).all() and (field.value(sphere(0.5)) < 0).all()
    assert abs(field.value(sphere(0.4))).mean() < 0.1 * field.value(sphere(0.3)).mean()
    assert (field.value(sphere(0.8)) < 0).all() and abs(field.bounds).max() == pytest.approx(0.87)
    colours = field.colour(sphere(0.4))
    assert colours.shape == (500, 3) and 0 <= colours.min() < 0.3 and 0.7 < colours.max() <= 1


def test_a_point_may_be_asked_for_alone_or_not_at_all_and_in_any_batch(weights, monkeypatch):
    field = nerf.Backend().generate(task(weights), silent())
    points = sphere(0.4)
    whole = field.value(points)
    monkeypatch.setitem(nerf_inference.BATCH, "cpu", 7)
    np.testing.assert_allclose(field.value(points.astype(np.float64)), whole, atol=1e-4)
    np.testing.assert_allclose(field.value(points[:1]), whole[:1], atol=1e-4)
    assert field.value(points[:0]).shape == (0,) and field.colour(points[:0]).shape == (0, 3)


def test_the_threshold_shifts_the_surface_by_the_logarithm(weights):
    backend, points = nerf.Backend(), sphere(0.4)
    values = [backend.generate(task(weights, threshold=t), silent()).value(points) for t in (25.0, 100.0)]
    np.testing.assert_allclose(values[0] - values[1], math.log(4.0), atol=1e-4)


@pytest.mark.parametrize("row, column", [(60, 80), (30, 40), (89, 129)])
def test_the_camera_sees_the_thing_where_the_photo_shows_it(weights, row, column):
    """A ball that spans `fill` of the crop is seen in the middle of it, so at its place in the whole photo."""
    field = nerf.Backend().generate(task(weights, photo(row, column)), silent())
    view = field.pictures[0].view
    assert np.linalg.det(view.rotation) == pytest.approx(1.0) and (view.camera.width, view.camera.height) == (160, 120)

    def seen(point):
        x, y, z = view.rotation @ (np.array(point) - view.position)
        return view.camera.fx * x / z + view.camera.cx, view.camera.fy * y / z + view.camera.cy

    assert seen((0.0, 0.0, 0.0)) == pytest.approx((column + 0.5, row + 0.5), abs=1.0)
    assert seen((0.0, 0.1, 0.0))[0] > column + 1 and seen((0.0, 0.0, 0.1))[1] < row - 1  # y is right, z is up
    edge = 1.9 * math.tan(math.radians(20.0)) * 0.85  # of the crop's half side, as the field sees it
    assert seen((0.0, edge, 0.0))[0] - column == pytest.approx(30.5, abs=1.0)


def test_the_front_becomes_gltfs_front_and_up_stays_up(weights):
    field = nerf.Backend().generate(task(weights), silent())
    front, right, up = (field.to_gltf @ np.array(axis) for axis in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)))
    assert front.tolist() == [0, 0, 1] and right.tolist() == [1, 0, 0] and up.tolist() == [0, 1, 0]


def test_the_same_field_comes_back_from_the_cache_without_the_network(weights, tmp_path):
    wanted = task(weights)
    made = nerf.Backend().generate(wanted, silent())
    kept = cache.Cache(tmp_path)
    kept.save_arrays("key", made.to_arrays())
    backend = nerf.Backend()
    again = backend.restored(kept.load_arrays("key"), task(WeightStore(tmp_path / "none")))
    assert backend._loaded is None
    assert (again.value(sphere(0.4)) == made.value(sphere(0.4))).all()
    assert again.pictures[0].view.camera == made.pictures[0].view.camera
    assert (again.pictures[0].subject == made.pictures[0].subject).all()


def test_the_picture_changes_the_shape(weights):
    dark = photo()
    dark.rgb[...] = dark.rgb // 4
    fields = [nerf.Backend().generate(task(weights, picture), silent()) for picture in (photo(), dark)]
    assert abs(fields[0].value(sphere(0.4)) - fields[1].value(sphere(0.4))).max() > 1e-3


def test_a_plain_background_is_as_good_as_transparency(weights):
    field = nerf.Backend().generate(task(weights, photo(alpha=False)), silent())
    subject = field.pictures[0].subject
    assert subject[60, 80] == 255 and subject[0, 0] == 0


def test_haze_and_specks_do_not_change_the_crop(weights):
    dirty = photo()
    dirty.alpha[0, :] = 9
    dirty.alpha[118, 2] = 255
    fields = [nerf.Backend().generate(task(weights, picture), silent()) for picture in (photo(), dirty)]
    assert fields[0].pictures[0].view.camera == fields[1].pictures[0].view.camera


def test_a_photo_without_a_single_thing_needs_the_network_that_finds_one(weights):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(WeightsMissing, match="cut out") as caught:
        nerf.Backend().generate(task(weights, Picture(noise, None, None, "", "noise")), silent())
    assert caught.value.model == "triposr"


def test_several_photos_are_refused_for_now(weights):
    with pytest.raises(Unable, match="one photo, not 2"):
        nerf.Backend().generate(task(weights, photo(), photo()), silent())


def test_an_invisible_thing_is_refused(weights):
    empty = photo()
    empty.alpha[...] = 0
    with pytest.raises(Unable, match="no object"):
        nerf.Backend().generate(task(weights, empty), silent())


def test_without_weights_the_download_that_would_help_is_named(tmp_path):
    with pytest.raises(WeightsMissing) as caught:
        nerf.Backend().generate(task(WeightStore(tmp_path)), silent())
    assert caught.value.bytes == 1_677_247_729 and caught.value.licence == "MIT"


def test_damaged_weights_are_one_sentence_that_says_what_to_do(tmp_path):
    tiny.write(tmp_path / "triposr")
    (tmp_path / "triposr" / "model.ckpt").write_bytes(b"nothing")
    with pytest.raises(Unable, match="download again") as caught:
        nerf.Backend().generate(task(WeightStore(tmp_path)), silent())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["decoder.layers.2.bias", "backbone.norm.weight"])
def test_weights_that_are_not_numbers_are_one_sentence(tmp_path, name):
    state = dict(tiny.write(tmp_path / "triposr").state_dict())
    state[name] = torch.full_like(state[name], torch.nan)
    torch.save(state, tmp_path / "triposr" / "model.ckpt")
    with pytest.raises(Unable, match="not finite"):
        nerf.Backend().generate(task(WeightStore(tmp_path)), silent())


def test_half_precision_gives_nearly_the_same_field_and_falls_back_where_it_overflows(weights, tmp_path):
    folder = weights.root / "triposr"
    full, half = (nerf_inference.load(folder, "cpu", half=h)(photo(), 0.85, silent()) for h in (False, True))
    difference = abs(half["code"] - full["code"]).max()
    assert 0 < difference < 0.01 * abs(full["code"]).max()
    network = tiny.write(tmp_path)
    network.backbone.transformer_blocks[0].attn1.to_out[0].weight *= 1e9
    torch.save(network.state_dict(), tmp_path / "model.ckpt")
    full, half = (nerf_inference.load(tmp_path, "cpu", half=h)(photo(), 0.85, silent()) for h in (False, True))
    np.testing.assert_array_equal(half["code"], full["code"])


def test_a_cancel_is_heard_between_the_layers(weights):
    job = Job(lambda progress, stage, message: job.cancel() if stage == "imagining the object" else None)
    with pytest.raises(Cancelled):
        nerf.Backend().generate(task(weights), job)


def test_the_network_is_loaded_once_until_its_files_change(tmp_path):
    tiny.write(tmp_path / "triposr")
    store, backend = WeightStore(tmp_path), nerf.Backend()
    backend.generate(task(store), silent())
    loaded, revision = backend._loaded[1], backend.revision("triposr", store)
    backend.generate(task(store), silent())
    assert backend._loaded[1] is loaded
    tiny.write(tmp_path / "triposr", seed=1)
    backend.generate(task(store), silent())
    assert backend._loaded[1] is not loaded and backend.revision("triposr", store) != revision
    backend.unload()
    assert backend._loaded is None
