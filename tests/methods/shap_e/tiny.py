# SPDX-License-Identifier: GPL-3.0-or-later
"""A Shap-E with random weights whose field is nevertheless a closed, coloured ball with bumps. Needs diffusers.

Random weights alone give noise that fills the cube, on which no step after the networks means anything. So what latents
are added to is set by hand: neuron 0 carries the sum of the cosines of the coordinates, which falls like the square of
the distance, neurons 1 to 3 carry the coordinates as colours. What is sampled makes bumps.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from diffusers import HeunDiscreteScheduler, PriorTransformer, ShapEImg2ImgPipeline
from diffusers.pipelines.shap_e import ShapERenderer
from image_to_3d.worker.methods.shap_e.network import OCTAVES
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

RADIUS = 0.6
_NEURONS, _LATENT, _EMBEDDING = 16, 8, 3 * (1 + 2 * OCTAVES)
_LEVEL = 10.0  # large, so that activations hardly bend what neurons carry


def pipeline(seed: int = 0) -> ShapEImg2ImgPipeline:
    """With the published kinds of parts, and tiny sizes."""
    torch.manual_seed(seed)
    shapes = ((_NEURONS, _EMBEDDING), *((_NEURONS, _NEURONS),) * 3)
    renderer = ShapERenderer(param_shapes=shapes, d_latent=_LATENT, d_hidden=_NEURONS)
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        embedding_dim=_LATENT,
        num_embeddings=sum(rows for rows, _ in shapes),
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        embedding_proj_norm_type="layer",
        encoder_hid_proj_type=None,
        added_emb_type=None,
        time_embed_dim=32,
        embedding_proj_dim=24,
        clip_embed_dim=2 * _LATENT,
    )
    sizes = {"hidden_size": 24, "intermediate_size": 48, "num_attention_heads": 2, "num_hidden_layers": 2}
    encoder = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=32, patch_size=8))
    return ShapEImg2ImgPipeline(
        prior=prior.eval(),
        image_encoder=encoder.eval(),
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        scheduler=HeunDiscreteScheduler(beta_schedule="exp", prediction_type="sample", use_karras_sigmas=True),
        shap_e_renderer=with_a_ball(renderer).eval(),
    )


def with_a_ball(renderer: ShapERenderer, bumps: float = 0.002) -> ShapERenderer:
    """Sets what latents are added to. bumps: how large what the latents say is."""
    cosines = 3 + 3 * OCTAVES  # where the embedding's first cosines stand
    with torch.no_grad():
        matrices = [torch.zeros(_NEURONS, _EMBEDDING), *(torch.eye(_NEURONS) for _ in range(3))]
        matrices[0][0, cosines : cosines + 3] = 3.0
        matrices[0][range(1, 4), range(3)] = 4.0
        for projection, matrix in zip(renderer.params_proj.projections.values(), matrices):
            projection.norm.weight *= bumps
            projection.norm.bias.zero_()
            projection.proj.bias.copy_(matrix.flatten())
        layers = renderer.mlp.mlp
        for layer in layers:
            layer.bias.zero_()
        for layer in layers[4:]:
            layer.weight.zero_()
            layer.weight.fill_diagonal_(1.0)
        layers[-1].weight.zero_()
        layers[-1].weight[0, 0] = layers[-1].weight[3, 1] = layers[-1].weight[4, 2] = layers[-1].weight[5, 3] = 1.0
        layers[0].bias[0] = _LEVEL - 3.0 * (2.0 + math.cos(RADIUS))
        layers[0].bias[1:4] = _LEVEL
        layers[-1].bias[0] = layers[-1].bias[3:6] = -_LEVEL
    return renderer


def write(folder: Path, seed: int = 0, half: bool = False) -> ShapEImg2ImgPipeline:
    """Makes `folder` as diffusers writes it. half: as published, in half precision and under those names."""
    made = pipeline(seed)
    written = made.to(torch.float16) if half else made
    written.save_pretrained(folder, variant="fp16" if half else None)
    return pipeline(seed) if half else made
