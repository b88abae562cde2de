# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the included generator on one thing: the runner of the method `generator` (see ..method)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Front, Layers
from ...core.view import View
from ...pictures.load import Picture
from ...pictures.silhouette import cut_out, inflated, solid_part, window_around, without_specks
from ..matting import matte
from ..method import Network, Task
from ..runtime.loading import loading, remedy
from . import generator_network
from .generator_network import GeneratorNetwork, Known
from .regression import DEFAULT_FOV, averaged, behind, believed


def load(network: Network, folder: Path, device: str) -> Imagination:
    """The network, ready to run. Raises Unable if the file is damaged or of something else."""
    with loading(folder):
        return Imagination(generator_network.load(folder), folder)


def run(task: Task, imagination: Imagination, job: Job | Span) -> Layers:
    """The front and back of what the task's picture shows, others with another seed."""
    options = task.options
    job.report(0.1, "cutting the object out")
    picture = matte.without_background(task.picture, task.weights, task.network.name)
    known = task.known and _told(task.known, imagination.network.config.size)
    way = options.seed, options.steps, options.variety, job.span(0.2, 1.0)
    return imagination(task.picture, picture, *way, known, as_told=False)


def _told(front: Front, size: int) -> Known:
    """The front in the network's square."""
    where = _smaller(front.where, size)
    depth = _smaller(np.where(front.where, front.depth, 0.0), size) / np.maximum(where, 1e-6)
    layers, inside = np.zeros((1, 5, size, size), np.float32), np.zeros((1, 2, size, size), np.float32)
    layers[0, 0], inside[0, 0] = depth, where >= 0.5
    return Known(layers, inside, np.float32([[front.shift, front.scale, front.off]]))


def _smaller(values: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 means of values (S, S)."""
    return np.asarray(Image.fromarray(np.float32(values)).resize((size, size), Image.Resampling.BOX))


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Layers:
    return Layers.from_arrays(arrays, _view(task.picture, arrays["mask"]))


def _view(picture: Picture, subject: np.ndarray) -> View:
    """picture: the user's own."""
    return matte.thing_view(picture, subject, picture.view(DEFAULT_FOV).camera)


@dataclass(frozen=True)
class Imagination:
    """A loaded network. file: where its weights lie."""

    network: GeneratorNetwork
    file: Path

    def __call__(
        self,
        own: Picture,
        picture: Picture,
        seed: int,
        steps: int,
        variety: float,
        job: Job | Span,
        known: Known | None = None,
        as_told: bool = True,
    ) -> Layers:
        """The front and back of what a picture with an alpha shows, others with another seed.

        own: the user's picture, of which `picture` shows the thing alone.
        steps: of the way from noise to a shape. variety: how much of the noise is used; 0 gives the likeliest.
        known: what is known of the thing, in the square that window_around and cut_out make of it. as_told: whether
        that stays as it is, or is only listened to.
        Raises Unable where the alpha shows no thing, or the network gives nothing finite.
        """
        subject = solid_part(picture.alpha)
        inside = without_specks(subject >= 128)
        if not inside.any():
            raise Unable(f"no object was found in {picture.name}: choose a photo of a single thing")
        window = window_around(inside)
        size = self.network.config.size
        colour, mask = cut_out(picture.rgb, inside, window, size)
        height = inflated(mask) * np.float32(2.0 / size)
        noise = self.network.noise(seed) * np.float32(variety)
        found, up = self._sampled(colour, mask, height, noise, steps, job, known, as_told)
        if not np.isfinite(found).all():
            raise Unable(f"the weights in {self.file} give numbers that are not finite: {remedy(self.file)}")
        front, back = believed(found[0], found[1], height, mask)
        colours = behind(found[2:], colour, mask)
        return Layers(front, back, colours, window, _view(own, subject), matte.remarks(subject), up)

    def _sampled(
        self,
        colour: np.ndarray,
        mask: np.ndarray,
        height: np.ndarray,
        noise: np.ndarray,
        steps: int,
        job: Job | Span,
        known: Known | None,
        as_told: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(5, S, S) float32: front, back and the back's colour; and what is up (3,). noise: (5, s, s), which the
        residual comes from."""
        network, inside = self.network, np.float32(mask)
        image = colour.transpose(2, 0, 1)

        def tell(step: int) -> None:
            job.report(step / steps, "denoising", f"step {step + 1} of {steps}")

        known = known and Known(*(np.asarray(values, np.float32) for values in known))
        likeliest, up = self._likeliest(image, inside, height)
        view, outline = network.view(image, inside, height, likeliest, known)
        residual = network.residual(noise * outline, view, outline, steps, tell)
        return network.layers(likeliest, residual, outline, known if as_told else None), up

    def _likeliest(
        self, image: np.ndarray, outline: np.ndarray, cushion: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The regression, averaged with the mirrored picture's."""
        seen, up = self.network.regressor(image, outline, cushion)
        mirrored, other = self.network.regressor(image[..., ::-1], outline[..., ::-1], cushion[..., ::-1])
        return (seen + mirrored[..., ::-1]) / 2, averaged(up, other)
