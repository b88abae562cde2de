# SPDX-License-Identifier: GPL-3.0-or-later
"""A TripoSR with random weights whose field is nevertheless a closed, coloured ball with bumps.

Random weights alone give noise that fills the cube, on which no step after the network means anything. So three of the
steps are set by hand, at any size of the network: the learned planes hold a disc each (and a ramp of colour), the
upsampling hands these on, and the first neurons of the perceptron carry them to its end. All else stays random, and
what the transformers add to the planes makes bumps that depend on the picture.
"""

from __future__ import annotations

from pathlib import Path

import torch
from image_to_3d.worker.methods.triposr.network import TripoSR, TripoSRConfig
from torch import Tensor

TINY = TripoSRConfig(
    image_size=64, plane_size=16, channels=32, heads=2, head_width=16, layers=2, plane_channels=8, neurons=16,
    hidden_layers=2, vit_width=64, vit_hidden=96, vit_layers=1,
)  # fmt: skip
LEVEL = 25.0
"""The density of the ball's surface."""


def with_a_ball(network: TripoSR, radius: float = 0.4, bumps: float = 0.05) -> TripoSR:
    """Sets the planes, the upsampling and the perceptron so that the density is LEVEL about `radius` from the middle.

    Each plane holds max(0, R^2 - u^2 - v^2) with R = 1.5 radius, whose sum over the planes is 3 R^2 - 2 r^2 near the
    middle. bumps: how large what the transformers add is, as a share of R^2.
    """
    config = network.config
    extent, steps = 1.5 * radius, 2 * config.plane_size
    axis = (torch.arange(steps) + 0.5) / steps * 2 * config.radius - config.radius
    v, u = torch.meshgrid(axis, axis, indexing="ij")  # rows, columns: a plane's first coordinate lies along its width
    disc, ramp = (extent**2 - u**2 - v**2).clamp(min=0) / extent**2, u / config.radius
    with torch.no_grad():
        planes, upsample = network.tokenizer["embeddings"], network.post_processor["upsample"]
        torch.nn.init.normal_(planes, std=0.02)
        torch.nn.init.zeros_(upsample.weight)
        torch.nn.init.zeros_(upsample.bias)
        for channel, values in enumerate((disc, ramp)):
            for part in range(4):  # a channel of the tokens for each of the four pixels that a token becomes
                row, column = divmod(part, 2)
                planes[:, 4 * channel + part] = values[row::2, column::2]
                upsample.weight[4 * channel + part, channel, row, column] = 1.0
        network.backbone.proj_out.weight *= bumps
        network.backbone.proj_out.bias *= bumps
        _set_perceptron(network, 3.0 - 2.0 * radius**2 / extent**2)
    return network


def _set_perceptron(network: TripoSR, at_surface: float) -> None:
    """Neuron 0 carries the sum of the discs, neurons 1 to 3 the ramps of colour."""
    layers = [layer for layer in network.decoder["layers"] if isinstance(layer, torch.nn.Linear)]
    channels = network.config.plane_channels
    for layer in layers:
        layer.weight[:4] = 0.0
        layer.bias[:4] = 0.0
    discs = [plane * channels for plane in range(3)]
    layers[0].weight[0, discs] = 8.0
    for neuron in range(1, 4):
        layers[0].weight[neuron, discs[neuron - 1] + 1] = 4.0
        layers[0].bias[neuron] = 6.0
    for layer in layers[1:]:
        layer.weight[range(4), range(4)] = 1.0
    log_level = torch.log(torch.tensor(LEVEL))
    layers[-1].bias[0] = log_level - network.config.density_bias - _carried(8.0 * at_surface, len(layers) - 1)
    layers[-1].bias[1:] = -_carried(6.0, len(layers) - 1)


def _carried(value: float, times: int) -> Tensor:
    """What of a value is left after that many SiLUs."""
    carried = torch.tensor(value)
    for _ in range(times):
        carried = torch.nn.functional.silu(carried)
    return carried


def yaml_of(config: TripoSRConfig) -> str:
    """In the layout of the published config.yaml, with its reference and its comment."""
    return f"""cond_image_size: {config.image_size}
image_tokenizer:
  pretrained_model_name_or_path: "facebook/dino-vitb16"
tokenizer:
  plane_size: {config.plane_size}
  num_channels: {config.channels}
backbone:
  in_channels: ${{tokenizer.num_channels}}
  num_attention_heads: {config.heads}
  attention_head_dim: {config.head_width}
  num_layers: {config.layers}
  cross_attention_dim: {config.vit_width}
post_processor:
  in_channels: {config.channels}
  out_channels: {config.plane_channels}
decoder:
  in_channels: {3 * config.plane_channels} # 3 planes
  n_neurons: {config.neurons}
  n_hidden_layers: {config.hidden_layers}
  activation: silu
renderer:
  radius: {config.radius}
  feature_reduction: concat
  density_activation: exp
  density_bias: {config.density_bias}"""


def write(folder: Path, config: TripoSRConfig = TINY, seed: int = 0) -> TripoSR:
    """Makes `folder` with config.yaml and model.ckpt, and returns the network that they hold."""
    torch.manual_seed(seed)
    network = with_a_ball(TripoSR(config)).eval().requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml_of(config), "utf-8")
    torch.save(network.state_dict(), folder / "model.ckpt")
    return network
