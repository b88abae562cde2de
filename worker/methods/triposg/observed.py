# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera saw of a shape, and how shape tokens are drawn towards it while a flow is followed. Brings torch.

Guidance through the decoder, as in diffusion posterior sampling (Chung et al. 2023, arXiv:2209.14687): the shape that
a step foresees is asked at the points that were seen, and at points in front of them, where nothing is; its tokens
follow the gradient of how wrong it is there, and the step goes where they lead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .network import EXTENT, ShapeCoder, Surface

DECODINGS = 20
"""How often the tokens are decoded at most; on a CPU each takes about as long as one of TripoSG's velocities. On the
small network of tests/bench/refined.py the seen points' distance was .028 with 10, .025 with 20 and .021 with 40."""

BELOW = 0.8
"""Steps to less noise than this are guided, the last DECODINGS of them: above, what a step foresees is hardly a shape.
With 0.5 it was the same within .0004 there, and at strength 1 F of what was not seen .61 instead of .56."""

PACE = 1.0
"""Of a step of Polyak's length, which would make the error vanish if it grew evenly, whatever the field's unit. There,
with 0.5 and 0.25, seen points were as near within .002, and F of what was not seen .57 and .49 instead of .61."""

FARTHEST = 0.2
"""How far the tokens may be moved at once, as root mean square of their numbers, whose deviation is about one: against
a flat error, whose step would be endless. 0.2 and 1.0 gave the same within .0003 there."""

POINTS = 2048
"""Points of each kind that are asked for at most."""

_GAP = 0.03
"""Free space begins so far before the surface: nearer, rays that graze it are not sure to be outside."""


@dataclass(frozen=True)
class Observed:
    """What was seen, in the networks' box. surface: (N, 3) float32, points on the shape. free: (M, 3) float32, points
    where nothing is. trust: how much of what is wrong there is put right, from 0, none, to 1."""

    surface: np.ndarray
    free: np.ndarray
    trust: float = 1.0

    @classmethod
    def along_rays(cls, points: np.ndarray, camera: np.ndarray, random: np.random.Generator, trust: float) -> Observed:
        """Of points (N, 3) that a camera at (3,) saw, at most POINTS of them, and one before each on its ray."""
        kept = random.permutation(len(points))[:POINTS]
        surface = points[kept].astype(np.float32)
        towards = camera - surface
        towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
        leaves = (EXTENT * np.sign(towards) - surface) / np.where(towards == 0.0, 1e-9, towards)  # per axis
        room = np.maximum(leaves.min(axis=1, keepdims=True) - _GAP, 0.0)
        before = surface + towards * (_GAP + random.random((len(surface), 1)) * room)
        free = before[np.abs(before).max(axis=1) < EXTENT]
        return cls(surface, free.astype(np.float32), trust)


class Guide:
    """Corrects the shape tokens that steps along `levels` foresee (see network.sampled).

    tell: hears before each decoding which of how many it is.
    """

    def __init__(self, coder: ShapeCoder, observed: Observed, levels: Tensor, tell: Callable[[int, int], None]):
        device = coder.post_quant.weight.device
        self._coder, self._trust, self._tell = coder, observed.trust, tell
        self._surface, self._free = (torch.from_numpy(part).to(device) for part in (observed.surface, observed.free))
        later = [float(level) for level in levels[1:] if level < BELOW][-DECODINGS:]
        self._begin, self._each = max(later, default=0.0), DECODINGS // max(len(later), 1)
        self._total, self._done = self._each * len(later), 0

    def __call__(self, clean: Tensor, level: float) -> Tensor:
        """The tokens (1, N, channels) as they should be. level: of the noise after the step."""
        if level > self._begin:
            return clean
        for _ in range(self._each):
            self._done += 1
            self._tell(self._done, self._total)
            clean = clean + self._trust * self._way(clean)
        return clean

    def _way(self, clean: Tensor) -> Tensor:
        with torch.enable_grad(), torch.autocast(clean.device.type, enabled=False):
            tokens = clean.detach().requires_grad_()
            wrong = self.error(tokens)
            [slope] = torch.autograd.grad(wrong, tokens)
        way = -PACE * wrong.detach() * slope / slope.square().sum().clamp(min=1e-20)
        return way * (FARTHEST / way.square().mean().sqrt().clamp(min=FARTHEST))

    def error(self, latents: Tensor) -> Tensor:
        """How large the field is where it should be zero, and how far inside where nothing is, on average."""
        tokens = self._coder.post_quant(latents)
        for block in self._coder.decoder.blocks[:-1]:  # what they compute is computed again, instead of being kept
            tokens = checkpoint(block, tokens, use_reentrant=False, preserve_rng_state=False)
        shape = Surface(tokens, self._coder.decoder)
        wrong = shape.value(self._surface).abs().mean()
        return wrong + functional.relu(shape.value(self._free)).mean() if len(self._free) else wrong
