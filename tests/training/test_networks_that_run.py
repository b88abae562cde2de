# SPDX-License-Identifier: GPL-3.0-or-later
"""What the product runs without torch gives what was trained with torch: the same numbers, of all three networks that
ship and of small ones with random weights, at several sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from image_to_3d.worker.methods.depth import included
from image_to_3d.worker.methods.depth.included import SceneConfig
from image_to_3d.worker.methods.layers import generator_network, network
from image_to_3d.worker.methods.layers.generator_network import IncludedGeneratorConfig, Known
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.methods.method import INCLUDED
from image_to_3d.worker.training import generator_network as trained_generator
from image_to_3d.worker.training import object_network as trained_object
from image_to_3d.worker.training import scene_network as trained_scene
from image_to_3d.worker.training.run import export
from torch import nn

MOST = 1e-4
"""Of the largest number: how far the two may be apart. 2e-6 was seen."""

SCENE = SceneConfig((4, 5, 6, 7, 8), (1, 0, 2, 0, 1), 96)
OBJECT = IncludedObjectConfig((8, 16, 8, 16), (1, 0, 2, 1), 48, up=False)
GENERATOR = IncludedGeneratorConfig(IncludedObjectConfig((8, 16, 8, 16), (1, 0, 2, 1)), (16, 8, 16, 8), (0, 1, 1, 2))


def alike(found, expected) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape and np.isfinite(found).all()
    assert np.abs(found - expected).max() <= MOST * np.abs(expected).max()


def random(made: nn.Module, file: Path, metadata: dict[str, str]) -> Path:
    """A file of that network, with numbers all over it that are as they would be."""
    torch.manual_seed(0)
    for name, values in made.state_dict().items():
        if values.is_floating_point():
            values.uniform_(0.5, 1.5) if name.endswith("running_var") else values.normal_(0.0, 0.2)
    export(made, metadata, file)
    return file


@pytest.fixture(params=["shipped", "random"])
def scene_file(request, tmp_path) -> Path:
    if request.param == "shipped":
        return INCLUDED / "depth.safetensors"
    made = trained_scene.IncludedScene(SCENE)
    return random(made, tmp_path / "depth.safetensors", trained_scene.metadata(SCENE))


@pytest.fixture(params=["shipped", "random"])
def object_file(request, tmp_path) -> Path:
    if request.param == "shipped":
        return INCLUDED / "object.safetensors"
    made = trained_object.IncludedObject(OBJECT)
    return random(made, tmp_path / "object.safetensors", trained_object.metadata(OBJECT))


@pytest.fixture(params=["shipped", "random"])
def generator_file(request, tmp_path) -> Path:
    if request.param == "shipped":
        return INCLUDED / "generator.safetensors"
    made = trained_generator.IncludedGenerator(GENERATOR)
    return random(made, tmp_path / "generator.safetensors", trained_generator.metadata(GENERATOR))


def batch(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(values)[None] for values in arrays]


@pytest.mark.parametrize("size", [(160, 208), (208, 160), (16, 16), (48, 80), (160, 320)])
def test_a_scene_is_seen_alike(scene_file, size):
    picture = np.random.default_rng(1).random((*size, 3), np.float32)
    with torch.inference_mode():
        expected = trained_scene.load(scene_file)(*batch(picture.transpose(2, 0, 1).copy())).enlarged(*size)
    found = included.load(scene_file)(picture).enlarged(*size)
    for one, other in zip(found, expected, strict=True):
        alike(one, other[0])


def thing(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, mask and height of something in a square, all at random."""
    rng = np.random.default_rng(2)
    mask = np.float32(rng.random((size, size)) > 0.3)
    return rng.random((3, size, size), np.float32), mask, rng.random((size, size), np.float32) * mask


@pytest.mark.parametrize("size", [64, 32, 96])
def test_a_thing_is_seen_alike(object_file, size):
    with torch.inference_mode():
        front, back, colour, up = trained_object.load(object_file)(*batch(*thing(size)))
    found, found_up = network.load(object_file)(*thing(size))
    alike(found, torch.cat([front, back, colour[0]]))
    assert (found_up is None) == (up is None)
    if up is not None:
        alike(found_up, up[0])


KNOWN = {"nothing": None, "all": (1, 1, 0.1), "but the shift": (0, 1, 0.0), "but shift and scale": (0, 0, 0.05)}


@pytest.mark.parametrize("size", [64, 32])
@pytest.mark.parametrize("sure", KNOWN.values(), ids=KNOWN.keys())
def test_a_thing_is_imagined_alike_whatever_is_known_of_it(generator_file, sure, size):
    rng, known, told = np.random.default_rng(3), None, None
    if sure:
        where = np.float32(rng.random((1, 2, size, size)) > 0.5)
        known = Known(rng.random((1, 5, size, size), np.float32), where, np.float32([sure]))
        told = Known(*map(torch.from_numpy, known))
    noise = rng.standard_normal((5, size // 2, size // 2), np.float32)
    theirs, ours = trained_generator.load(generator_file), generator_network.load(generator_file)
    with torch.inference_mode():
        regression, _ = theirs.regression(*batch(*thing(size)))
        view, outline = theirs.view(*batch(*thing(size)), regression, told)
        residual = theirs.residual(*batch(noise), view, outline, 4, lambda step: None)
        front, back, colour, _ = theirs.layers(regression, residual, outline, told)
    likeliest, _ = ours.regressor(*thing(size))
    seen, inside = ours.view(*thing(size), likeliest, known)
    found = ours.residual(noise, seen, inside, 4, lambda step: None)
    for one, other in ((likeliest, regression[0]), (seen, view[0]), (inside, outline[0]), (found, residual[0])):
        alike(one, other)
    alike(ours.layers(likeliest, found, inside, known), torch.cat([front, back, colour[0]]))
