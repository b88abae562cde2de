# SPDX-License-Identifier: GPL-3.0-or-later
"""MoGe-2 with small random weights of the published layout: metres, a mask, and the camera."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods.asked import run, silent, task
from image_to_3d.tests.methods.depth import tiny_moge
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.depth import estimator, moge, published
from image_to_3d.worker.methods.depth.focal import recovered
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore

NAME = "moge-2"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    root = tmp_path_factory.mktemp("weights")
    tiny_moge.write(root / NAME)
    return WeightStore(root)


@pytest.fixture
def picture() -> Picture:
    rows, columns = np.mgrid[:60, :90]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    return Picture(rgb, None, None, "", "picture")


def test_it_gives_metres_with_a_camera_of_its_own(picture, weights):
    found = run(task(NAME, weights, picture))
    assert found.metric and found.valid.all() and found.inverse_depth.shape == (60, 90)
    camera = found.view.camera
    assert (camera.width, camera.height, camera.fx) == (90, 60, camera.fy) and 1.0 < camera.fov_degrees < 179.0


def test_a_camera_that_cannot_be_is_not_believed(picture, weights):
    """Random numbers see a picture that no camera takes: then the usual one is as good as any."""
    assert run(task(NAME, weights, picture)).view.camera.fov_degrees == pytest.approx(published.DEFAULT_FOV)


def test_the_photos_own_field_of_view_is_believed(picture, weights):
    found = run(task(NAME, weights, dataclasses.replace(picture, fov_degrees=40.0)))
    assert found.view.camera.fov_degrees == pytest.approx(40.0)


def test_what_it_masks_is_no_surface(picture, weights, monkeypatch):
    forward = moge.Moge.forward

    def half(network, image, detail):
        seen = forward(network, image, detail)
        seen.mask[:, 45:] = 0.2
        return seen

    monkeypatch.setattr(moge.Moge, "forward", half)
    found = run(task(NAME, weights, picture))
    assert found.valid[:, :45].all() and not found.valid[:, 45:].any() and (found.inverse_depth[:, 45:] == 0).all()
    monkeypatch.setattr(moge.Moge, "forward", lambda *given: forward(*given)._replace(mask=torch.zeros(60, 90)))
    with pytest.raises(Unable, match="another network"):
        run(task(NAME, weights, picture))


def test_less_detail_are_fewer_tokens_and_mirrored_it_is_another_mean(picture, weights):
    usual = run(task(NAME, weights, picture, detail=1.0)).inverse_depth
    assert not np.allclose(usual, run(task(NAME, weights, picture, detail=0.5)).inverse_depth)
    both = run(task(NAME, weights, picture, detail=1.0, mirror=True)).inverse_depth
    other = dataclasses.replace(picture, rgb=np.ascontiguousarray(picture.rgb[:, ::-1]))
    mirrored = run(task(NAME, weights, other, detail=1.0, mirror=True)).inverse_depth
    assert not np.allclose(usual, both) and both.shape == mirrored.shape


def test_its_normals_come_along_and_are_turned_with_the_mirrored_photo(picture, weights, monkeypatch):
    found = run(task(NAME, weights, picture)).normals
    assert found.shape == (60, 90, 3) and np.allclose(np.linalg.norm(found, axis=2), 1.0, atol=1e-4)
    forward, leaning = moge.Moge.forward, torch.tensor([0.6, 0.0, -0.8])

    def left_and_right(network, image, detail):
        seen = forward(network, image, detail)
        turned = leaning if image[0, 30, 0] < image[0, 30, -1] else leaning * torch.tensor([-1.0, 1.0, 1.0])
        return seen._replace(normals=turned.expand(60, 90, 3))

    monkeypatch.setattr(moge.Moge, "forward", left_and_right)
    slope = dataclasses.replace(
        picture, rgb=np.repeat(np.arange(90, dtype=np.uint8)[None, :, None], 60, 0).repeat(3, 2)
    )
    both = run(task(NAME, weights, slope, mirror=True))
    assert np.allclose(both.normals, [0.6, 0.0, -0.8], atol=1e-5)
    assert np.allclose(estimator.restored(both.to_arrays(), task(NAME, weights, slope), silent()).normals, both.normals)


def test_a_large_photo_is_seen_smaller_and_keeps_its_own_camera(picture, weights):
    large = dataclasses.replace(picture, rgb=np.kron(picture.rgb, np.ones((30, 30, 1), np.uint8)))
    found = run(task(NAME, weights, large, detail=0.5))
    assert max(found.inverse_depth.shape) <= published.LONGEST and found.view.camera.width == 2700


def test_it_comes_back_from_its_arrays_with_the_camera_that_it_found(picture, weights, monkeypatch):
    wanted = task(NAME, weights, picture)
    made = run(wanted)
    monkeypatch.setattr(estimator, "load", lambda *_: pytest.fail("it was loaded"))
    again = estimator.restored(made.to_arrays(), wanted, silent())
    assert (again.inverse_depth == made.inverse_depth).all() and again.view.camera == made.view.camera and again.metric


def test_the_camera_of_a_map_is_found_again_whatever_shift_its_depth_lacks():
    aspect, focal, shift = 1.5, 1.3, 0.4
    rows, columns = np.mgrid[:80, :120]
    u, v = ((2 * columns + 1) / 120 - 1) * 0.832, ((2 * rows + 1) / 80 - 1) * 0.555
    z = 2.0 + np.sin(columns / 20.0) + rows / 60.0
    points = np.stack([u * z / focal, v * z / focal, z - shift], -1).astype(np.float32)
    believed = np.ones((80, 120), bool)
    believed[:, 90:] = False
    points[:, 90:] = 7.0
    found = recovered(points, believed, aspect)
    assert found == (pytest.approx(focal, rel=0.02), pytest.approx(shift, rel=0.1))
    assert recovered(points, believed, aspect, focal)[1] == pytest.approx(shift, rel=0.05)
    assert recovered(points, np.zeros_like(believed), aspect) == (1.0, 0.0)


@pytest.mark.parametrize("damage", ["cut off", "code", "other", "sizes", "unknown"])
def test_damaged_weights_are_one_sentence_and_run_no_code(picture, weights, tmp_path, damage):
    folder = tiny_moge.write(tmp_path / NAME)
    file = folder / moge.FILE
    config = copy.deepcopy(tiny_moge.CONFIG)
    if damage == "cut off":
        file.write_bytes(file.read_bytes()[:3000])
    elif damage == "code":
        file.write_bytes(pickle.dumps(print))
    elif damage == "other":
        torch.save({"state": torch.zeros(3)}, file)
    else:
        content = torch.load(file, weights_only=True)
        if damage == "sizes":
            config["encoder"]["dim_out"] = 24
        else:
            config["remap_output"] = "sinh"
        torch.save({**content, "model_config": config}, file)
    with pytest.raises(Unable) as caught:
        run(task(NAME, WeightStore(tmp_path), picture))
    assert "\n" not in str(caught.value) and "cannot be loaded" in str(caught.value)


def test_all_three_sizes_are_offered_and_only_the_small_one_is_taken_by_itself():
    rows = [with_network(name)[1] for name in ("moge-2", "moge-2-base", "moge-2-large")]
    assert [row.automatic for row in rows] == [True, False, False] and {row.licence for row in rows} == {"MIT"}
    assert [round(row.bytes / 1e6) for row in rows] == [141, 419, 1324]
