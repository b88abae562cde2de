# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Shap-E on one thing, and asks its field: the runner of the method (see ..method). Brings torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...core.errors import MethodUnavailable
from ...core.job import Job, Span
from ...core.representations import Field
from ...pictures.load import Picture
from ...pictures.padded import padded_on_white, resized_middle
from ...pictures.silhouette import solid_part
from ..matting import matte
from ..method import Network, Task
from ..runtime import devices, hooks, memory
from ..runtime.checkpoint import check_finite
from ..runtime.loading import loading
from . import network as shap_e

if TYPE_CHECKING:  # takes seconds
    from diffusers.models.transformers.prior_transformer import PriorTransformerOutput

BATCH = {"cpu": 8192, "cuda": 1 << 17, "mps": 1 << 16}
"""Points that are asked for at once."""

TO_GLTF = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""From the field's axes (z up, things face -y) to glTF's (+Y up, the front faces +Z)."""

NOT_PROJECTED = (
    "Shap-E turns things its own way, so the photo is not laid onto the shape: all colours are the network's"
)

_SPARE = 130  # per cent of the weights' bytes that a run takes
_SAMPLED = 0.97  # share of the time until the latents are there


def load(network: Network, folder: Path, device: str, half: bool | None = None) -> Generator:
    """The networks in `folder`; half: as suits the device.

    Raises Unable, one sentence, if they cannot be loaded; OutOfMemory; MethodUnavailable without diffusers.
    """
    chosen = devices.pick(device)
    half = chosen.type == "cuda" if half is None else half
    with loading(folder):
        memory.require(chosen, _needed(folder, half), {})
        sampler = _sampler(folder)
    with memory.guard(chosen):
        for part in sampler.networks:
            (part.half() if half else part).to(chosen)
    return Generator(sampler, folder, chosen, half)


def _sampler(folder: Path) -> shap_e.Sampler:
    try:
        return shap_e.load(folder)
    except ImportError as error:
        message = f"Shap-E needs the package {error.name}, which is not installed: update the environment"
        raise MethodUnavailable(message) from None


def run(task: Task, generator: Generator, job: Job | Span) -> Field:
    """The field of the thing in the task's picture."""
    job.report(0.0, "cutting the object out")
    picture, options = matte.without_background(task.picture, task.weights, task.network.name), task.options
    return _field(generator(picture, options.seed, options.steps, options.guidance, job.span(0.1, 1.0)), task)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    return _field(arrays, task)


@dataclass(frozen=True)
class Generator:
    """Shap-E's loaded networks on their device. half: in half precision, as they were published."""

    sampler: shap_e.Sampler
    folder: Path
    device: torch.device
    half: bool

    def __call__(
        self, picture: Picture, seed: int, steps: int, guidance: float, job: Job | Span
    ) -> dict[str, np.ndarray]:
        """What `_field` makes the field of a picture with an alpha of. The same seed gives the same shape.

        Raises Unable where the alpha shows no thing, or the networks give nothing finite; OutOfMemory.
        """
        alpha = solid_part(picture.alpha)
        white, _ = padded_on_white(picture.rgb, alpha, shap_e.MARGIN)
        preparation = self.sampler.preparation
        pixels = torch.from_numpy(resized_middle(white, preparation.resize, preparation.crop).copy())
        layers = self._layers(preparation.normalised(pixels), seed, steps, guidance, job)
        arrays = {f"weight{i}": weight.cpu().numpy() for i, (weight, _) in enumerate(layers)}
        arrays |= {f"bias{i}": bias.cpu().numpy() for i, (_, bias) in enumerate(layers)}
        return {**arrays, "subject": alpha}

    def _layers(
        self, image: Tensor, seed: int, steps: int, guidance: float, job: Job | Span
    ) -> list[tuple[Tensor, Tensor]]:
        """The perceptron that is the shape."""
        job.report(0.0, "looking at the picture")
        generator = torch.Generator().manual_seed(seed)  # on the CPU, so that a seed means the same everywhere
        with memory.guard(self.device), torch.inference_mode(), self._reporting(steps, job.span(0.0, _SAMPLED)):
            latents = self.sampler.pipeline(
                image,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generator,
                output_type="latent",
            ).images
            job.report(_SAMPLED, "decoding the shape")
            layers = self.sampler.perceptron(latents)
        for values in itertools.chain(*layers):
            check_finite(values, self.folder)
        return layers

    @contextmanager
    def _reporting(self, steps: int, job: Span) -> Iterator[None]:
        """Reports progress, and so hears a cancel, after each block of the network that denoises.

        Heun's method (Karras et al. 2022, arXiv:2206.00364) asks it twice per step, but for the last.
        """
        blocks = self.sampler.pipeline.prior.transformer_blocks
        calls = 2 * steps - 1
        total, done = calls * len(blocks), itertools.count(1)

        def report(*_: object) -> None:
            share = next(done) / total
            job.report(min(share, 1.0), "denoising", f"step {min(int(share * steps) + 1, steps)} of {steps}")

        def check(result: PriorTransformerOutput) -> None:
            check_finite(result.predicted_image_embedding, self.folder)

        with hooks.after_each(blocks, report), hooks.after_each([self.sampler.pipeline.prior], check):
            yield


def _needed(folder: Path, half: bool) -> int:
    numbers = sum(path.stat().st_size // (2 if ".fp16." in path.name else 4) for path in shap_e.files(folder))
    return _SPARE * numbers * (2 if half else 4) // 100


def _field(arrays: Mapping[str, np.ndarray], task: Task) -> Field:
    """The field that a Generator's arrays describe."""
    device = devices.pick(task.device)
    count = sum(name.startswith("weight") for name in arrays)

    def moved(name: str) -> Tensor:
        return torch.from_numpy(np.asarray(arrays[name])).to(device)

    shape = shap_e.Perceptron([(moved(f"weight{i}"), moved(f"bias{i}")) for i in range(count)])
    batch = BATCH.get(device.type, BATCH["cpu"])
    return Field(
        value=devices.for_arrays(shape.value, device, batch),
        colour=devices.for_arrays(shape.colour, device, batch),
        bounds=np.array([[-shap_e.EXTENT] * 3, [shap_e.EXTENT] * 3]),
        to_gltf=TO_GLTF,
        arrays=lambda: arrays,
        notes=(*matte.remarks(arrays["subject"]), NOT_PROJECTED),
    )
