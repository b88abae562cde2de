# SPDX-License-Identifier: GPL-3.0-or-later
"""A coarse shape and a picture of it to a finer shape, by TripoSG or by DetailGen3D. Brings torch.

TripoSG: the coarse shape's latents are noised and denoised again with the picture (SDEdit; Meng et al. 2022,
arXiv:2108.01073). DetailGen3D: its flow begins at them. Both can be guided by what a camera saw (see observed.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import View
from ..runtime import devices, memory
from ..runtime.loading import loading
from . import detail_network as detail
from . import files as triposg_files
from . import network as triposg
from .coarse import Box, Coarse, Seen, in_box, surface_points
from .observed import Observed
from .stages import Stages, surface

_SHARES = (0.08, 0.10, 0.95)  # of the time: until the coarse shape is encoded, the picture seen, the shape refined


@dataclass(frozen=True)
class Wishes:
    """strength: how much may change, from 0, the coarse shape as the networks know it, to 1: all of what TripoSG makes
    of the picture alone, and all that DetailGen3D makes of the shape. guidance: by the picture, None as trained."""

    seed: int = 0
    steps: int = 50
    strength: float = 0.6
    guidance: float | None = None


def load(folder: Path, device: str, layout: triposg_files.Layout, half: bool | None = None) -> Refiner:
    """What is in `folder`, in one of the layouts; half: as suits the device. Quick: reads sizes only.

    Raises Unable, one sentence, if a file is missing, damaged or of another network.
    """
    chosen = devices.pick(device)
    with loading(folder):
        config = triposg_files.read_config(folder, layout)
    return Refiner(folder, config, chosen, chosen.type != "cpu" if half is None else half)


class Refiner(Stages):
    """The networks in a folder, of which nothing is loaded yet."""

    @property
    def details(self) -> bool:
        """Whether the flow begins at the coarse shape, and not at noise."""
        return self.config.layout is triposg_files.DETAILGEN3D

    @property
    def points(self) -> int:
        """Of the coarse surface that are looked at."""
        return detail.POINTS if self.details else triposg.POINTS

    def require(self, wishes: Wishes, seen: Seen | None) -> None:
        """Raises OutOfMemory where a run would not fit, before it is begun."""
        memory.require(self.device, self.needed(self.points, _guides(wishes, seen)), {})

    def __call__(
        self, coarse: Coarse, white: np.ndarray, wishes: Wishes, seen: Seen | None, job: Job | Span
    ) -> dict[str, np.ndarray]:
        """What `field` makes the finer shape of. white: (H, W, 3) uint8 sRGB, the thing cut out on white, as
        padded_on_white makes it. The same seed gives the same shape.

        Raises Unable where the coarse shape has no surface, or the networks give nothing finite; OutOfMemory;
        Cancelled. The coarse shape is not changed.
        """
        self.require(wishes, seen)
        begun, seen_at, refined = _SHARES
        try:
            vertices, box = in_box(np.asarray(coarse.vertices, np.float64))
            random = np.random.default_rng(wishes.seed)
            points = surface_points(vertices, coarse.faces, self.points, random)
        except ValueError as error:
            raise Unable(str(error)) from None
        latents = self.encoded(points, wishes.seed, job.span(0.0, begun))
        start, levels = self._way(latents, wishes)
        if len(levels) > 1:
            embeds = self.seen(white, job.span(begun, seen_at))
            observed = _observed(seen, box, random) if _guides(wishes, seen) else None
            latents = self.followed(start, embeds, levels, self._guidance(wishes), job.span(seen_at, refined), observed)
        found = self.decoded(latents, job.span(refined, 1.0))
        return {**found, "centre": box.centre, "unit": np.array(box.unit)}

    def _way(self, latents: Tensor, wishes: Wishes) -> tuple[Tensor, Tensor]:
        """Where the flow begins (1, N, channels), and the levels that it passes."""
        levels = self.config.levels(wishes.steps)
        taken = round(wishes.strength * wishes.steps)
        if self.details:  # without noise: in its authors' half precision the lowest level of it is none
            return latents, levels[: taken + 1]
        levels = levels[wishes.steps - taken :]
        noise = triposg.noise(wishes.seed, latents.shape[1], latents.shape[2])
        return (1.0 - levels[0]) * latents + levels[0] * noise, levels

    def _guidance(self, wishes: Wishes) -> float:
        trained = detail.GUIDANCE if self.details else triposg.GUIDANCE
        return trained if wishes.guidance is None else wishes.guidance


def _guides(wishes: Wishes, seen: Seen | None) -> bool:
    return seen is not None and seen.trust > 0.0 and len(seen.points) > 0 and round(wishes.strength * wishes.steps) > 0


def _observed(seen: Seen, box: Box, random: np.random.Generator) -> Observed:
    points, camera = box.into(seen.points), box.into(seen.camera)
    inside = np.abs(points).max(axis=1) < triposg.EXTENT
    return Observed.along_rays(points[inside], camera, random, seen.trust)


def field(
    arrays: Mapping[str, np.ndarray], device: str, views: tuple[View, ...] = (), notes: tuple[str, ...] = ()
) -> Field:
    """The field that a Refiner's arrays describe, where the coarse mesh was. views: in the coarse mesh's axes."""
    box = Box(np.asarray(arrays["centre"]), float(arrays["unit"]))
    value = surface(arrays, devices.pick(device))
    return Field(
        value=lambda points: value(box.into(points).astype(np.float32)),
        colour=None,
        bounds=box.back(np.array([[-triposg.EXTENT] * 3, [triposg.EXTENT] * 3])),
        to_gltf=np.eye(3),
        arrays=lambda: arrays,
        views=views,
        notes=notes,
    )
