# SPDX-License-Identifier: GPL-3.0-or-later
"""The method depth with our own network, and with small Depth Anything networks of the published layout."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods.asked import run, silent, task
from image_to_3d.worker.core.errors import Cancelled, Unable, WeightsMissing
from image_to_3d.worker.methods import depth, method, with_network
from image_to_3d.worker.methods.depth import depth_anything, estimator, published
from image_to_3d.worker.methods.depth.estimator import SceneEstimator
from image_to_3d.worker.methods.depth.framing import DEFAULT_FOV, network_size
from image_to_3d.worker.methods.depth.included import SceneConfig, Seen, load
from image_to_3d.worker.methods.depth.published import Estimator
from image_to_3d.worker.methods.method import INCLUDED, LoadedNetworks
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

RELATIVE, METRIC = "depth-anything-v2-small", "metric"


def configuration(width: int, layers: int, kind: str, **sizes) -> DepthAnythingConfig:
    stages = [f"stage{layers * i // 4}" for i in range(1, 5)]
    backbone = Dinov2Config(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64, image_size=518, patch_size=14,
        out_features=stages, apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    metric = {"depth_estimation_type": kind, "max_depth": 20 if kind == "metric" else 1}
    return DepthAnythingConfig(backbone_config=backbone, reassemble_hidden_size=width, patch_size=14, **metric, **sizes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> WeightStore:
    """A folder with a random network of the published layout under each name."""
    root = tmp_path_factory.mktemp("weights")
    for kind, folder in (("relative", root / RELATIVE), ("metric", root / METRIC / RELATIVE)):
        torch.manual_seed(3)
        small = configuration(64, 4, kind, neck_hidden_sizes=[8, 16, 24, 32], fusion_hidden_size=16, head_hidden_size=8)
        DepthAnythingForDepthEstimation(small).save_pretrained(folder)
    return WeightStore(root)


@pytest.fixture
def picture() -> Picture:
    rows, columns = np.mgrid[:120, :160]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    return Picture(rgb, None, None, hashlib.sha256(rgb.tobytes()).hexdigest(), "picture")


def test_the_full_network_has_as_many_bytes_as_the_published_file():
    with torch.device("meta"):
        full = DepthAnythingForDepthEstimation(
            configuration(384, 12, "relative", neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64)
        )
    stored = sum(tensor.numel() * 4 for tensor in full.state_dict().values())
    file = with_network(RELATIVE)[1].published.files[1]
    assert 0 < file.bytes - stored < 50_000  # the rest is the file's header


def test_relative_weights_give_relative_inverse_depth(picture, weights):
    found = run(task(RELATIVE, weights, picture))
    assert not found.metric and found.valid.all() and found.inverse_depth.min() >= 0 and found.inverse_depth.std() > 0


def test_weights_whose_licence_is_not_clear_are_refused(picture, weights):
    """The metric ones, put where the relative ones should be."""
    with pytest.raises(Unable, match="licence"):
        run(task(RELATIVE, WeightStore(weights.root / METRIC), picture))


def test_our_own_preparation_of_the_picture_is_the_published_one(picture, weights, tmp_path):
    """Same size, same normalisation as the processor that comes with the weights (its Pillow form)."""
    processing = pytest.importorskip("transformers.models.dpt.image_processing_pil_dpt")
    processor = processing.DPTImageProcessorPil(
        size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14, do_rescale=True,
        resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], do_normalize=True,
    )  # fmt: skip
    large = np.kron(picture.rgb, np.ones((6, 6, 1), np.uint8))  # 960 x 720: both sides are made smaller
    theirs = torch.as_tensor(np.array(processor(images=[large], return_tensors="np")["pixel_values"]))
    ours = published._resized(large, *network_size(large.shape[:2], 518, 14))
    network = depth_anything.load(weights.root / RELATIVE)
    prepared = (ours[None] - network.mean) / network.std
    assert prepared.shape == theirs.shape
    assert (prepared - theirs).abs().mean() < 0.02  # they round to 8 bits at another place


def test_without_weights_the_download_that_would_help_is_named(picture, tmp_path):
    with pytest.raises(WeightsMissing) as caught:
        run(task(RELATIVE, WeightStore(tmp_path), picture))
    assert caught.value.bytes > 99_000_000 and caught.value.licence == "Apache-2.0"


@pytest.mark.parametrize("damage", ["cut off", "no tensors", "other layout", "bad configuration"])
def test_damaged_weights_are_one_sentence(picture, weights, tmp_path, damage):
    folder = tmp_path / RELATIVE
    folder.mkdir()
    config, tensors = (weights.root / RELATIVE / name for name in ("config.json", "model.safetensors"))
    content, settings = tensors.read_bytes(), json.loads(config.read_text())
    if damage == "cut off":
        content = content[: len(content) // 2]
    elif damage == "no tensors":
        content = b"not safetensors"
    elif damage == "other layout":
        settings["head_hidden_size"] = 12
    else:
        settings = ["nothing"]
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(Unable) as caught:
        run(task(RELATIVE, WeightStore(tmp_path), picture))
    assert "\n" not in str(caught.value) and "cannot be loaded" in str(caught.value)


def test_the_included_network_needs_no_weights_folder(picture, tmp_path):
    found = run(task("included", WeightStore(tmp_path / "none"), picture))
    assert not found.metric and found.proportional
    assert found.inverse_depth.shape[0] < found.inverse_depth.shape[1]
    assert (INCLUDED / "depth.safetensors").stat().st_size <= 20_000_000


def test_mirror_averages_the_two_sides(picture, tmp_path):
    class Ramp(torch.nn.Module):  # sees brightness of the left half only
        def forward(self, image):
            mask = torch.zeros_like(image[:, 0])
            mask[..., : image.shape[-1] // 2] = 1
            return mask

    half = Estimator(Ramp(), torch.device("cpu"), 32, 32)
    assert set(np.unique(half(picture, depth.Options(1.0, False), lambda: None).inverse_depth)) == {0.0, 1.0}
    assert set(np.unique(half(picture, depth.Options(1.0, True), lambda: None).inverse_depth)) == {0.5}


def test_a_network_that_gives_nonsense_is_refused(picture):
    class Broken(torch.nn.Module):
        def forward(self, image):
            return torch.full_like(image[:, 0], torch.nan)

    with pytest.raises(Unable, match="finite"):
        Estimator(Broken(), torch.device("cpu"), 32, 32)(picture, depth.Options(), lambda: None)


def test_a_cancel_is_heard_before_the_network_runs(picture, tmp_path):
    job = silent()
    job.cancel()
    with pytest.raises(Cancelled):
        run(task("included", WeightStore(tmp_path), picture), job)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (480, 640), (3000, 2000)])
def test_the_networks_size_is_bounded_whatever_the_photos_shape(shape):
    height, width = network_size(shape, 518, 14)
    assert height % 14 == width % 14 == 0 and min(height, width) >= 14
    assert height * width <= 2 * 518 * 518 * 1.1


def test_networks_are_loaded_once_and_given_back(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(method, "LOADED", held := LoadedNetworks())
    wanted = task("included", WeightStore(tmp_path), picture)
    run(wanted)
    [loaded] = held._held.values()
    run(wanted)
    [again] = held._held.values()
    assert again is loaded
    held.unload()
    assert not held._held


def test_the_map_comes_back_from_its_arrays_with_the_picture_and_without_the_network(picture, weights, monkeypatch):
    wanted = task(RELATIVE, weights, picture)
    made = run(wanted)
    monkeypatch.setattr(estimator, "load", lambda *_: pytest.fail("it was loaded"))
    noted = dataclasses.replace(made, notes=("seen twice",))
    again = estimator.restored(noted.to_arrays(), wanted, silent())
    assert again.notes == noted.notes
    assert (again.inverse_depth == made.inverse_depth).all() and again.metric == made.metric
    assert again.view.rgb is picture.rgb and again.view.camera == made.view.camera


def test_the_camera_is_the_photos_else_the_usual(picture, weights):
    assert run(task(RELATIVE, weights, picture)).view.camera.fov_degrees == pytest.approx(DEFAULT_FOV)
    known = dataclasses.replace(picture, fov_degrees=40.0)
    assert run(task(RELATIVE, weights, known)).view.camera.fov_degrees == pytest.approx(40.0)


class Scripted:
    """Sees a wall under a sky, whose left half is twice as far as its right one, through a lens of 90 degrees."""

    config = SceneConfig(size=32)

    def __init__(self, sky: float = 0.25, broken: bool = False) -> None:
        self.sky, self.depth = sky, np.nan if broken else 1.0

    def __call__(self, picture: np.ndarray) -> Seen:
        flat = np.zeros(picture[::2, ::2, 0].shape, np.float32)
        depth = flat + np.float32(self.depth)
        depth[:, : flat.shape[1] // 2] += np.log(2.0)
        solid = flat + np.where(np.arange(len(flat)) < self.sky * len(flat), -9.0, 9.0)[:, None]
        sideways = flat + np.float32([0.6, 0.0, -0.8])[:, None, None]
        return Seen(depth, flat + np.float32(np.log(0.1)), sideways, flat, np.float32(solid), 0.0)


def seen_by(network, picture: Picture, mirror: bool = False):
    return SceneEstimator(network)(picture, depth.Options(1.0, mirror), lambda: None)


def test_our_own_network_sees_a_picture_once_at_its_best_size_whatever_is_asked_of_it(picture):
    seen, network = [], Scripted()

    class Counting(Scripted):
        def __call__(self, picture: np.ndarray) -> Seen:
            seen.append(picture.shape)
            return network(picture)

    estimator = SceneEstimator(Counting())
    whole = estimator(picture, depth.Options(1.0), lambda: None)
    once = list(seen)
    coarse = estimator(picture, depth.Options(0.5), lambda: None)
    assert seen == once and coarse.inverse_depth.shape < whole.inverse_depth.shape
    alone = SceneEstimator(Scripted())(picture, depth.Options(0.5), lambda: None)
    assert (alone.inverse_depth == coarse.inverse_depth).all(), "whatever was asked before"
    estimator(dataclasses.replace(picture, alpha=None), depth.Options(1.0), lambda: None)
    assert len(seen) == 2 * len(once), "another one, though of the same file"


def test_a_scene_has_its_proportions_its_sky_and_its_own_lens(picture):
    found = seen_by(Scripted(), picture)
    height, width = found.inverse_depth.shape
    assert found.proportional and not found.metric
    assert found.view.camera.fov_degrees == pytest.approx(90.0, abs=0.01)
    assert not found.valid[: height // 8].any() and found.valid[height // 2 :].all()
    assert not found.inverse_depth[~found.valid].any()
    assert found.inverse_depth[-1, -1] / found.inverse_depth[-1, 0] == pytest.approx(2.0, rel=1e-4)
    assert found.uncertainty == pytest.approx(0.1) and found.salient == pytest.approx(0.5)
    np.testing.assert_allclose(found.normals, np.broadcast_to([0.6, 0.0, -0.8], (height, width, 3)), atol=1e-5)


def test_a_mirrored_scene_is_averaged_as_proportions_and_its_normals_as_directions(picture):
    found = seen_by(Scripted(), picture, mirror=True)
    assert np.ptp(found.inverse_depth[found.valid]) < 0.5 * found.inverse_depth.max()
    np.testing.assert_allclose(found.normals[0, 0], [0.0, 0.0, -1.0], atol=1e-5)


def test_exif_knows_the_lens_better_than_the_network(picture):
    known = dataclasses.replace(picture, fov_degrees=40.0)
    assert seen_by(Scripted(), known).view.camera.fov_degrees == pytest.approx(40.0)


@pytest.mark.parametrize(("network", "said"), [(Scripted(sky=1.0), "nothing that has a distance"),
                                               (Scripted(broken=True), "finite")])  # fmt: skip
def test_a_scene_without_depth_is_refused_in_one_sentence(picture, network, said):
    with pytest.raises(Unable, match=said):
        seen_by(network, picture)


def test_a_scene_comes_back_from_its_arrays_with_all_that_it_offers(picture, tmp_path):
    wanted = task("included", WeightStore(tmp_path), picture)
    made = run(wanted)
    again = estimator.restored(made.to_arrays(), wanted, silent())
    assert again.proportional and again.view.camera.fx == pytest.approx(made.view.camera.fx)
    for part in ("inverse_depth", "valid", "uncertainty", "normals", "salient"):
        np.testing.assert_array_equal(getattr(again, part), getattr(made, part))


def test_what_ships_sees_at_its_own_size(picture):
    found = seen_by(load(INCLUDED / "depth.safetensors"), picture)
    assert found.inverse_depth.shape == (160, 208)


def test_a_sky_is_large_and_the_network_is_sure_of_it():
    solid = np.full((40, 60), 5.0)
    solid[:10], solid[20:22, 20:22], solid[30:, :30] = -5.0, -5.0, -0.5
    expected = np.zeros(solid.shape, bool)
    expected[:10] = True
    np.testing.assert_array_equal(estimator._sky(solid, np.zeros((80, 120, 3), np.uint8)), expected)


def test_a_sky_goes_on_where_it_is_likelier_than_a_surface_and_has_its_colour():
    solid, rgb = np.full((100, 100), 4.0, np.float32), np.full((100, 100, 3), 180, np.uint8)
    solid[:30], solid[:30, :3] = -2.0, -1.0  # its rim, of which the network is less sure
    solid[30:34, 40:60], rgb[28:34, 40:60, 1] = -1.0, 100  # a roof, over whose edge the network sees the sky
    solid[60:80, 60:80] = -1.0  # a pale wall
    expected = np.zeros((100, 100), bool)
    expected[:30] = True
    np.testing.assert_array_equal(estimator._sky(solid, rgb), expected)
