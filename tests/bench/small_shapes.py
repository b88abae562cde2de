# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural shapes on which a small TripoSG is trained and measured: boxes, cylinders, ellipsoids, and unions of two.

In TripoSG's axes: x right, y up, seen from +z, within +-0.95. A batch of B shapes of two primitives is one tensor; all
that is asked of it is computed for all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

BAND = 0.25
"""Distances beyond are as good as this one: what is learned is a truncated signed distance over BAND."""

PIXELS = 28


@dataclass(frozen=True)
class Shapes:
    """B shapes. kind (B, 2): 0 box, 1 ellipsoid, 2 to 4 a cylinder along x, y, z. centre, half (B, 2, 3)."""

    kind: Tensor
    centre: Tensor
    half: Tensor

    @classmethod
    def drawn(cls, count: int, random: Generator) -> Shapes:
        """Half of them are one primitive: its second one is the first again."""

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=random)

        half = uniform(0.15, 0.6, count, 2, 3)
        centre = uniform(-1.0, 1.0, count, 2, 3) * torch.minimum(0.95 - half, torch.tensor(0.35))
        kind = torch.randint(0, 5, (count, 2), generator=random)
        for axis in range(3):  # a cylinder's other two half axes are one radius
            others = [other for other in range(3) if other != axis]
            radius = half[..., others].mean(-1, keepdim=True).expand(-1, -1, 2)
            half[..., others] = torch.where((kind == 2 + axis)[..., None], radius, half[..., others])
        single = torch.rand(count, generator=random) < 0.5
        for each in (kind, centre, half):
            each[single, 1] = each[single, 0]
        return cls(kind, centre, half)

    def distance(self, points: Tensor) -> Tensor:
        """Signed, negative inside, (B, N) at points (B, N, 3); of ellipsoids to first order."""
        local = points[:, None] - self.centre[:, :, None]  # (B, 2, N, 3)
        half = self.half[:, :, None]
        found = [_box(local, half), _ellipsoid(local, half)]
        found += [_cylinder(local, half, axis) for axis in range(3)]
        which = self.kind[:, :, None, None].expand(-1, -1, points.shape[1], 1)
        return torch.stack(found, -1).gather(-1, which)[..., 0].amin(1)

    def gradient(self, points: Tensor) -> Tensor:
        """(B, N, 3), of about length one."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            return torch.autograd.grad(self.distance(points).sum(), points)[0]

    def surface(self, count: int, random: Generator) -> Tensor:
        """Points and outward normals (B, count, 6)."""
        points = torch.rand(len(self.kind), 6 * count, 3, generator=random) * 2.0 - 1.0
        nearest = self.distance(points).abs().topk(count, dim=1, largest=False).indices
        points = points.gather(1, nearest[..., None].expand(-1, -1, 3))
        for _ in range(4):
            slope = self.gradient(points)
            points = points - self.distance(points)[..., None] * slope / slope.square().sum(-1, keepdim=True).clamp(0.1)
        order = torch.rand(points.shape[:2], generator=random).argsort(1)[..., None].expand(-1, -1, 3)
        points = points.gather(1, order)
        return torch.cat([points, functional.normalize(self.gradient(points), dim=-1)], -1)

    def field(self, points: Tensor) -> Tensor:
        """What the decoder is to say: positive inside, from -1 to 1."""
        return (-self.distance(points) / BAND).clamp(-1.0, 1.0)

    def silhouettes(self) -> Tensor:
        """(B, 3, PIXELS, PIXELS) of -1 and 1, row 0 on top, along parallel rays."""
        axis = (torch.arange(PIXELS) + 0.5) / PIXELS * 2.0 - 1.0
        y, x, z = torch.meshgrid(-axis, axis, axis[::2], indexing="ij")
        points = torch.stack([x, y, z], -1).reshape(1, -1, 3).expand(len(self.kind), -1, -1)
        inside = (self.distance(points) < 0).unflatten(1, (PIXELS, PIXELS, PIXELS // 2)).any(-1)
        return (inside.float() * 2.0 - 1.0)[:, None].expand(-1, 3, -1, -1)


def _box(local: Tensor, half: Tensor) -> Tensor:
    beyond = local.abs() - half
    return beyond.clamp(min=0.0).square().sum(-1).add(1e-12).sqrt() + beyond.amax(-1).clamp(max=0.0)


def _ellipsoid(local: Tensor, half: Tensor) -> Tensor:
    length = (local / half).square().sum(-1).add(1e-12).sqrt()
    return length * (length - 1.0) / (local / half**2).square().sum(-1).add(1e-12).sqrt()


def _cylinder(local: Tensor, half: Tensor, axis: int) -> Tensor:
    others = [other for other in range(3) if other != axis]
    around = local[..., others].square().sum(-1).add(1e-12).sqrt() - half[..., others].mean(-1)
    along = local[..., axis].abs() - half[..., axis]
    beyond = torch.stack([around, along], -1)
    return beyond.clamp(min=0.0).square().sum(-1).add(1e-12).sqrt() + beyond.amax(-1).clamp(max=0.0)
