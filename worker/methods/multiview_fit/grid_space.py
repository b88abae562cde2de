# SPDX-License-Identifier: GPL-3.0-or-later
"""Where matter can be, as far as cameras and outlines tell, and signed distances from what cameras saw.

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know what is optimised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from ...cameras.capture import Shot
from ...core.errors import Unable
from ...core.view import PinholeCamera

_DOUBT = 0.03  # share of the views whose outlines may be wrong about a point before it counts as outside
_TRUST = 3.0  # cells from a seen surface within which its distance is believed


@dataclass(frozen=True, eq=False)
class Photo:
    """A shot on the device, smaller. colour: (H, W, 3) sRGB multiplied by matte. matte: (H, W) or None. 0 to 1 both."""

    colour: Tensor
    matte: Tensor | None
    camera: PinholeCamera
    rotation: Tensor
    position: Tensor

    def resized(self, longest: int) -> Photo:
        """The same with a longer side of at most that many pixels."""
        height, width = self.colour.shape[:2]
        share = min(1.0, longest / max(height, width))
        size = max(1, round(height * share)), max(1, round(width * share))
        matte = None if self.matte is None else _averaged(self.matte[..., None], size)[..., 0]
        camera = self.camera.scaled(size[1], size[0])
        return Photo(_averaged(self.colour, size), matte, camera, self.rotation, self.position)

    def rays(self) -> tuple[Tensor, Tensor]:
        """Origins and unit directions (H W, 3) of the pixels' centres in the world."""
        camera, device = self.camera, self.position.device
        row, column = torch.meshgrid(
            torch.arange(camera.height, device=device) + 0.5,
            torch.arange(camera.width, device=device) + 0.5,
            indexing="ij",
        )
        x, y = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy
        direction = torch.stack([x, y, torch.ones_like(x)], 2).view(-1, 3)
        direction = functional.normalize(direction, dim=1) @ self.rotation
        return self.position.expand(len(direction), 3), direction

    def seen(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For points (N, 3): flat index of the pixel (N,) that sees each, whether any does, distance to the camera."""
        camera, placed = self.camera, (points - self.position) @ self.rotation.T
        depth = placed[:, 2].clamp(min=1e-6)
        column = (placed[:, 0] / depth * camera.fx + camera.cx).floor()
        row = (placed[:, 1] / depth * camera.fy + camera.cy).floor()
        inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height) & (placed[:, 2] > 1e-6)
        index = torch.where(inside, row * camera.width + column, 0.0).long()
        return index, inside, placed.norm(dim=1)


def _averaged(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w, C) means over areas of values (H, W, C)."""
    return functional.interpolate(values.permute(2, 0, 1)[None], size, mode="area")[0].permute(1, 2, 0).contiguous()


def photos_of(shots: Sequence[Shot], longest: int, device: torch.device) -> list[Photo]:
    """The shots no larger than `longest`, with mattes only if all have one. Raises Unable where they show nothing."""
    if len(shots) < 2:
        raise Unable(f"a field needs two or more pictures with known cameras, not {len(shots)}: add pictures")
    masked = all(shot.alpha is not None for shot in shots)
    if masked and not any(shot.alpha.any() for shot in shots):
        raise Unable("every picture's mask is empty, so there is nothing to see: check the masks or leave them out")
    photos = []
    for shot in shots:
        colour = torch.from_numpy(shot.rgb.copy()).to(device).float() / 255.0
        matte = torch.from_numpy(shot.alpha.copy()).to(device).float() / 255.0 if masked else None
        colour = colour if matte is None else colour * matte[..., None]
        rotation = torch.tensor(shot.view.rotation, dtype=torch.float32, device=device)
        position = torch.tensor(shot.view.position, dtype=torch.float32, device=device)
        photos.append(Photo(colour, matte, shot.view.camera, rotation, position).resized(longest))
    return photos


@dataclass(frozen=True)
class Lattice:
    """A box of cubes. low: (3,) corner. cells: along each axis."""

    low: tuple[float, float, float]
    spacing: float
    cells: tuple[int, int, int]

    @classmethod
    def over(cls, bounds: np.ndarray, resolution: int) -> Lattice:
        """So many cells along the longest side of bounds (2, 3)."""
        extent = bounds[1] - bounds[0]
        spacing = float(extent.max()) / resolution
        cells = [max(1, math.ceil(side / spacing - 1e-3)) for side in extent]
        low = bounds.mean(axis=0) - np.array(cells) * spacing / 2.0
        return cls(tuple(map(float, low)), spacing, tuple(cells))

    def origin(self, device: torch.device) -> Tensor:
        return torch.tensor(self.low, device=device)

    def centres(self, device: torch.device) -> Tensor:
        """(X Y Z, 3) middles of the cells."""
        return self._positions(self.cells, 0.5, device)

    def corners(self, device: torch.device) -> Tensor:
        """((X + 1) (Y + 1) (Z + 1), 3)."""
        return self._positions(self.samples, 0.0, device)

    @property
    def samples(self) -> tuple[int, int, int]:
        return tuple(n + 1 for n in self.cells)

    def _positions(self, counts: Sequence[int], shift: float, device: torch.device) -> Tensor:
        axes = [torch.arange(n, device=device) + shift for n in counts]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), 3).view(-1, 3)
        return self.origin(device) + grid * self.spacing


def hull(photos: Sequence[Photo], lattice: Lattice) -> Tensor:
    """(X, Y, Z) bool: cells that two views see and (nearly) no outline excludes. Raises Unable where none is left."""
    points = lattice.centres(photos[0].position.device)
    views, against = (torch.zeros(len(points), dtype=torch.int32, device=points.device) for _ in range(2))
    for photo in photos:
        index, inside, distance = photo.seen(points)
        views += inside
        if photo.matte is not None and inside.any():
            reach = 0.87 * lattice.spacing * photo.camera.fx / float(distance[inside].min())
            allowed = grown(photo.matte > 0.02, min(math.ceil(reach), 32))
            against += inside & ~allowed.view(-1)[index]
    found = ((views >= 2) & (against <= int(_DOUBT * len(photos)))).view(lattice.cells)
    if not found.any():
        why = "see no common part" if photos[0].matte is None else "have masks that agree on no shape"
        raise Unable(f"the pictures {why}: check the poses and the masks")
    return found


def grown(mask: Tensor, pixels: int) -> Tensor:
    """A mask (H, W) with all that is not farther than so many rows and columns from it."""
    return functional.max_pool2d(mask[None, None].float(), 2 * pixels + 1, 1, pixels)[0, 0] > 0


def fused_distance(photos: Sequence[Photo], distances: Sequence[Tensor], lattice: Lattice) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells at the corners, positive outside.

    distances: (H W,) how far each photo's pixels see, infinite where they see nothing. The mean of what views say near
    surfaces (Curless and Levoy 1996); what views are turned to but cannot look into is inside.
    """
    points, reach = lattice.corners(distances[0].device), _TRUST * lattice.spacing
    total, votes, framed = (torch.zeros(len(points), device=points.device) for _ in range(3))
    for photo, distance in zip(photos, distances):
        index, inside, away = photo.seen(points)
        framed += inside
        if photo.matte is not None:  # outlines are sharper than distances
            nothing = photo.matte.view(-1) < 0.5
            inside = inside & (distance.isfinite() | nothing)[index]
            distance = torch.where(nothing, torch.inf, distance)
        ahead = distance[index] - away
        known = inside & (ahead > -reach)
        total += torch.where(known, ahead.clamp(max=reach), 0.0)
        votes += known
    unseen = torch.where(framed > 0, -reach, reach)
    mean = torch.where(votes > 0, total / votes.clamp(min=1.0), unseen) / lattice.spacing
    return redistanced(mean.view(lattice.samples).cpu().numpy())


def redistanced(values: np.ndarray, trusted: float = 2.0) -> np.ndarray:
    """The same signs and zero; what is farther than `trusted` from zero replaced by the distance to it, in cells."""
    inside = values < 0.0
    if inside.all() or not inside.any():
        return values.astype(np.float32)
    distance = distance_transform_edt(~inside) - distance_transform_edt(inside)
    far = np.sign(distance) * np.maximum(np.abs(distance) - 0.5, trusted)
    return np.where(np.abs(values) < trusted, values, far).astype(np.float32)
