# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSG's stages: preparation of the picture, its tokens, the steps of the sampler, and the field.

And, where a set has them, from a surface to latents and back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from image_to_3d.worker.methods.triposg import files as triposg_files
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.pictures.padded import padded_on_white, resized_middle
from torch import Tensor

from .compare import Arrays

BATCH = 8192


def stages(checkpoint: Path, recorded: Arrays, device: str) -> dict[str, np.ndarray]:
    """Our values under the names of the reference."""
    config = triposg_files.read_config(checkpoint)
    picture, preparation = recorded["image_rgba"], config.preparation
    white, _ = padded_on_white(picture[..., :3], picture[..., 3], triposg.MARGIN)
    image = preparation.normalised(torch.from_numpy(resized_middle(white, preparation.resize, preparation.crop).copy()))
    found = {"image_rgb_uint8": white, "pixel_values": _array(image)}
    with torch.inference_mode():
        embeds = triposg_files.load_encoder(checkpoint, config).to(device)(image.to(device))
        found["image_embeds"] = _array(embeds)
        flow = triposg_files.load_flow(checkpoint, config).to(device)
        latents = _sampled(flow, torch.from_numpy(recorded["latents_init"]).to(device), embeds, recorded, found)
        coder = triposg_files.load_coder(checkpoint, config).to(device)
        found |= _decoded(coder, latents, recorded)
        if "surface" in recorded:
            found |= encoded(coder, recorded, {"mean": "mean", "logvar": "logvar"})
            points = torch.from_numpy(recorded["decode_points"]).to(device)
            mean = torch.from_numpy(found["mean"]).to(device)
            found["field_of_mean"] = _array(triposg.Surface(coder(mean), coder.decoder.end()).value(points))
    return found


def encoded(coder: triposg.ShapeCoder, recorded: Arrays, names: dict[str, str]) -> dict[str, np.ndarray]:
    """What the recorded surface becomes, and on the way there. names: what the set calls the mean and the logvar."""
    found: dict[str, np.ndarray] = {}
    keep = {"encoder_block_0": coder.encoder.blocks[0], "encoder_out": coder.encoder}
    for name, module in keep.items():
        module.register_forward_hook(lambda _module, _given, result, name=name: found.update({name: _array(result)}))
    device = coder.quant.weight.device
    surface, chosen = (torch.from_numpy(recorded[name]).to(device) for name in ("surface", "sampled"))
    posterior = coder.encoded(surface, chosen[None].long())
    return {**found, names["mean"]: _array(posterior.mean), names["logvar"]: _array(posterior.logvar)}


def _sampled(flow: triposg.Flow, start: Tensor, embeds: Tensor, recorded: Arrays, found: dict) -> Tensor:
    """The shape's tokens; what is recorded of the steps is put into `found`."""
    count = len(recorded["timesteps"])
    sigmas = triposg.sigmas(count)
    found |= {"sigmas": _array(sigmas), "timesteps": _array(triposg.TRAINING_TIMES * sigmas[:-1])}
    both = torch.cat([torch.zeros_like(embeds), embeds])
    time = (triposg.TRAINING_TIMES * sigmas[:1]).to(start.device)
    found["dit_out"] = _array(flow(start.expand(2, -1, -1), time.expand(2), both))
    latents = before = start
    for step, latents in enumerate(triposg.sampled(flow, start, embeds, sigmas)):
        time = (triposg.TRAINING_TIMES * sigmas[step : step + 1]).to(start.device)
        velocity = triposg.guided(flow, before, time, embeds, triposg.GUIDANCE, together=False)
        found[f"velocity_step_{step + 1}"], found[f"latents_step_{step + 1}"] = _array(velocity), _array(latents)
        before = latents
    return latents


def _decoded(coder: triposg.ShapeCoder, latents: Tensor, recorded: Arrays) -> dict[str, np.ndarray]:
    tokens = coder(latents)
    surface = triposg.Surface(tokens, coder.decoder.end())
    count = len(recorded["field_grid"])
    axis = torch.linspace(-triposg.EXTENT, triposg.EXTENT, count)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points = {"field_query": torch.from_numpy(recorded["query_points"]), "field_grid": grid}
    values = {
        name: torch.cat([surface.value(part.to(latents.device)) for part in places.split(BATCH)])
        for name, places in points.items()
    }
    found = {"vae_post_quant": _array(coder.post_quant(latents)), "vae_kv": _array(tokens)}
    found |= {name: _array(value).reshape(recorded[name].shape) for name, value in values.items()}
    return found


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
