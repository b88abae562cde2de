# SPDX-License-Identifier: GPL-3.0-or-later
"""TripoSG (Li et al. 2025, arXiv:2502.06608): one picture to a shape, written from the paper and from the published
layout of its weights. Knows torch only: not where weights lie, nor how a subject is cut out.

DINOv2 (Oquab et al. 2023, arXiv:2304.07193) turns the picture into tokens. A transformer turns noise into a set of
shape tokens by following a rectified flow (Liu et al. 2022, arXiv:2209.03003) that depends on them. The decoder of an
autoencoder for shapes (Zhang et al. 2023, arXiv:2301.11445) turns the set into a function of space. Modules carry the
names of the published tensors.

Axes of the shape: right-handed, y up, within [-EXTENT, EXTENT]; the viewer of the picture stands on the z axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKENS = 2048
"""Of how many tokens a shape is made."""

GUIDANCE = 7.0
"""How much more than the picture's own pull the flow follows (Ho and Salimans 2022, arXiv:2207.12598)."""

EXTENT = 1.005
"""Half the side of the cube in which shapes lie."""

MARGIN = 0.1
"""Empty border around the subject, as a share of its longer side."""

POINTS = 204_800
"""Of how many points of its surface a shape's latents are made."""

CANDIDATES = 4
"""Points that are drawn for each token, of which those are kept that lie far from each other."""

TRAINING_TIMES = 1000.0
"""The network's time at the noise; 0 at the shape."""


# ------------------------------------------------------------------------------------------------------ configuration


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of DINOv2; the defaults are those of the large one. image: side of the pictures of its position table."""

    width: int = 1024
    layers: int = 24
    heads: int = 16
    hidden: int = 4096
    patch: int = 14
    image: int = 518


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the transformer that follows the flow. channels: of a shape token. context: of a picture token."""

    width: int = 2048
    layers: int = 21
    heads: int = 16
    channels: int = 64
    context: int = 1024


@dataclass(frozen=True)
class ShapeConfig:
    """Sizes of the shapes' autoencoder. inputs: coordinates of a point. frequencies: of its embedding."""

    width: int = 1024
    layers: int = 16
    encoder_width: int = 512
    encoder_layers: int = 8
    heads: int = 8
    channels: int = 64
    inputs: int = 3
    frequencies: int = 8

    @property
    def embedding(self) -> int:
        """Numbers that a point becomes."""
        return self.inputs * (2 * self.frequencies + 1)


# -------------------------------------------------------------------------------------------------------------- layers


class Norm(nn.LayerNorm):
    """Layer normalisation, in single precision whatever comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads C) -> (B, heads, N, C)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _interleaved(parts: tuple[Tensor, ...], heads: int) -> tuple[Tensor, ...]:
    """Each (B, N, heads C) -> (B, heads, N, C), as the weights were trained: the channels of all parts are laid side
    by side and cut into heads, and only then is each head cut into its parts."""
    return _heads(torch.cat(parts, -1), heads).chunk(len(parts), -1)


def _joined(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Fused attention of (B, heads, N, C) over (B, heads, M, C), heads side by side: (B, N, heads C)."""
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Projections of an attention of `width` over `context` channels. normed: keep queries and keys at one length."""

    def __init__(self, width: int, context: int, heads: int, normed: bool):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context, width, bias=False)
        self.to_v = nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self.norm_q = nn.RMSNorm(width // heads, eps=1e-6) if normed else None
        self.norm_k = nn.RMSNorm(width // heads, eps=1e-6) if normed else None

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, heads, N, C), (B, heads, M, C) twice -> (B, N, heads C)."""
        if self.norm_q and self.norm_k:
            q, k = self.norm_q(q.float()), self.norm_k(k.float())
        return self.to_out[0](_joined(q.to(v.dtype), k.to(v.dtype), v))


class SelfAttention(Attention):
    """(B, N, width) looks at itself -> (B, N, width)."""

    def __init__(self, width: int, heads: int, normed: bool):
        super().__init__(width, width, heads, normed)

    def forward(self, x: Tensor) -> Tensor:
        return self.attended(*_interleaved((self.to_q(x), self.to_k(x), self.to_v(x)), self.heads))


class CrossAttention(Attention):
    """(B, N, width) looks at (B, M, context) -> (B, N, width)."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.looked_up(x, *self.keys_and_values(context))

    def keys_and_values(self, context: Tensor) -> tuple[Tensor, ...]:
        """(B, M, context) -> (B, heads, M, C) twice."""
        return _interleaved((self.to_k(context), self.to_v(context)), self.heads)

    def looked_up(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.attended(_heads(self.to_q(x), self.heads), k, v)


class NormedCrossAttention(CrossAttention):
    """The same, over a context that is normalised first."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__(width, context, heads, normed=False)
        self.norm_cross = Norm(context)

    def keys_and_values(self, context: Tensor) -> tuple[Tensor, ...]:
        return super().keys_and_values(self.norm_cross(context))


class FeedForward(nn.Module):
    """(B, N, width) -> (B, N, width), four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        dropout = nn.Identity()  # only training had one, but it has its place among the names
        self.net = nn.ModuleList([nn.ModuleDict({"proj": nn.Linear(width, 4 * width)}), dropout])
        self.net.append(nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net[2](functional.gelu(self.net[0]["proj"](x)))


# --------------------------------------------------------------------------------------------------- picture to tokens


class ViTLayer(nn.Module):
    """Self-attention and perceptron, each normalised, scaled and beside a shortcut. (B, N, C) -> (B, N, C)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm1, self.norm2 = Norm(width, eps=1e-6), Norm(width, eps=1e-6)
        projections = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        output = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.attention = nn.ModuleDict({"attention": projections, "output": output})
        self.layer_scale1 = nn.ParameterDict({"lambda1": nn.Parameter(torch.ones(width))})
        self.layer_scale2 = nn.ParameterDict({"lambda1": nn.Parameter(torch.ones(width))})
        layers = {"fc1": nn.Linear(width, config.hidden), "fc2": nn.Linear(config.hidden, width)}
        self.mlp = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        q, k, v = (_heads(project(normed), self.heads) for project in self.attention["attention"].values())
        x = x + self.layer_scale1["lambda1"] * self.attention["output"]["dense"](_joined(q, k, v))
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.layer_scale2["lambda1"] * self.mlp["fc2"](hidden)


class ViTEmbeddings(nn.Module):
    """Patches as tokens after a class token, with positions. (B, 3, S, S) normalised -> (B, 1 + n n, C)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        width, self.side = config.width, config.image // config.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # of the training; part of the file, and unused
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + self.side**2, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, width, config.patch, config.patch)})

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](image)  # (B, C, n, n)
        tokens = torch.cat([self.cls_token.expand(len(image), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        return tokens + self.positions(patches.shape[-1])

    def positions(self, side: int) -> Tensor:
        """The position table for side x side patches, (1, 1 + side side, C)."""
        first, rest = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        grid = rest.unflatten(1, (self.side, self.side)).permute(0, 3, 1, 2)  # (1, C, table, table)
        grid = functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)


class PictureEncoder(nn.Module):
    """DINOv2. (B, 3, S, S) normalised, S a multiple of the patch -> tokens (B, 1 + n n, C)."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.embeddings = ViTEmbeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(ViTLayer(config) for _ in range(config.layers))})
        self.layernorm = Norm(config.width, eps=1e-6)

    def forward(self, image: Tensor) -> Tensor:
        x = self.embeddings(image)
        for layer in self.encoder["layer"]:
            x = layer(x)
        return self.layernorm(x)


# ------------------------------------------------------------------------------------------------------ noise to shape


def embedded_time(time: Tensor, width: int) -> Tensor:
    """(B,) -> (B, width): sines and then cosines, of wavelengths from 2 pi to nearly 20000 pi."""
    half = width // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=time.device, dtype=torch.float32) / half)
    angles = time.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


class FlowBlock(nn.Module):
    """The shape tokens look at themselves, then at the picture, then each thinks. (B, N, C) -> (B, N, C).

    joins: whether what an earlier block gave comes in first.
    """

    def __init__(self, config: FlowConfig, joins: bool):
        super().__init__()
        width, heads = config.width, config.heads
        self.norm1, self.norm2, self.norm3 = Norm(width), Norm(width), Norm(width)
        self.attn1 = SelfAttention(width, heads, normed=True)
        self.attn2 = CrossAttention(width, config.context, heads, normed=True)
        self.ff = FeedForward(width)
        self.skip_norm = Norm(width) if joins else None
        self.skip_linear = nn.Linear(2 * width, width) if joins else None

    def forward(self, x: Tensor, picture: Tensor, earlier: Tensor | None) -> Tensor:
        if self.skip_norm and self.skip_linear:
            x = self.skip_norm(self.skip_linear(torch.cat([earlier, x], -1)))
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), picture)
        return x + self.ff(self.norm3(x))


class VelocityNetwork(nn.Module):
    """Shape tokens (B, N, channels) at a time (B,), picture tokens (B, M, context) -> velocities (B, N, channels).

    What flows of tokens have in common; a kind of its own says how the blocks follow each other. Sums along the
    shortcuts stay in single precision.
    """

    def __init__(self, config: FlowConfig, blocks: Iterable[nn.Module]):
        """blocks: made when it is their turn, so that a seed makes the same weights."""
        super().__init__()
        self.config = config
        width = config.width
        layers = {"linear_1": nn.Linear(width, 4 * width), "linear_2": nn.Linear(4 * width, width)}
        self.time_proj = nn.ModuleDict(layers)
        self.proj_in = nn.Linear(config.channels, width)
        self.blocks = nn.ModuleList(blocks)
        self.norm_out = Norm(width)
        self.proj_out = nn.Linear(width, config.channels)

    def moment(self, time: Tensor) -> Tensor:
        """What the blocks know of the time (B,): (B, width)."""
        hidden = functional.gelu(self.time_proj["linear_1"](embedded_time(time, self.config.width)))
        return self.time_proj["linear_2"](hidden)


class Flow(VelocityNetwork):
    """TripoSG's: the time is one more token, and the later blocks get what the earlier ones gave."""

    def __init__(self, config: FlowConfig):
        super().__init__(config, (FlowBlock(config, i > config.layers // 2) for i in range(config.layers)))

    def forward(self, latents: Tensor, time: Tensor, picture: Tensor) -> Tensor:
        x = torch.cat([self.moment(time)[:, None], self.proj_in(latents)], 1).float()
        waiting: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x = block(x, picture, waiting.pop() if block.skip_linear else None)
            if i < self.config.layers // 2:
                waiting.append(x)
        return self.proj_out(self.norm_out(x)[:, 1:])


def sigmas(steps: int) -> Tensor:
    """(steps + 1,) float32: the share of noise before each step, and 0 after the last."""
    return 1.0 - torch.arange(steps + 1, dtype=torch.float32) / steps


def noise(seed: int, tokens: int, channels: int) -> Tensor:
    """(1, tokens, channels) float32, on the CPU, so that a seed means the same on every device."""
    return torch.randn(1, tokens, channels, generator=torch.Generator().manual_seed(seed))


Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of shape tokens (B, N, channels) at a time (B,) with picture tokens (B, M, context): a Flow, or one like it."""


def guided(flow: Velocity, latents: Tensor, time: Tensor, picture: Tensor, guidance: float, together: bool) -> Tensor:
    """The velocity (1, N, channels): from the one without a picture, beyond the one with it, by `guidance`.

    picture: (1, M, context). together: ask for both at once, which is faster and takes more memory.
    """
    if guidance == 1.0:
        return flow(latents, time, picture).float()
    nothing = torch.zeros_like(picture)
    if together:
        without, with_it = flow(latents.expand(2, -1, -1), time.expand(2), torch.cat([nothing, picture])).chunk(2)
    else:
        without, with_it = flow(latents, time, nothing), flow(latents, time, picture)
    return without.float() + guidance * (with_it.float() - without.float())


def sampled(
    flow: Velocity,
    latents: Tensor,
    picture: Tensor,
    levels: Tensor,
    guidance: float = GUIDANCE,
    together: bool = True,
    corrected: Callable[[Tensor, float], Tensor] | None = None,
) -> Iterator[Tensor]:
    """The shape tokens after each step from one of `levels`, shares of noise, to the next; `latents` (1, N, channels)
    float32 are those at the first.

    corrected: what to make of the shape tokens without noise that a step foresees, and the level that it goes to.
    """
    levels = levels.to(latents.device)
    for high, low in zip(levels[:-1], levels[1:], strict=True):
        velocity = guided(flow, latents, TRAINING_TIMES * high[None], picture, guidance, together)
        latents = latents + (high - low) * velocity
        if corrected:
            clean = latents + low * velocity
            latents = latents + (1.0 - low) * (corrected(clean, float(low)) - clean)
        yield latents


# ------------------------------------------------------------------------------------------------------ shape to field


def embedded_points(points: Tensor, frequencies: int) -> Tensor:
    """(..., D) -> (..., D (2 frequencies + 1)): the coordinates, then for each its sines, then for each its cosines."""
    rates = 2.0 ** torch.arange(frequencies, device=points.device, dtype=points.dtype)
    angles = (points[..., None] * rates).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], -1)


class ShapeBlock(nn.Module):
    """Self-attention and perceptron. (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm3 = Norm(width), Norm(width)
        self.attn1 = SelfAttention(width, heads, normed=False)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        return x + self.ff(self.norm3(x))


class LookUpBlock(nn.Module):
    """Looks things up in a set of tokens, given as keys and values (B, heads, M, C). (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm2, self.norm3 = Norm(width), Norm(width)
        self.attn2 = NormedCrossAttention(width, width, heads)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        x = x + self.attn2.looked_up(self.norm2(x), keys, values)
        return x + self.ff(self.norm3(x))


class ShapeDecoder(nn.Module):
    """Tokens (1, N, width) to a function of space: blocks that the tokens pass, and one in which points look at them.

    A decoder without blocks of the first kind is what a Surface needs of it.
    """

    def __init__(self, config: ShapeConfig):
        super().__init__()
        self.config = config
        blocks = [ShapeBlock(config.width, config.heads) for _ in range(config.layers)]
        self.blocks = nn.ModuleList([*blocks, LookUpBlock(config.width, config.heads)])
        self.proj_query = nn.Linear(config.embedding, config.width)
        self.norm_out = Norm(config.width)
        self.proj_out = nn.Linear(config.width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return tokens

    def end(self) -> ShapeDecoder:
        """Only what points pass: the same layers, but for those that only tokens pass."""
        with torch.device("meta"):
            rest = ShapeDecoder(replace(self.config, layers=0))
        rest.blocks = self.blocks[-1:]
        rest.proj_query, rest.norm_out, rest.proj_out = self.proj_query, self.norm_out, self.proj_out
        return rest


class ShapeEncoder(nn.Module):
    """Points of a surface (B, N, 6), each with its outward unit normal after its place, and which of them become tokens
    (B, T) -> tokens (B, T, width), in that order: they look at all points once, and then at each other."""

    def __init__(self, config: ShapeConfig):
        super().__init__()
        self.config = config
        width = config.encoder_width
        self.proj_in = nn.Linear(config.embedding + config.inputs, width)
        blocks = [ShapeBlock(width, config.heads) for _ in range(config.encoder_layers)]
        self.blocks = nn.ModuleList([LookUpBlock(width, config.heads), *blocks])
        self.norm_out = Norm(width)

    def forward(self, surface: Tensor, chosen: Tensor) -> Tensor:
        places, normals = surface.split(self.config.inputs, -1)
        points = self.proj_in(torch.cat([embedded_points(places, self.config.frequencies), normals], -1))
        first, *rest = self.blocks
        queries = points.gather(1, chosen[..., None].expand(-1, -1, points.shape[-1]))
        x = first(queries, *first.attn2.keys_and_values(points))
        for block in rest:
            x = block(x)
        return self.norm_out(x)


class Posterior(NamedTuple):
    """A normal distribution of shape tokens, each (B, T, channels): the mean is the shape's own."""

    mean: Tensor
    logvar: Tensor

    def sampled(self, noise: Tensor) -> Tensor:
        return self.mean + (self.logvar / 2.0).exp() * noise


class ShapeCoder(nn.Module):
    """The autoencoder. (1, N, channels) -> tokens (1, N, width) in which a Surface is looked up."""

    def __init__(self, config: ShapeConfig):
        super().__init__()
        self.config = config
        self.encoder = ShapeEncoder(config)
        self.quant = nn.Linear(config.encoder_width, 2 * config.channels)
        self.post_quant = nn.Linear(config.channels, config.width)
        self.decoder = ShapeDecoder(config)

    def forward(self, latents: Tensor) -> Tensor:
        return self.decoder(self.post_quant(latents))

    def encoded(self, surface: Tensor, chosen: Tensor) -> Posterior:
        """What a surface becomes, as the encoder is given it."""
        mean, logvar = self.quant(self.encoder(surface, chosen)).chunk(2, -1)
        return Posterior(mean, logvar.clamp(-30.0, 20.0))


def spread(points: Tensor, count: int) -> Tensor:
    """Indices (count,) of points (N, D) far from each other, from the first one on: farthest point sampling (Eldar et
    al. 1997). count: at most N."""
    chosen = torch.zeros(count, dtype=torch.long, device=points.device)
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    for i in range(1, count):
        nearest = torch.minimum(nearest, (points - points[chosen[i - 1]]).square().sum(-1))
        chosen[i] = nearest.argmax()
    return chosen


class Surface:
    """A shape as a function of space, of tokens (1, N, width) and a decoder, of which only the end is asked."""

    def __init__(self, tokens: Tensor, decoder: ShapeDecoder):
        self.tokens, self.decoder = tokens, decoder
        self._keys, self._values = decoder.blocks[-1].attn2.keys_and_values(tokens)

    def value(self, points: Tensor) -> Tensor:
        """(N, 3) float32 within EXTENT -> (N,): positive inside, zero on the surface."""
        decoder = self.decoder
        x = decoder.proj_query(embedded_points(points, decoder.config.frequencies))[None]
        x = decoder.blocks[-1](x, self._keys, self._values)
        return -decoder.proj_out(decoder.norm_out(x))[0, :, 0]
