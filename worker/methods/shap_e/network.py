# SPDX-License-Identifier: GPL-3.0-or-later
"""Shap-E (Jun and Nichol 2023, arXiv:2305.02463): one picture to the weights of a small perceptron that is the shape.

diffusers runs what samples them; the perceptron is evaluated here, so that its field can be asked where the surface is,
and again later without diffusers. Knows torch only: not where weights lie, nor how a subject is cut out.

Axes of the shape: right-handed, z up, within [-1, 1]; which way it faces does not depend on the picture's viewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime import configurations
from ..runtime.checkpoint import fit, read_tensors
from ..runtime.configurations import Preparation

if TYPE_CHECKING:  # takes seconds, which a field that comes from a cache need not wait for
    from diffusers import PriorTransformer, ShapEImg2ImgPipeline
    from diffusers.pipelines.shap_e import ShapERenderer
    from transformers import CLIPVisionModel

EXTENT = 1.0
"""Half the side of the cube in which shapes lie."""

MARGIN = 0.2
"""Empty border around the subject, as a share of its longer side: about what a thing that fills the cube has in the
views by which the published renderer shows it."""

OCTAVES = 15
"""Frequencies in the embedding of a coordinate."""

_SDF, _COLOUR = 0, slice(3, 6)  # where the perceptron's outputs stand
_MESH_TABLES = "mesh_decoder."  # for its own marching cubes, which is not used here
_RENDERERS = ("shap_e_renderer", "renderer")  # the published folder has both; the second, older, lacks those tables


@dataclass(frozen=True)
class Sampler:
    """diffusers' pipeline with its networks, and how it wants its pictures."""

    pipeline: ShapEImg2ImgPipeline
    preparation: Preparation

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return self.pipeline.image_encoder, self.pipeline.prior, self.pipeline.shap_e_renderer

    def perceptron(self, latents: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weight (outputs, inputs) and bias (outputs) float32 of each layer, of latents (1, N, C)."""
        renderer = self.pipeline.shap_e_renderer
        sampled = renderer.params_proj(latents)
        layers = []
        for i, layer in enumerate(renderer.mlp.mlp):
            weight = sampled.get(f"nerstf.mlp.{i}.weight", layer.weight[None])[0].float()
            if i == renderer.mlp.config.insert_direction_at:  # zeros for a surface, which looks alike from everywhere
                weight = weight[:, : renderer.mlp.config.d_hidden]
            layers.append((weight, layer.bias.float()))
        return layers


class Perceptron:
    """A shape as a function of space. layers: as Sampler.perceptron gives them."""

    def __init__(self, layers: list[tuple[Tensor, Tensor]]):
        self.layers = layers

    def raw(self, points: Tensor) -> Tensor:
        """(N, 3) float32 -> (N, outputs), before their activations."""
        rates = 2.0 ** torch.arange(OCTAVES, device=points.device, dtype=points.dtype)
        angles = (points[:, None, :] * rates[:, None]).flatten(1)  # for each rate the three coordinates
        values = torch.cat([points, angles.sin(), (angles + math.pi / 2.0).sin()], -1)  # rounded as it was trained
        for weight, bias in self.layers[:-1]:
            values = functional.silu(functional.linear(values, weight, bias))
        return functional.linear(values, *self.layers[-1])

    def value(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,): positive inside, zero on the surface. Before the network's own tangens, which flattens it."""
        return self.raw(points)[:, _SDF]

    def colour(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N, 3) sRGB in [0, 1]."""
        return torch.sigmoid(self.raw(points)[:, _COLOUR])


def files(folder: Path) -> tuple[Path, Path, Path]:
    """With the weights of the picture's encoder, the sampler and the renderer. ValueError if one is missing."""
    renderers = tuple(folder / part for part in _RENDERERS)
    encoder = _weights((folder / "image_encoder",), "model")
    prior, renderer = (_weights(parts, "diffusion_pytorch_model") for parts in ((folder / "prior",), renderers))
    return encoder, prior, renderer


def load(folder: Path) -> Sampler:
    """The networks in `folder`, as published or as diffusers writes them: eval mode, float32, on the CPU.

    Raises ValueError, one sentence, where a file is missing, damaged or of another network; OSError; ImportError
    without diffusers.
    """
    from diffusers import HeunDiscreteScheduler, ShapEImg2ImgPipeline

    preparation = configurations.read_preparation(folder / "image_processor" / "preprocessor_config.json")
    scheduler = configurations.read(folder / "scheduler" / "scheduler_config.json")
    if (name := scheduler.values.get("_class_name")) != "HeunDiscreteScheduler":
        raise ValueError(f"_class_name in {scheduler.name} must be 'HeunDiscreteScheduler', not {name!r}")
    encoder, prior, renderer = files(folder)
    pipeline = ShapEImg2ImgPipeline(
        prior=_prior(prior),
        image_encoder=_encoder(encoder),
        image_processor=None,  # pictures come prepared
        scheduler=HeunDiscreteScheduler.from_config(dict(scheduler.values)),
        shap_e_renderer=_renderer(renderer),
    )
    pipeline.set_progress_bar_config(disable=True)
    return Sampler(pipeline, preparation)


def _prior(path: Path) -> PriorTransformer:
    """What turns noise into a shape's latents."""
    from diffusers import PriorTransformer

    found = configurations.read(path.with_name("config.json"))
    found.fixed({"_class_name": "PriorTransformer"})
    with torch.device("meta"):
        network = _made(PriorTransformer, found)
    network.causal_attention_mask = None  # of no file, and unused for pictures
    fit(network, read_tensors(path), f"prior/{path.name}")
    return network.eval().requires_grad_(False)


def _renderer(path: Path) -> ShapERenderer:
    """What turns latents into a perceptron. Its tables for marching cubes stay in the file."""
    from diffusers.pipelines.shap_e import ShapERenderer

    found = configurations.read(path.with_name("config.json"))
    found.fixed({"_class_name": "ShapERenderer", "act_fn": "swish"})
    with torch.device("meta"):
        network = _made(ShapERenderer, found)
    network.mesh_decoder = nn.Identity()
    tensors = {name: tensor for name, tensor in read_tensors(path).items() if not name.startswith(_MESH_TABLES)}
    fit(network, tensors, f"{path.parent.name}/{path.name}")
    return network.eval().requires_grad_(False)


def _encoder(path: Path) -> CLIPVisionModel:
    """CLIP's vision transformer (Radford et al. 2021, arXiv:2103.00020)."""
    from transformers import CLIPVisionModel

    configurations.read(path.with_name("config.json")).fixed({"model_type": "clip_vision_model"})
    read_tensors(path)  # which tells in one sentence where the file is damaged
    network, report = CLIPVisionModel.from_pretrained(
        path.parent,
        local_files_only=True,
        use_safetensors=True,
        variant="fp16" if ".fp16." in path.name else None,
        ignore_mismatched_sizes=True,  # they are told below
        output_loading_info=True,
        dtype=torch.float32,
    )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[problem]:
            name = sorted(map(str, report[problem]))[0]
            raise ValueError(f"image_encoder/{path.name} does not fit its configuration: {problem[:-5]}: {name}")
    return network.eval().requires_grad_(False)


def _made(kind: type, found: configurations.Configuration) -> nn.Module:
    try:
        return kind.from_config(dict(found.values))
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{found.name} makes no network ({str(error).splitlines()[0][:120]})") from None


def _weights(folders: tuple[Path, ...], stem: str) -> Path:
    """The file with a network's weights: in single precision or in half, which is all that Shap-E needs; rather one
    that can hold nothing but tensors."""
    names = [f"{stem}{variant}{ending}" for ending in (".safetensors", ".bin") for variant in ("", ".fp16")]
    for path in (folder / name for name in names for folder in folders):
        if path.is_file():
            return path
    raise ValueError(f"{folders[0].name}/{names[0]} is missing")
