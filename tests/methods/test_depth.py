# SPDX-License-Identifier: GPL-3.0-or-later
"""The Depth backend with our own network, and with small Depth Anything networks of the published layout."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Cancelled, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import depth
from image_to_3d.worker.methods.depth import estimator as depth_inference
from image_to_3d.worker.methods.depth.estimator import Estimator, network_size
from image_to_3d.worker.methods.layers import regression as object_inference
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

RELATIVE, METRIC = "depth-anything-v2-small", "depth-anything-v2-metric-indoor-small"


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
    for name, kind in ((RELATIVE, "relative"), (METRIC, "metric")):
        torch.manual_seed(3)
        small = configuration(64, 4, kind, neck_hidden_sizes=[8, 16, 24, 32], fusion_hidden_size=16, head_hidden_size=8)
        DepthAnythingForDepthEstimation(small).save_pretrained(root / name)
    return WeightStore(root)


@pytest.fixture
def picture() -> Picture:
    rows, columns = np.mgrid[:120, :160]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    return Picture(rgb, None, None, hashlib.sha256(rgb.tobytes()).hexdigest(), "picture")


def silent() -> Job:
    return Job(lambda *_: None)


def task(picture: Picture, model: str, weights: WeightStore, **options) -> backends.Task:
    info = backends.get("depth").describe(weights)
    return backends.Task((picture,), model, backends.settle(info, "fast", options), "cpu", weights)


def test_the_full_network_has_as_many_bytes_as_the_published_file():
    with torch.device("meta"):
        full = DepthAnythingForDepthEstimation(
            configuration(384, 12, "relative", neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64)
        )
    stored = sum(tensor.numel() * 4 for tensor in full.state_dict().values())
    published = next(file for file in depth.MODELS[0].hub.files if file.name == "model.safetensors").bytes
    assert 0 < published - stored < 50_000  # the rest is the file's header


def test_relative_weights_give_relative_inverse_depth(picture, weights):
    found = depth.Backend().generate(task(picture, RELATIVE, weights), silent())
    assert not found.metric and found.valid.all() and found.inverse_depth.min() >= 0 and found.inverse_depth.std() > 0


def test_metric_weights_give_one_over_metres(picture, weights):
    backend = depth.Backend()
    found = backend.generate(task(picture, METRIC, weights, detail=0.5), silent())
    network = backend._loaded[1].network
    image = depth_inference._resized(picture.rgb, *network_size((120, 160), 259, 14))
    with torch.inference_mode():
        metres = network(image)[0].numpy()
    assert found.metric and 0 < metres.min() < metres.max() < 20
    np.testing.assert_allclose(1 / found.inverse_depth, metres, rtol=1e-4)


def test_our_own_preparation_of_the_picture_is_the_published_one(picture, weights, tmp_path):
    """Same size, same normalisation as the processor that comes with the weights (its Pillow form)."""
    processing = pytest.importorskip("transformers.models.dpt.image_processing_pil_dpt")
    processor = processing.DPTImageProcessorPil(
        size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14, do_rescale=True,
        resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], do_normalize=True,
    )  # fmt: skip
    large = np.kron(picture.rgb, np.ones((6, 6, 1), np.uint8))  # 960 x 720: both sides are made smaller
    theirs = torch.as_tensor(np.array(processor(images=[large], return_tensors="np")["pixel_values"]))
    ours = depth_inference._resized(large, *network_size(large.shape[:2], 518, 14))
    from image_to_3d.worker.methods.depth import depth_anything

    network = depth_anything.load(weights.root / RELATIVE)
    prepared = (ours - network.mean) / network.std
    assert prepared.shape == theirs.shape
    assert (prepared - theirs).abs().mean() < 0.02  # they round to 8 bits at another place


def test_without_weights_the_download_that_would_help_is_named(picture, tmp_path):
    with pytest.raises(WeightsMissing) as caught:
        depth.Backend().generate(task(picture, RELATIVE, WeightStore(tmp_path)), silent())
    assert caught.value.bytes > 99_000_000 and caught.value.licence == "Apache-2.0"


def test_the_default_is_depth_anything_as_soon_as_its_weights_are_there(weights, tmp_path):
    assert depth.Backend().describe(weights).default_model == RELATIVE
    assert depth.Backend().describe(WeightStore(tmp_path)).default_model == "included"


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
        depth.Backend().generate(task(picture, RELATIVE, WeightStore(tmp_path)), silent())
    assert "\n" not in str(caught.value) and "cannot be loaded" in str(caught.value)


def test_the_included_network_needs_no_weights_folder(picture, tmp_path):
    found = depth.Backend().generate(task(picture, "included", WeightStore(tmp_path / "none")), silent())
    assert not found.metric and found.inverse_depth.shape[0] < found.inverse_depth.shape[1]
    assert Path(depth.INCLUDED).stat().st_size <= 20_000_000


def test_mirror_averages_the_two_sides(picture, tmp_path):
    class Ramp(torch.nn.Module):  # sees brightness of the left half only
        def forward(self, image):
            mask = torch.zeros_like(image[:, 0])
            mask[..., : image.shape[-1] // 2] = 1
            return mask

    estimator = Estimator(Ramp(), torch.device("cpu"), 32, 32, metric=False)
    rgb = picture.rgb
    assert set(np.unique(estimator(rgb, 1.0, False, lambda: None).inverse_depth)) == {0.0, 1.0}
    assert set(np.unique(estimator(rgb, 1.0, True, lambda: None).inverse_depth)) == {0.5}


def test_a_network_that_gives_nonsense_is_refused(picture):
    class Broken(torch.nn.Module):
        def forward(self, image):
            return torch.full_like(image[:, 0], torch.nan)

    with pytest.raises(Unable, match="finite"):
        Estimator(Broken(), torch.device("cpu"), 32, 32, metric=False)(picture.rgb, 1.0, False, lambda: None)


def test_a_cancel_is_heard_before_the_network_runs(picture, tmp_path):
    job = silent()
    job.cancel()
    with pytest.raises(Cancelled):
        depth.Backend().generate(task(picture, "included", WeightStore(tmp_path)), job)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (480, 640), (3000, 2000)])
def test_the_networks_size_is_bounded_whatever_the_photos_shape(shape):
    height, width = network_size(shape, 518, 14)
    assert height % 14 == width % 14 == 0 and min(height, width) >= 14
    assert height * width <= 2 * 518 * 518 * 1.1


def test_networks_are_loaded_once_and_given_back(picture, tmp_path):
    backend, wanted = depth.Backend(), task(picture, "included", WeightStore(tmp_path))
    backend.generate(wanted, silent())
    loaded = backend._loaded[1]
    backend.generate(wanted, silent())
    assert backend._loaded[1] is loaded
    backend.unload()
    assert backend._loaded is None


def cut_out(alpha=True) -> Picture:
    """A red ball, on nothing or on plain white."""
    rows, columns = np.indices((120, 160))
    is_ball = (rows - 60) ** 2 + (columns - 80) ** 2 < 45**2
    rgb = np.where(is_ball[..., None], [200, 40, 30], [255, 255, 255]).astype(np.uint8)
    return Picture(rgb, np.where(is_ball, 255, 0).astype(np.uint8) if alpha else None, None, "ball", "ball")


@pytest.mark.parametrize("alpha", [True, False])
def test_a_cut_out_thing_goes_to_the_object_network_whatever_else_is_there(weights, alpha):
    options = task(cut_out(), "included", weights).options
    assert depth.Backend().suited((cut_out(alpha),), options, RELATIVE) == "included-object"
    assert depth.Backend().suited((cut_out(alpha),), options | {"background": "keep"}, RELATIVE) == RELATIVE


def test_a_scene_goes_to_the_default_network(picture, weights):
    options = task(picture, "included", weights).options
    assert depth.Backend().suited((picture,), options, RELATIVE) == RELATIVE


def test_the_object_network_sees_a_ball_as_round_and_its_mirror_image_as_its_mirror_image(weights):
    found = depth.Backend().generate(task(cut_out(), "included-object", weights), silent())
    inner = found.front[16:-16, 16:-16]  # the outline's pixels are not quite symmetric
    np.testing.assert_allclose(inner[:, ::-1], inner, atol=0.06)
    middle = found.front.shape[0] // 2
    thick = found.back[middle, middle] - found.front[middle, middle]
    assert 1.0 < thick < 2.4  # half sides; a ball's is 1.75
    assert found.back_colour[middle, middle, 0] > 100 > found.back_colour[middle, middle, 2]


def test_a_scene_shown_to_the_object_network_is_refused(picture, weights):
    with pytest.raises(Unable, match="cut it out"):
        depth.Backend().generate(task(picture, "included-object", weights), silent())


def test_nonsense_from_the_object_network_becomes_the_inflated_outline():
    mask, height = np.ones((8, 8), bool), np.full((8, 8), 0.5, np.float32)
    for front, back in ((-30 * height, 30 * height), (height, -height), (height * np.nan, height)):
        found = object_inference.believed(front, back, height, mask)
        assert (found[0] == -height).all() and (found[1] == height).all()
    assert (object_inference.believed(-height / 2, height / 2, height, mask)[1] == height / 2).all()


def test_the_back_of_what_is_of_two_colours_is_of_both_and_takes_none_from_outside():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    front = np.zeros((40, 40, 3), np.float32)
    front[:, :20], front[:, 20:] = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    grey = np.full((3, 40, 40), 0.5, np.float32)
    found = object_inference.behind(grey, front * mask[..., None], mask)
    assert found[20, 6] == pytest.approx([191, 64, 64], abs=2) and found[20, 33] == pytest.approx([64, 64, 191], abs=2)
    assert (found[~mask] == 128).all()
