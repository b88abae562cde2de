# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a thing that is cut out of its photos: a smooth signed distance from its visual hull (Laurentini 1994).

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.view import PinholeCamera, View
from ...pictures.silhouette import large_parts, outline_distance
from ..runtime import memory
from .grid_space import DISSENT, Lattice, redistanced, tensor_of

_PIXELS = 800  # longest side of the masks
_PINHOLE = 0.001  # of an outline's area: smaller holes in it are its own faults, and would be drilled through the thing
_LEAST = 2  # photos that must show a place of the thing
_BLOCK, _NEAR = 4, 6.0
"""Cells along blocks that are looked at by their corners first, and from the surface, within which all corners are.
No corner is farther than 3.5 from one that is looked at, and two are trusted: all within 5.5 must be."""

_GRAZED, _ACROSS = 1.0, 0.5
"""Cells to an outline's ray within which it may touch a point, and cosine between the point's normal and the outline's.
With 3 cells, a cup's rim got bumps and a box's clay fell from 26.8 to 26.2 dB; .5 and .7 are as good as 1 and .5."""

_CHUNK = 1 << 17  # corners at once
_NOTHING = "the pictures have masks that agree on no shape: check the poses and the masks"


@dataclass(frozen=True, eq=False)
class Hull:
    """The visual hull of masks. distance: (X + 1, Y + 1, Z + 1) float32 signed distance in cells at the lattice's
    corners, positive outside."""

    distance: np.ndarray
    lattice: Lattice
    _outlines: tuple[_Outline, ...]

    @classmethod
    @torch.no_grad()
    def of(cls, views: Sequence[View], lattice: Lattice, job: Job | Span) -> Hull:
        """Of the masks the share DISSENT may be wrong about a place; what a photo does not show, it says nothing of.
        Each distance is measured in the picture, so that it is exact near the surface, and smooth. job: hears each
        layer. Raises Unable where nothing is left."""
        outlines = tuple(_Outline.of(view) for view in views if view.mask.any())
        if not outlines:
            raise Unable(_NOTHING)
        memory.release()
        which, most = int(DISSENT * len(views)) + 1, float(max(lattice.cells))

        def told(points: Tensor) -> Tensor:
            all_told = torch.stack([outline.told(points) for outline in outlines])
            shown = all_told.isfinite().sum(0) >= _LEAST
            found = torch.where(shown, all_told.topk(which, 0).values[-1], torch.inf)
            return (found / lattice.spacing).clamp(-most, most)

        distance, near = _coarse(told, lattice)
        places = near.nonzero()
        for start in range(0, len(places), _CHUNK):
            job.report(start / len(places), "cutting the shape out")
            place = places[start : start + _CHUNK]
            distance[tuple(place.T)] = told(lattice.origin(place.device) + place * lattice.spacing)
        if not (distance < 0.0).any():
            raise Unable(_NOTHING)
        return cls(redistanced(distance.numpy()), lattice, outlines)

    def grazing(self, points: Tensor, normals: Tensor, apart: float) -> Grazing:
        """The rays along outlines that pass points (N, 3) of a surface that are `apart`, with normals (N, 3)."""
        cell, found, rays = self.lattice.spacing, [], 0
        for outline in self._outlines:
            away = outline.told(points) / cell
            slope = outline.told(points + normals * cell) / cell - away
            near = ((away.abs() < _GRAZED) & (slope > _ACROSS)).nonzero()[:, 0]
            inwards = away[near] / slope[near] * cell
            own = (points[near] - normals[near] * inwards[:, None] - outline.position) @ outline.rotation.T
            place = own[:, :2] / own[:, 2:] * (own[:, 2].mean() / apart)
            pixels, which = torch.unique(place.floor().long(), dim=0, return_inverse=True)
            found.append((near, inwards / apart, which + rays))
            rays += len(pixels)
        return Grazing(*(torch.cat(each).numpy() for each in zip(*found)), rays)


@dataclass(frozen=True, eq=False)
class Grazing:
    """Rays along outlines, and the points of a surface beside them: each ray touches the thing somewhere. point, ray:
    (M,) which are beside each other. inwards: (M,) how far from the point the ray is, against the normal there, in the
    points' distances. rays: how many there are."""

    point: np.ndarray
    inwards: np.ndarray
    ray: np.ndarray
    rays: int


def _coarse(told: Callable[[Tensor], Tensor], lattice: Lattice) -> tuple[Tensor, Tensor]:
    """(X + 1, Y + 1, Z + 1) what is told of one corner in so many along each axis, for those around it as well; and
    which corners may be near the surface, by the corners of the block that they are in."""
    blocks = tuple(-(-n // _BLOCK) for n in lattice.samples)
    coarse = Lattice(lattice.low, lattice.spacing * _BLOCK, blocks)
    values = torch.cat([told(coarse.layer(number, torch.device("cpu"))) for number in range(coarse.samples[0])])
    values = values.view(1, 1, *coarse.samples)
    highest, lowest = functional.max_pool3d(values, 2, 1)[0, 0], -functional.max_pool3d(-values, 2, 1)[0, 0]
    near = (lowest < _NEAR) & (highest > -_NEAR)
    repeated = (values[0, 0, :-1, :-1, :-1], near)
    for axis, count in enumerate(lattice.samples):
        repeated = tuple(each.repeat_interleave(_BLOCK, axis).narrow(axis, 0, count) for each in repeated)
    return repeated[0].contiguous(), repeated[1]


@dataclass(frozen=True, eq=False)
class _Outline:
    """distance: (H, W) pixels from the thing's outline, negative on it. camera, rotation, position: as of a view."""

    distance: Tensor
    camera: PinholeCamera
    rotation: Tensor
    position: Tensor

    @classmethod
    def of(cls, view: View) -> _Outline:
        view = tensor_of(view, _PIXELS, torch.device("cpu"))
        share = view.mask.numpy()
        away = share <= 0.5
        share = np.where(away & ~large_parts(away, _PINHOLE * (1.0 - float(away.mean()))), 1.0, share)
        distance = outline_distance(share)
        return cls(torch.from_numpy(distance), view.camera, view.rotation, view.position)

    def told(self, points: Tensor) -> Tensor:
        """(N,) how far outside of the outline points (N, 3) are, in the world's unit; -inf where the view does not show
        them."""
        camera, own = self.camera, (points - self.position) @ self.rotation.T
        depth = own[:, 2].clamp(min=1e-6)
        focal, centre, size = (
            own.new_tensor(pair)
            for pair in ((camera.fx, camera.fy), (camera.cx, camera.cy), (camera.width, camera.height))
        )
        place = (own[:, :2] / depth[:, None] * focal + centre) / size * 2.0 - 1.0
        seen = (place.abs() <= 1.0).all(1) & (own[:, 2] > 1e-6)
        options = {"padding_mode": "border", "align_corners": False}
        found = functional.grid_sample(self.distance[None, None], place[None, None], **options).view(-1)
        return torch.where(seen, found * depth / camera.fx, -torch.inf)
