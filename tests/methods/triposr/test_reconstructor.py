# SPDX-License-Identifier: GPL-3.0-or-later
"""The method triposr with a tiny network whose field is a ball."""

import hashlib
import math

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.asked import silent, task
from image_to_3d.tests.methods.triposr import tiny
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.methods import method
from image_to_3d.worker.methods.method import LoadedNetworks
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposr import METHODS, reconstructor
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore

[NETWORK] = METHODS[0].networks


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


def made(weights: WeightStore, picture: Picture | None = None, job: Job | None = None, **options) -> Field:
    return asked.run(task("triposr", weights, picture or photo(), **options), job)


def sphere(radius: float, count: int = 500) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * radius).astype(np.float32)


def test_the_field_is_positive_inside_and_zero_on_the_surface_and_has_colours(weights):
    field = made(weights)
    assert (field.value(sphere(0.3)) > 0).all() and (field.value(sphere(0.5)) < 0).all()
    assert abs(field.value(sphere(0.4))).mean() < 0.1 * field.value(sphere(0.3)).mean()
    assert (field.value(sphere(0.8)) < 0).all() and abs(field.bounds).max() == pytest.approx(0.87)
    colours = field.colour(sphere(0.4))
    assert colours.shape == (500, 3) and 0 <= colours.min() < 0.3 and 0.7 < colours.max() <= 1


def test_a_point_may_be_asked_for_alone_or_not_at_all_and_in_any_batch(weights, monkeypatch):
    field = made(weights)
    points = sphere(0.4)
    whole = field.value(points)
    monkeypatch.setitem(reconstructor.BATCH, "cpu", 7)
    np.testing.assert_allclose(field.value(points.astype(np.float64)), whole, atol=1e-4)
    np.testing.assert_allclose(field.value(points[:1]), whole[:1], atol=1e-4)
    assert field.value(points[:0]).shape == (0,) and field.colour(points[:0]).shape == (0, 3)


def test_the_threshold_shifts_the_surface_by_the_logarithm(weights):
    values = [made(weights, threshold=t).value(sphere(0.4)) for t in (25.0, 100.0)]
    np.testing.assert_allclose(values[0] - values[1], math.log(4.0), atol=1e-4)


@pytest.mark.parametrize("row, column", [(60, 80), (30, 40), (89, 129)])
def test_the_camera_sees_the_thing_where_the_photo_shows_it(weights, row, column):
    """A ball that spans `fill` of the crop is seen in the middle of it, so at its place in the whole photo."""
    field = made(weights, photo(row, column))
    [view] = field.views
    assert not view.exact
    assert np.linalg.det(view.rotation) == pytest.approx(1.0) and (view.camera.width, view.camera.height) == (160, 120)

    def seen(point):
        x, y, z = view.rotation @ (np.array(point) - view.position)
        return view.camera.fx * x / z + view.camera.cx, view.camera.fy * y / z + view.camera.cy

    assert seen((0.0, 0.0, 0.0)) == pytest.approx((column + 0.5, row + 0.5), abs=1.0)
    assert seen((0.0, 0.1, 0.0))[0] > column + 1 and seen((0.0, 0.0, 0.1))[1] < row - 1  # y is right, z is up
    edge = 1.9 * math.tan(math.radians(20.0)) * 0.85  # of the crop's half side, as the field sees it
    assert seen((0.0, edge, 0.0))[0] - column == pytest.approx(30.5, abs=1.0)


def test_the_front_becomes_gltfs_front_and_up_stays_up(weights):
    field = made(weights)
    front, right, up = (field.to_gltf @ np.array(axis) for axis in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)))
    assert front.tolist() == [0, 0, 1] and right.tolist() == [1, 0, 0] and up.tolist() == [0, 1, 0]


def test_the_same_field_comes_back_from_the_cache_without_the_network(weights, tmp_path):
    first, kept = made(weights), cache.Cache(tmp_path)
    kept.save_arrays("key", first.to_arrays())
    wanted = task("triposr", WeightStore(tmp_path / "none"), photo())
    again = reconstructor.restored(kept.load_arrays("key"), wanted, silent())
    assert (again.value(sphere(0.4)) == first.value(sphere(0.4))).all()
    assert again.views[0].camera == first.views[0].camera and (again.views[0].mask == first.views[0].mask).all()
    assert (again.views[0].rgb == first.views[0].rgb).all()


def test_the_picture_changes_the_shape(weights):
    dark = photo()
    dark.rgb[...] = dark.rgb // 4
    fields = [made(weights, picture) for picture in (photo(), dark)]
    assert abs(fields[0].value(sphere(0.4)) - fields[1].value(sphere(0.4))).max() > 1e-3


def test_a_plain_background_is_as_good_as_transparency(weights):
    mask = made(weights, photo(alpha=False)).views[0].mask
    assert mask[60, 80] == 255 and mask[0, 0] == 0


def test_haze_and_specks_do_not_change_the_crop(weights):
    dirty = photo()
    dirty.alpha[0, :] = 9
    dirty.alpha[118, 2] = 255
    cameras = [made(weights, picture).views[0].camera for picture in (photo(), dirty)]
    assert cameras[0] == cameras[1]


def test_a_photo_without_a_single_thing_needs_the_network_that_finds_one(weights):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(WeightsMissing, match="cut out") as caught:
        made(weights, Picture(noise, None, None, "", "noise"))
    assert caught.value.network == "triposr"


def test_an_invisible_thing_is_refused(weights):
    empty = photo()
    empty.alpha[...] = 0
    with pytest.raises(Unable, match="no object"):
        made(weights, empty)


def test_without_weights_the_download_that_would_help_is_named(tmp_path):
    with pytest.raises(WeightsMissing) as caught:
        made(WeightStore(tmp_path))
    assert caught.value.bytes == 1_677_247_729 and caught.value.licence == "MIT"


def test_damaged_weights_are_one_sentence_that_says_what_to_do(tmp_path):
    tiny.write(tmp_path / "triposr")
    (tmp_path / "triposr" / "model.ckpt").write_bytes(b"nothing")
    with pytest.raises(Unable, match="download again") as caught:
        made(WeightStore(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["decoder.layers.2.bias", "backbone.norm.weight"])
def test_weights_that_are_not_numbers_are_one_sentence(tmp_path, name):
    state = dict(tiny.write(tmp_path / "triposr").state_dict())
    state[name] = torch.full_like(state[name], torch.nan)
    torch.save(state, tmp_path / "triposr" / "model.ckpt")
    with pytest.raises(Unable, match="not finite"):
        made(WeightStore(tmp_path))


def test_half_precision_gives_nearly_the_same_field_and_falls_back_where_it_overflows(weights, tmp_path):
    def code(folder, half: bool) -> np.ndarray:
        scene, _ = reconstructor.load(NETWORK, folder, "cpu", half)(photo(), 0.85, silent())
        return scene.code.numpy()

    full, half = (code(weights.root / "triposr", h) for h in (False, True))
    assert 0 < abs(half - full).max() < 0.01 * abs(full).max()
    network = tiny.write(tmp_path)
    network.backbone.transformer_blocks[0].attn1.to_out[0].weight *= 1e9
    torch.save(network.state_dict(), tmp_path / "model.ckpt")
    full, half = (code(tmp_path, h) for h in (False, True))
    np.testing.assert_array_equal(half, full)


def test_a_cancel_is_heard_between_the_layers(weights):
    job = Job(lambda progress, stage, message, _: job.cancel() if stage == "imagining the object" else None)
    with pytest.raises(Cancelled):
        made(weights, job=job)


def test_the_network_is_loaded_once_until_its_files_change(tmp_path, monkeypatch):
    monkeypatch.setattr(method, "LOADED", held := LoadedNetworks())
    tiny.write(tmp_path / "triposr")
    store = WeightStore(tmp_path)
    made(store)
    [loaded], revision = held._held.values(), NETWORK.revision(store)
    made(store)
    assert [*held._held.values()] == [loaded]
    tiny.write(tmp_path / "triposr", seed=1)
    made(store)
    [other] = held._held.values()
    assert other is not loaded and NETWORK.revision(store) != revision
    held.unload()
    assert not held._held


def test_too_little_memory_is_told_before_the_network_is_loaded(weights, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    with pytest.raises(OutOfMemory, match="smaller model"):
        reconstructor.load(None, weights.root / "triposr", "cpu")
