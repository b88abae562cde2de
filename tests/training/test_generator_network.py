# SPDX-License-Identifier: GPL-3.0-or-later
"""The included generator: its noise, its flow, its file; and that what ships imagines, and imagines well."""

import pytest
import torch
from image_to_3d.worker.methods.layers.generator_network import IncludedGeneratorConfig, Known
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.methods.method import INCLUDED
from image_to_3d.worker.training import object_network
from image_to_3d.worker.training.generator_card import held_out_scores
from image_to_3d.worker.training.generator_network import IncludedGenerator, load, metadata
from image_to_3d.worker.training.object_network import IncludedObject
from image_to_3d.worker.training.run import export
from torch import Generator, Tensor
from torch.nn import functional

SHIPPED = INCLUDED / "generator.safetensors"
WIDTHS = (8, 8, 16, 16)
TINY = IncludedGeneratorConfig(IncludedObjectConfig(WIDTHS, (0, 0, 1, 1), 32), WIDTHS, (0, 0, 1, 1), 32)


def network(trained: bool = False) -> IncludedGenerator:
    """A random one; `trained`: whose flow bends."""
    torch.manual_seed(0)
    made = IncludedGenerator(TINY).eval()
    if trained:
        torch.nn.init.normal_(made.flow.head.weight, std=0.3)
    return made


def seen() -> tuple[Tensor, Tensor, Tensor]:
    """A grey disc in a square of 32 pixels: image, mask, height."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    height = (0.6 - x**2 - y**2).clamp(min=0).sqrt()
    mask = (height > 0).float()
    return (0.5 * mask).expand(1, 3, 32, 32), mask[None], height[None]


def viewed(made: IncludedGenerator) -> tuple[Tensor, Tensor]:
    return made.view(*seen(), made.regression(*seen())[0])


def noise(made: IncludedGenerator, seed: int, count: int = 1) -> Tensor:
    return made.noise(count, 16, Generator().manual_seed(seed))


def test_load_reads_every_hyper_parameter_back_from_the_file(tmp_path):
    theirs = IncludedObjectConfig((8, 16, 8, 16), (1, 0, 2, 1), 48)
    config = IncludedGeneratorConfig(theirs, (16, 8, 16, 8), (0, 1, 1, 2), 48)
    export(IncludedGenerator(config), metadata(config), tmp_path / "weights.safetensors")
    read = load(tmp_path / "weights.safetensors")
    assert read.config == config and not read.training


def test_a_file_of_another_network_is_refused_by_name(tmp_path):
    config = TINY.regressor
    export(IncludedObject(config), object_network.metadata(config), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="other.safetensors is not an IncludedGenerator file"):
        load(tmp_path / "other.safetensors")


def test_the_same_seed_gives_the_same_noise_and_another_seed_other_noise():
    made = network()
    assert (noise(made, 3) == noise(made, 3)).all() and (noise(made, 3) - noise(made, 4)).abs().mean() > 0.3


def test_noise_varies_as_the_mixing_says():
    made = network()
    made.mixing.zero_()
    made.mixing[0, :2, 0] = torch.tensor([1.0, -1.0])  # one number for the whole thing: how thick it is
    found = noise(made, 0, 64)
    assert (found[:, 0] + found[:, 1]).abs().max() < 1e-6 and (found[:, 2:] == 0).all()
    assert found[:, 0].std((1, 2)).max() < 1e-5 and found[:, 0, 0, 0].std() == pytest.approx(1.0, abs=0.2)


def test_an_untrained_flow_leaves_the_noise_about_as_it_is():
    made = network()
    view, outline = viewed(made)
    start = noise(made, 0) * outline
    with torch.inference_mode():
        found = made.residual(start, view, outline, 64, lambda step: None)
    assert (found - start).abs().max() < 0.05 * start.abs().max()


def test_a_flow_that_bends_stays_within_the_outline_and_tells_its_steps():
    made, told = network(trained=True), []
    view, outline = viewed(made)
    start = noise(made, 0) * outline
    found = made.residual(start, view, outline, 5, told.append)
    assert told == [0, 1, 2, 3, 4] and (found * (1 - outline) == 0).all() and (found - start).abs().mean() > 0.01


def test_the_flow_hears_the_time_once_it_has_learnt_to():
    made = network(trained=True)
    torch.nn.init.normal_(made.flow.moment[-1].weight, std=0.3)
    view, _ = viewed(made)
    early, late = (made.flow(noise(made, 0), view, torch.tensor([t])) for t in (0.1, 0.9))
    assert (early - late).abs().mean() > 1e-3


def test_the_flow_sees_the_thing_at_half_the_size_and_nothing_of_what_is_around_it():
    made, (image, mask, height) = network(), seen()
    view, outline = viewed(made)
    assert view.shape == (1, 22, 16, 16) and outline.sum() * 4 >= mask.sum()
    loud = image + (1 - mask[:, None])
    assert (made.view(loud, mask, height, made.regression(image, mask, height)[0])[0] == view).all()
    inside = functional.avg_pool2d(mask[:, None], 2) == 1
    assert torch.allclose(view[:, :3].mean(1, keepdim=True)[inside], torch.zeros(1), atol=1e-5)  # grey is in the middle


def test_a_sampled_residual_is_added_where_the_thing_is_in_the_layers_own_units():
    made, (_, mask, _) = network(), seen()
    made.scale.fill_(0.5)
    outline = functional.max_pool2d(mask[:, None], 2)
    front, back, *_ = made.layers(torch.zeros(1, 5, 32, 32), outline.expand(1, 5, 16, 16), outline)
    assert torch.allclose(front[mask > 0], torch.tensor(0.5)) and torch.allclose(back[mask > 0], torch.tensor(0.5))


def front_known(made: IncludedGenerator, sure: tuple[float, float, float], stretch: float = 1.0) -> Known:
    """A disc's front, a plane that leans, told with that certainty."""
    _, mask, _ = seen()
    layers = torch.zeros(1, 5, 32, 32)
    layers[:, 0] = stretch * (torch.linspace(-1, 1, 32).expand(1, 32, 32) + 0.5)
    return Known(layers, torch.stack([mask, torch.zeros_like(mask)], 1), torch.tensor([sure]))


def test_a_front_that_is_known_stays_as_it_is_and_the_rest_is_sampled():
    made, (_, mask, _) = network(), seen()
    outline, known = functional.max_pool2d(mask[:, None], 2), front_known(network(), (1, 1, 0))
    sampled = torch.ones(1, 5, 16, 16)
    front, back, *_ = made.layers(torch.zeros(1, 5, 32, 32), sampled, outline, known)
    assert torch.allclose(front[mask > 0], known.layers[:, 0][mask > 0], atol=1e-6)
    assert torch.allclose(back[mask > 0], torch.tensor(1.0))


@pytest.mark.parametrize(("sure", "stretch"), [((0, 1, 0), 1.0), ((0, 0, 0), 3.0)])
def test_a_front_known_up_to_its_shift_or_scale_is_brought_to_the_sampled_one(sure, stretch):
    made, (_, mask, _) = network(), seen()
    outline, known = functional.max_pool2d(mask[:, None], 2), front_known(made, sure, stretch)
    leaning = torch.zeros(1, 5, 32, 32)
    leaning[:, 0] = torch.linspace(-1, 1, 32).expand(1, 32, 32)
    front = made.layers(leaning, torch.zeros(1, 5, 16, 16), outline, known).front
    assert torch.allclose(front[mask > 0], leaning[:, 0][mask > 0], atol=1e-4)


def test_the_flow_is_told_what_is_known_where_it_is_known_and_how_well():
    made, (_, mask, _) = network(), seen()
    made.scale.fill_(0.5)
    blind, told = (
        made._told(torch.zeros(1, 5, 32, 32), known, mask) for known in (None, front_known(made, (1, 1, 0.1)))
    )
    assert (blind == 0).all() and told.shape == blind.shape == (1, 10, 16, 16)
    inside = functional.avg_pool2d(mask[:, None], 2)[:, 0] == 1
    expected = 2 * functional.avg_pool2d(front_known(made, (1, 1, 0)).layers[:, :1], 2)[:, 0]
    assert torch.allclose(told[:, 0][inside], expected[inside], atol=1e-5) and (told[:, 1:5] == 0).all()
    assert (told[:, 5][inside] == 1).all() and (told[:, 6] == 0).all() and (told[:, 9][inside] - 0.5).abs().max() < 1e-6
    assert (told.amax(1)[functional.max_pool2d(mask[:, None], 2)[:, 0] == 0] == 0).all()


def test_the_flow_begins_with_what_the_object_network_sees():
    torch.manual_seed(1)
    theirs, made = IncludedObject(TINY.regressor), network()
    made.flow.start_from(theirs)
    view, _ = viewed(made)
    both = (theirs.stem(view[:, :7]), made.flow.stem(torch.cat([view, noise(made, 0)], 1)))
    assert torch.allclose(*both, atol=1e-5)
    assert (made.flow.levels[3][0][0].weight == theirs.levels[3][0][0].weight).all()
    assert (made.flow.head.weight == 0).all()


def test_the_shipped_file_is_small_and_its_samples_vary_around_the_truth():
    assert SHIPPED.stat().st_size <= 20_000_000
    score = held_out_scores(load(SHIPPED), views=16)["all"]
    assert score.best < score.regression < score.one < 1.2 * score.regression and score.spread > 0.03
