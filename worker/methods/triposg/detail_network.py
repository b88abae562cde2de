# SPDX-License-Identifier: GPL-3.0-or-later
"""DetailGen3D (Deng et al. 2024, arXiv:2411.16820): the latents of a coarse shape to those of a fine one, written from
the paper and from the layout of its weights. Knows torch only.

A transformer follows a rectified flow that begins at the coarse shape's latents, not at noise, and depends on the
picture; the shapes' autoencoder, the picture's encoder, axes and extent are TripoSG's (see network.py). Time enters
each block by scales, shifts and gates (Peebles and Xie 2022, arXiv:2212.09748). Modules carry the tensors' names.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .network import CrossAttention, FeedForward, FlowConfig, Norm, SelfAttention, VelocityNetwork

GUIDANCE = 10.0
"""As network.GUIDANCE, as its authors' script has it."""

POINTS = 20_480
"""Of how many points of its surface a coarse shape's latents are made."""

DEFAULTS = FlowConfig(width=768, layers=24, heads=12)
"""The sizes of the published one, as its authors' code has them."""


@dataclass(frozen=True)
class Augmentation:
    """How the coarse latents are noised at a level (Ho et al. 2020, arXiv:2006.11239): variances grow linearly from
    `start` to `end` over `levels` levels, or their square roots do."""

    start: float = 1e-4
    end: float = 0.02
    levels: int = 1000
    is_of_roots: bool = False

    def kept(self) -> Tensor:
        """(levels,) float32: the share of the shape's variance that is left at each level."""
        power = 2.0 if self.is_of_roots else 1.0
        bounds = self.start ** (1.0 / power), self.end ** (1.0 / power)
        variances = torch.linspace(*bounds, self.levels, dtype=torch.float32) ** power
        return (1.0 - variances).cumprod(0)

    def noised(self, latents: Tensor, noise: Tensor, level: int) -> Tensor:
        share = self.kept()[level].to(latents.device)
        return share.sqrt() * latents + (1.0 - share).sqrt() * noise


def shifted(sigmas: Tensor, shift: float) -> Tensor:
    """Levels of a flow (see network.sigmas), of which more lie near the beginning where `shift` is above 1."""
    return shift * sigmas / (1.0 + (shift - 1.0) * sigmas)


class DetailBlock(nn.Module):
    """The tokens look at themselves, then at the picture, then each thinks, each as the time (B, width) says.
    (B, N, width), (B, M, context) -> (B, N, width)."""

    def __init__(self, config: FlowConfig):
        super().__init__()
        width, heads = config.width, config.heads
        self.norm1, self.norm2, self.norm3 = Norm(width), Norm(width), Norm(width)
        self.attn1 = SelfAttention(width, heads, normed=False)
        self.attn2 = CrossAttention(width, config.context, heads, normed=False)
        self.ff = FeedForward(width)
        self.adaln_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 9 * width))

    def forward(self, x: Tensor, time: Tensor, picture: Tensor) -> Tensor:
        parts = self.adaln_modulation(time).float()[:, None].chunk(9, -1)
        shift, scale, gate = parts[0:3]
        x = x + gate * self.attn1(self.norm1(x) * (1.0 + scale) + shift)
        shift, scale, gate = parts[3:6]
        x = x + gate * self.attn2(self.norm2(x) * (1.0 + scale) + shift, picture)
        shift, scale, gate = parts[6:9]
        return x + gate * self.ff(self.norm3(x) * (1.0 + scale) + shift)


class DetailFlow(VelocityNetwork):
    """DetailGen3D's: the time scales, shifts and gates what each block does."""

    def __init__(self, config: FlowConfig):
        super().__init__(config, (DetailBlock(config) for _ in range(config.layers)))

    def forward(self, latents: Tensor, time: Tensor, picture: Tensor) -> Tensor:
        moment, x = self.moment(time), self.proj_in(latents).float()
        for block in self.blocks:
            x = block(x, moment, picture)
        return self.proj_out(self.norm_out(x))
