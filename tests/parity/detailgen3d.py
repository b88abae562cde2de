# SPDX-License-Identifier: GPL-3.0-or-later
"""DetailGen3D's stages: the coarse mesh and its latents, the picture's tokens, the steps of the flow, and the field."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from image_to_3d.worker.methods.triposg import detail_network as detail
from image_to_3d.worker.methods.triposg import files as triposg_files
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg.coarse import in_box, on_faces
from image_to_3d.worker.pictures.padded import resized_middle
from torch import Tensor

from .compare import Arrays
from .triposg import encoded

BATCH = 8192


def stages(checkpoint: Path, recorded: Arrays, device: str) -> dict[str, np.ndarray]:
    """Our values under the names of the reference."""
    config = triposg_files.read_config(checkpoint, triposg_files.DETAILGEN3D)
    preparation = config.preparation
    rgb = recorded["image_rgb_uint8"]
    pixels = resized_middle(rgb, preparation.resize, preparation.crop).copy()
    image = preparation.normalised(torch.from_numpy(pixels))
    found = {"pixel_values": _array(image)}
    vertices, faces = in_box(recorded["coarse_vertices"].astype(np.float64))[0], recorded["coarse_faces"]
    surface = on_faces(vertices, faces[recorded["sample_faces"]], recorded["sample_barycentric"])
    found |= {"coarse_vertices_normalized": vertices, "surface": surface[None]}
    with torch.inference_mode():
        embeds = triposg_files.load_encoder(checkpoint, config).to(device)(image.to(device))
        coder = triposg_files.load_coder(checkpoint, config).to(device)
        found |= {"image_embeds": _array(embeds), **_coarse(coder, config.noising, recorded)}
        flow = triposg_files.load_flow(checkpoint, config).to(device)
        latents = _refined(flow, config.shift, embeds, recorded, found)
        found |= _decoded(coder, latents, recorded, found)
    return found


def _coarse(coder: triposg.ShapeCoder, noising: detail.Augmentation, recorded: Arrays) -> dict[str, np.ndarray]:
    """The coarse shape's latents, sampled ones, and both noised."""
    found = encoded(coder, recorded, {"mean": "coarse_mean", "logvar": "coarse_logvar"})
    mean, logvar = (torch.from_numpy(found[name]) for name in ("coarse_mean", "coarse_logvar"))
    noise, level = torch.from_numpy(recorded["augmentation_noise"]), int(recorded["noise_aug_level"])
    sample = triposg.Posterior(mean, logvar).sampled(torch.from_numpy(recorded["posterior_noise"]))
    levels = sorted(int(name.rpartition("_")[2]) for name in recorded if name.startswith("augmented_level_"))
    noised = {f"augmented_level_{each}": _array(noising.noised(mean, noise, each)) for each in levels}
    found |= {"coarse_sample": _array(sample), "alphas_cumprod_at_levels": _array(noising.kept()[levels]), **noised}
    found["augmented_latents"] = _array(noising.noised(mean, noise, level))
    found["sample_augmented_latents"] = _array(noising.noised(sample, noise, level))
    return found


def _refined(flow: detail.DetailFlow, shift: float, embeds: Tensor, recorded: Arrays, found: dict) -> Tensor:
    """The main chain's last tokens; what is recorded of both chains is put into `found`."""
    count, guidance = int(recorded["num_inference_steps"]), float(recorded["guidance_scale"])
    levels = detail.shifted(triposg.sigmas(count), shift)
    found |= {"sigmas": _array(levels), "timesteps": _array(triposg.TRAINING_TIMES * levels[:-1])}
    start, other = (
        torch.from_numpy(found[name]).to(embeds.device) for name in ("augmented_latents", "sample_augmented_latents")
    )
    time = (triposg.TRAINING_TIMES * levels[:1]).to(embeds.device)
    found["time_embedding"] = _array(flow.moment(time))
    with flow.blocks[0].register_forward_hook(lambda _m, _g, result: found.update(dit_block_0=_array(result))):
        both = torch.cat([torch.zeros_like(embeds), embeds])
        found["dit_out"] = _array(flow(start.expand(2, -1, -1), time.expand(2), both))
    passed = [start, *triposg.sampled(flow, start, embeds, levels, guidance)]
    for step, ((before, after), level) in enumerate(zip(pairwise(passed), levels[:-1]), 1):
        time = triposg.TRAINING_TIMES * level[None].to(embeds.device)
        velocity = triposg.guided(flow, before, time, embeds, guidance, together=True)
        found[f"velocity_step_{step}"], found[f"latents_step_{step}"] = _array(velocity), _array(after)
    *_, last = triposg.sampled(flow, other, embeds, levels, guidance)
    found[f"sample_latents_step_{count}"] = _array(last)
    return passed[-1]


def _decoded(coder: triposg.ShapeCoder, latents: Tensor, recorded: Arrays, found: dict) -> dict[str, np.ndarray]:
    count, steps = len(recorded["field_grid"]), int(recorded["num_inference_steps"])
    axis = torch.linspace(-triposg.EXTENT, triposg.EXTENT, count)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    query = torch.from_numpy(recorded["query_points"])
    other, mean = (
        torch.from_numpy(found[name]).to(latents.device) for name in (f"sample_latents_step_{steps}", "coarse_mean")
    )
    asked = {"field_query": (latents, query), "field_grid": (latents, grid)}
    asked |= {"sample_field_query": (other, query), "field_of_mean": (mean, query)}
    kept = {"vae_post_quant": _array(coder.post_quant(latents)), "vae_kv": _array(coder(latents))}
    for name, (shape, points) in asked.items():
        surface = triposg.Surface(coder(shape), coder.decoder.end())
        values = torch.cat([surface.value(part.to(latents.device)) for part in points.split(BATCH)])
        kept[name] = _array(values).reshape(recorded[name].shape)
    return kept


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
