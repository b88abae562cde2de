# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders splats with torch on any device, with gradients: tiles, sorted by distance, blended front to back.

Kerbl et al. 2023 (arXiv:2308.04079), with the screen-space filter of Mip-Splatting (Yu et al. 2024, arXiv:2311.16493,
equation 9), which dims what it widens. Within a tile a splat's exponent is a quadratic in the pixel's place, so that
all splats at all pixels are one product of matrices; blending has its own gradient, which keeps one number per pair.
Where gsplat is there (on_card.py) it renders pictures; this one is for every other machine, and for depths. Knows
tensors only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ....core.harmonics import basis
from ....core.view import View
from . import on_card

TILE = 8
"""Pixels along a tile's side. A step with 20,000 splats at 200 pixels took .31 s of a processor with 8 and .70 with 16:
smaller tiles blend fewer splats that miss a pixel, and sort more pairs."""

NEAR = 0.01
"""Share of the scene's unit in front of a camera in which nothing is seen."""

FILTER = 0.1
"""Variance in square pixels by which every splat is widened on the screen, as Mip-Splatting's: about a pixel's own."""

LEAST = 1.0 / 255.0
"""Opacity below which a splat adds nothing to a pixel, and MOST, above which none goes, as published."""
MOST = 0.99

_PAIRS = 1 << 22
"""Pairs of a splat and a pixel that are worked on at once: about 100 MB."""


@dataclass(frozen=True)
class Camera:
    """A view's camera as tensors, in a world of OpenCV's axes. rotation: (3, 3), rows are the camera's axes."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    rotation: Tensor
    position: Tensor

    @classmethod
    def of(cls, view: View, pixels: int, device: torch.device) -> Camera:
        """Of a view whose longer side becomes that many pixels, or stays."""
        camera = view.camera.at_most(pixels)
        rotation = torch.tensor(view.rotation, dtype=torch.float32, device=device)
        position = torch.tensor(view.position, dtype=torch.float32, device=device)
        return cls(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, rotation, position)


@dataclass(frozen=True)
class Seen:
    """A render. colours: (H, W, 3), blended on nothing; opacities: (H, W)."""

    colours: Tensor
    opacities: Tensor

    def on(self, background: Tensor) -> Tensor:
        """(H, W, 3) before a background, (3,) or (H, W, 3)."""
        return self.colours + (1.0 - self.opacities[..., None]) * background


def render(
    camera: Camera, centres: Tensor, scales: Tensor, rotations: Tensor, opacities: Tensor, harmonics: Tensor
) -> Seen:
    """What a camera sees of splats as core.representations.Splats has them, in the camera's world."""
    if on_card.usable(centres.device):
        values = {"centres": centres, "scales": scales, "rotations": rotations}
        return Seen(*on_card.rendered(camera, values | {"opacities": opacities, "harmonics": harmonics}, NEAR, FILTER))
    flat = _Flat.of(camera, centres, scales, rotations, opacities)
    directions = functional.normalize(centres[flat.shown] - camera.position, dim=1)
    colours = colours_of(harmonics[flat.shown], directions)
    picture = flat.picture(torch.cat([colours, torch.ones_like(colours[:, :1])], 1), _Blended.apply)
    return Seen(picture[..., :3], picture[..., 3])


@torch.no_grad()
def depth(
    camera: Camera, centres: Tensor, scales: Tensor, rotations: Tensor, opacities: Tensor
) -> tuple[Tensor, Tensor]:
    """(H, W) how far along its axis a camera sees into splats: to where half of the light is stopped; 0 where it is
    not. (H, W) their opacity.

    The mean depth, weighted as colours are, lies behind a surface wherever a little of what is behind it shines
    through: of a bottle with its splats on its surface by 1.7 % of its height, this by 0.1 %. Within a splat the depth
    is that at which it is densest along the ray, a plane (Zhang et al. 2024, RaDe-GS, arXiv:2406.01467).
    """
    flat = _Flat.of(camera, centres, scales, rotations, opacities)
    slopes = _plane(flat.covariances, flat.conics)
    start = flat.depths - (slopes * flat.middles).sum(1)
    planes = torch.cat([slopes, start[:, None], torch.zeros_like(start[:, None])], 1)
    found = flat.picture(planes, _at_half)
    down, across = (torch.arange(size, device=found.device) + 0.5 for size in found.shape[:2])
    return found[..., 0] * across + found[..., 1] * down[:, None] + found[..., 2], found[..., 3]


def _plane(covariances: Tensor, conics: Tensor) -> Tensor:
    """(N, 2) by how much a splat's densest depth changes for each pixel across and down."""
    inverse = conics[:, [0, 1, 1, 2]].view(-1, 2, 2)
    return (inverse @ covariances[:, :2, 2:])[..., 0]


@dataclass(frozen=True, eq=False)
class _Flat:
    """Splats on a screen. shown: (M,) indices of those that may be seen; of these middles (M, 2) in pixels, depths
    (M,), covariances (M, 3, 3) of column, row and depth, conics (M, 3) of their spots, and opacities (M,) there."""

    shown: Tensor
    middles: Tensor
    depths: Tensor
    covariances: Tensor
    conics: Tensor
    opacities: Tensor
    tiles: _Tiles

    @classmethod
    def of(cls, camera: Camera, centres: Tensor, scales: Tensor, rotations: Tensor, opacities: Tensor) -> _Flat:
        local = (centres - camera.position) @ camera.rotation.T
        with torch.no_grad():
            shown = _in_front(camera, local, scales).nonzero()[:, 0]
        local = local[shown]
        covariances = _projected(camera, local, _covariances(scales[shown], rotations[shown]))
        conics, widened = _conics(covariances)
        opacities = opacities[shown] * widened
        middles = torch.stack([local[:, 0] * camera.fx, local[:, 1] * camera.fy], 1) / local[:, 2:]
        middles = middles + torch.tensor([camera.cx, camera.cy], dtype=middles.dtype, device=middles.device)
        with torch.no_grad():
            tiles = _Tiles.of(camera, middles, _radii(covariances, opacities), local[:, 2])
        return cls(shown, middles, local[:, 2], covariances, conics, opacities, tiles)

    def picture(self, values: Tensor, join: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """(H, W, C) of the splats' values (M, C). join: as `_Blended`."""
        return self.tiles.picture(_blend(self.tiles, self.middles, self.conics, self.opacities, values, join))


def colours_of(harmonics: Tensor, directions: Tensor) -> Tensor:
    """(N, 3) sRGB of coefficients (N, K, 3) along unit vectors (N, 3), at least 0. As core/harmonics.py."""
    found = basis(directions, round(harmonics.shape[1] ** 0.5) - 1, torch.stack)
    return (torch.einsum("nk,nkc->nc", found, harmonics) + 0.5).clamp_min(0.0)


def _in_front(camera: Camera, local: Tensor, scales: Tensor) -> Tensor:
    """Which splats may reach into the picture, (N,) bool."""
    depth = local[:, 2]
    reach = 3.0 * scales.max(1).values
    ahead = depth > NEAR
    safe = depth.clamp_min(NEAR)
    x, y = local[:, 0] / safe, local[:, 1] / safe
    around = reach / safe
    left, right = -camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
    top, bottom = -camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy
    inside = (x > left - around) & (x < right + around) & (y > top - around) & (y < bottom + around)
    return ahead & inside


def _covariances(scales: Tensor, rotations: Tensor) -> Tensor:
    """(N, 3, 3) in the world."""
    w, x, y, z = functional.normalize(rotations, dim=1).unbind(1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    axes = torch.stack(rows, 1).view(-1, 3, 3) * scales[:, None]
    return axes @ axes.transpose(1, 2)


def _projected(camera: Camera, local: Tensor, covariances: Tensor) -> Tensor:
    """(N, 3, 3) of column and row on the screen, in pixels, and depth, by the projection's slope at the centre (Zwicker
    et al. 2001). Far outside of the picture that slope runs away, so it is taken at its border's neighbourhood, as
    published."""
    x, y, z = local.unbind(1)
    zero = torch.zeros_like(z)
    wide, high = 1.3 * camera.width / camera.fx, 1.3 * camera.height / camera.fy
    x, y = (x / z).clamp(-wide, wide), (y / z).clamp(-high, high)
    rows = [camera.fx / z, zero, -camera.fx * x / z, zero, camera.fy / z, -camera.fy * y / z, zero, zero, zero + 1.0]
    slope = torch.stack(rows, 1).view(-1, 3, 3) @ camera.rotation
    return slope @ covariances @ slope.transpose(1, 2)


def _conics(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3) the inverse's a, b, c of a x^2 + 2 b x y + c y^2 after the screen's filter, and (N,) its dimming."""
    a, b, c = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    before = (a * c - b * b).clamp_min(1e-12)
    a, c = a + FILTER, c + FILTER
    after = (a * c - b * b).clamp_min(1e-12)
    return torch.stack([c, -b, a], 1) / after[:, None], (before / after).clamp_min(0.0).sqrt()


def _radii(covariances: Tensor, opacities: Tensor) -> Tensor:
    """(N,) pixels from the middle beyond which a splat adds nothing: three deviations, or less where it is faint."""
    a, b, c = covariances[:, 0, 0] + FILTER, covariances[:, 0, 1], covariances[:, 1, 1] + FILTER
    half = (a + c) / 2.0
    largest = half + (((a - c) / 2.0) ** 2 + b * b).sqrt()
    reach = (2.0 * (opacities / LEAST).clamp_min(1.0).log()).sqrt().clamp_max(3.0)
    return torch.where(opacities > LEAST, reach * largest.sqrt(), torch.zeros_like(a))


@dataclass(frozen=True)
class _Tiles:
    """Which splats each tile blends. splats: (P,) of all pairs of a tile and a splat, tile by tile, nearest first.
    counts: (T,) of each tile, row by row; across, down: how many tiles there are."""

    splats: Tensor
    counts: Tensor
    across: int
    down: int
    width: int
    height: int

    @classmethod
    def of(cls, camera: Camera, middles: Tensor, radii: Tensor, depths: Tensor) -> _Tiles:
        across, down = math.ceil(camera.width / TILE), math.ceil(camera.height / TILE)
        limits = torch.tensor([across, down], dtype=middles.dtype, device=middles.device)
        low = ((middles - radii[:, None]) / TILE).floor().clamp_min(0.0).minimum(limits).long()
        high = ((middles + radii[:, None]) / TILE).floor().add(1.0).clamp_min(0.0).minimum(limits).long()
        spans = (high - low).clamp_min(0) * (radii > 0.0)[:, None]
        counts = spans[:, 0] * spans[:, 1]
        order = depths.argsort()
        splats = order.repeat_interleave(counts[order])
        starts = counts[order].cumsum(0) - counts[order]
        place = torch.arange(len(splats), device=splats.device) - starts.repeat_interleave(counts[order])
        wide = spans[splats, 0].clamp_min(1)
        tiles = (low[splats, 1] + place // wide) * across + low[splats, 0] + place % wide
        tiles, sorting = tiles.sort(stable=True)
        return cls(
            splats[sorting], torch.bincount(tiles, minlength=across * down), across, down, camera.width, camera.height
        )

    def groups(self) -> list[tuple[Tensor, int]]:
        """Tiles of similar counts, so many together that their pairs fit: indices and the largest count."""
        order = self.counts.argsort(descending=True)
        sizes, found, start = self.counts[order].cpu().tolist(), [], 0
        while start < len(sizes) and sizes[start] > 0:
            most = sizes[start]
            many = max(_PAIRS // (most * TILE * TILE), 1)
            end = start + 1
            while end < len(sizes) and end - start < many and sizes[end] > 0.6 * most:
                end += 1
            found.append((order[start:end], most))
            start = end
        return found

    def picture(self, blended: Tensor) -> Tensor:
        """(H, W, C) of (T, TILE^2, C)."""
        whole = blended.view(self.down, self.across, TILE, TILE, -1).transpose(1, 2)
        return whole.reshape(self.down * TILE, self.across * TILE, -1)[: self.height, : self.width]


def _blend(
    tiles: _Tiles,
    middles: Tensor,
    conics: Tensor,
    opacities: Tensor,
    values: Tensor,
    join: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """(T, TILE^2, C) of the splats' values (M, C). join: as `_Blended`."""
    pixels = _pixels(middles)
    starts = tiles.counts.cumsum(0) - tiles.counts
    parts, places = [], []
    logs = opacities.clamp_min(1e-10).log()
    for chosen, most in tiles.groups():
        slots = torch.arange(most, device=middles.device)
        here = slots < tiles.counts[chosen, None]
        splats = tiles.splats[(starts[chosen, None] + slots).clamp_max(len(tiles.splats) - 1)]
        corner = torch.stack([chosen % tiles.across, chosen // tiles.across], 1) * TILE + TILE / 2.0
        powers = _powers(middles[splats] - corner[:, None], conics[splats], logs[splats])
        powers = torch.where(
            here[..., None],
            powers,
            torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, -1e4], dtype=powers.dtype, device=powers.device),
        )
        parts.append(join(pixels, powers, values[splats]))
        places.append(chosen)
    empty = values.new_zeros(len(tiles.counts), TILE * TILE, values.shape[1])
    return empty.index_copy(0, torch.cat(places), torch.cat(parts)) if parts else empty


def _pixels(like: Tensor) -> Tensor:
    """(TILE^2, 6): the six terms of a quadratic at each pixel's centre, from the tile's middle."""
    line = torch.arange(TILE, device=like.device, dtype=like.dtype) + 0.5 - TILE / 2.0
    y, x = torch.meshgrid(line, line, indexing="ij")
    x, y = x.flatten(), y.flatten()
    return torch.stack([x * x, x * y, y * y, x, y, torch.ones_like(x)], 1)


def _powers(offsets: Tensor, conics: Tensor, logs: Tensor) -> Tensor:
    """(..., 6): of each splat, what its exponent is made of at the terms of `_pixels`. offsets: from the tile's middle
    to the splat's."""
    a, b, c = conics.unbind(-1)
    u, v = offsets.unbind(-1)
    along, across = a * u + b * v, b * u + c * v
    return torch.stack([-a / 2, -b, -c / 2, along, across, logs - (u * along + v * across) / 2], -1)


class _Blended(torch.autograd.Function):
    """sum_i w_i value_i with w_i = alpha_i prod_{j < i} (1 - alpha_j), alpha_i = exp(pixels . powers_i): of each tile
    (T, P, C), from pixels (P, 6), powers (T, M, 6) and values (T, M, C)."""

    @staticmethod
    def forward(ctx, pixels: Tensor, powers: Tensor, values: Tensor) -> Tensor:
        alphas = _alphas(pixels, powers)
        weights = alphas * _passed(alphas)
        ctx.save_for_backward(pixels, powers, values, alphas)
        return weights @ values

    @staticmethod
    def backward(ctx, given: Tensor):
        pixels, powers, values, alphas = ctx.saved_tensors
        passed = _passed(alphas)
        weights = alphas * passed
        per_weight = given @ values.transpose(1, 2)
        after = weights * per_weight
        after = after.sum(-1, keepdim=True) - after.cumsum(-1)
        per_alpha = passed * per_weight - after / (1.0 - alphas)
        per_power = per_alpha * torch.where(alphas < MOST, alphas, torch.zeros_like(alphas))
        return None, per_power.transpose(1, 2) @ pixels, weights.transpose(1, 2) @ given


def _at_half(pixels: Tensor, powers: Tensor, values: Tensor) -> Tensor:
    """(T, P, C): the values of the splat with which the light that comes through falls below a half, 0 where it does
    not; in place of the last one the opacity of all. As `_Blended`, without a gradient."""
    through = (1.0 - _alphas(pixels, powers)).cumprod(-1)
    dark = through < 0.5
    first = dark.byte().argmax(-1)[..., None].expand(-1, -1, values.shape[2])
    found = values.gather(1, first) * dark[..., -1:]
    found[..., -1] = 1.0 - through[..., -1]
    return found


def _alphas(pixels: Tensor, powers: Tensor) -> Tensor:
    """(T, P, M)."""
    alphas = (pixels @ powers.transpose(1, 2)).exp_().clamp_max_(MOST)
    return torch.where(alphas >= LEAST, alphas, torch.zeros_like(alphas))


def _passed(alphas: Tensor) -> Tensor:
    """What is let through by all that is nearer, (T, P, M)."""
    through = (1.0 - alphas).cumprod(-1)
    return functional.pad(through[..., :-1], (1, 0), value=1.0)
