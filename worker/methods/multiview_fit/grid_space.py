# SPDX-License-Identifier: GPL-3.0-or-later
"""Where matter can be, as far as cameras and outlines tell, and signed distances from what cameras saw.

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know what is optimised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from ...cameras.hull import carved
from ...core.errors import Unable
from ...core.view import PinholeCamera, View
from ..runtime import memory

DISSENT = 0.03  # share of the views whose masks may be wrong about a cell before it counts as outside
_HALF_DIAGONAL = 0.87  # of a cell, in its sides
_MOST_GROWN = 32  # pixels by which a mask is grown at most
_PLANES = 12.0  # cells from a surface within which distances are those to planes
_TRUNCATION = 3.0  # cells from a seen surface within which its distance is believed


@dataclass(frozen=True, eq=False)
class ViewTensors:
    """A view on the device, smaller. colour: (H, W, 3) sRGB multiplied by mask. mask: (H, W) or None. 0 to 1 both.
    rotation: (3, 3), position: (3,) float32, as in View."""

    colour: Tensor
    mask: Tensor | None
    camera: PinholeCamera
    rotation: Tensor
    position: Tensor

    def resized(self, longest: int) -> ViewTensors:
        """The same with a longer side of at most that many pixels."""
        height, width = self.colour.shape[:2]
        share = min(1.0, longest / max(height, width))
        size = max(1, round(height * share)), max(1, round(width * share))
        mask = None if self.mask is None else _averaged(self.mask[..., None], size)[..., 0]
        camera = self.camera.scaled(size[1], size[0])
        return ViewTensors(_averaged(self.colour, size), mask, camera, self.rotation, self.position)

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
        camera, own = self.camera, (points - self.position) @ self.rotation.T
        depth = own[:, 2].clamp(min=1e-6)
        column = (own[:, 0] / depth * camera.fx + camera.cx).floor()
        row = (own[:, 1] / depth * camera.fy + camera.cy).floor()
        inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height) & (own[:, 2] > 1e-6)
        index = torch.where(inside, row * camera.width + column, 0.0).long()
        return index, inside, own.norm(dim=1)


def _averaged(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w, C) means over areas of values (H, W, C). On the CPU, as Metal cannot where sizes do not divide."""
    planes = values.cpu().permute(2, 0, 1)[None]
    return functional.interpolate(planes, size, mode="area")[0].permute(1, 2, 0).contiguous().to(values.device)


def blank_tensors(view: View, device: torch.device) -> ViewTensors:
    """A view without its picture."""
    rotation, position = (
        torch.tensor(values, dtype=torch.float32, device=device) for values in (view.rotation, view.position)
    )
    nothing = torch.zeros(view.camera.height, view.camera.width, 3, device=device)
    return ViewTensors(nothing, None, view.camera, rotation, position)


def tensors_of(views: Sequence[View], longest: int, device: torch.device) -> list[ViewTensors]:
    """The views no larger than `longest`, with masks only if all have one. Raises Unable where they show nothing."""
    if len(views) < 2:
        raise Unable(f"a field needs two or more pictures with known cameras, not {len(views)}: add pictures")
    masked = all(view.mask is not None for view in views)
    if masked and not any(view.mask.any() for view in views):
        raise Unable("every picture's mask is empty, so there is nothing to see: check the masks or leave them out")
    tensors = [tensor_of(view, longest, device, masked) for view in views]
    memory.release()  # between the small pictures lies what the large ones took
    return tensors


def tensor_of(view: View, longest: int, device: torch.device, masked: bool = True) -> ViewTensors:
    """A view no larger than `longest`, with its mask if it is `masked`."""
    colour = torch.from_numpy(view.rgb.copy()).to(device).float() / 255.0
    mask = torch.from_numpy(view.mask.copy()).to(device).float() / 255.0 if masked else None
    colour = colour if mask is None else colour * mask[..., None]
    return replace(blank_tensors(view, device), colour=colour, mask=mask).resized(longest)


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

    def layer(self, number: int, device: torch.device) -> Tensor:
        """((Y + 1) (Z + 1), 3) the corners that are so manieth along x."""
        low = (self.low[0] + number * self.spacing, *self.low[1:])
        return Lattice(low, self.spacing, (0, *self.cells[1:])).corners(device)

    @property
    def samples(self) -> tuple[int, int, int]:
        return tuple(n + 1 for n in self.cells)

    def _positions(self, counts: Sequence[int], shift: float, device: torch.device) -> Tensor:
        axes = [torch.arange(n, device=device) + shift for n in counts]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), 3).view(-1, 3)
        return self.origin(device) + grid * self.spacing


def hull(views: Sequence[ViewTensors], lattice: Lattice) -> Tensor:
    """(X, Y, Z) bool: cells that two views see and (nearly) no mask excludes. Raises Unable where none is left."""
    device = views[0].position.device
    cells = lattice.centres(torch.device("cpu")).numpy()
    bare = [View(v.camera, v.rotation.cpu().numpy(), v.position.cpu().numpy()) for v in views]
    masks = [None if view.mask is None else (view.mask > 0.02).cpu().numpy() for view in views]
    half = _HALF_DIAGONAL * lattice.spacing
    nearest = [max(float(np.linalg.norm(cells - view.position, axis=1).min()), half) for view in bare]
    reaches = [math.ceil(half * view.camera.fx / near) for view, near in zip(bare, nearest)]
    found = carved(cells, bare, masks, [min(reach, _MOST_GROWN) for reach in reaches], 2, DISSENT)
    if not found.any():
        why = "see no common part" if views[0].mask is None else "have masks that agree on no shape"
        raise Unable(f"the pictures {why}: check the poses and the masks")
    return torch.from_numpy(found.reshape(lattice.cells)).to(device)


def grown(mask: Tensor, pixels: int) -> Tensor:
    """A mask (H, W) with all that is not farther than so many rows and columns from it."""
    wide, side = mask[None, None].float(), 2 * pixels + 1  # a square's maximum takes twenty times as long
    rows = functional.max_pool2d(wide, (side, 1), 1, (pixels, 0))
    return functional.max_pool2d(rows, (1, side), 1, (0, pixels))[0, 0] > 0


def fused_distance(views: Sequence[ViewTensors], distances: Sequence[Tensor], lattice: Lattice) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells at the corners, positive outside.

    distances: (H W,) how far each view's pixels see, infinite where they see nothing. The mean of what views say near
    surfaces (Curless and Levoy 1996); what views are turned to but cannot look into is inside.
    """
    points, reach = lattice.corners(distances[0].device), _TRUNCATION * lattice.spacing
    total, votes, framed = (torch.zeros(len(points), device=points.device) for _ in range(3))
    for view, distance in zip(views, distances):
        index, inside, away = view.seen(points)
        framed += inside
        if view.mask is not None:  # masks are sharper than distances
            nothing = view.mask.view(-1) < 0.5
            inside = inside & (distance.isfinite() | nothing)[index]
            distance = torch.where(nothing, torch.inf, distance)
        ahead = distance[index] - away
        near = inside & (ahead > -reach)
        total += torch.where(near, ahead.clamp(max=reach), 0.0)
        votes += near
    unseen = torch.where(framed > 0, -reach, reach)
    mean = torch.where(votes > 0, total / votes.clamp(min=1.0), unseen) / lattice.spacing
    return redistanced(mean.view(lattice.samples).cpu().numpy())


def redistanced(values: np.ndarray, trusted: float = 2.0) -> np.ndarray:
    """The same signs and zero; what is farther than `trusted` from zero replaced by the distance to it, in cells: near
    by to the plane that the nearest corner beyond tells. Whole cells would be terraces where a surface is moved."""
    inside = values < 0.0
    if inside.all() or not inside.any():
        return values.astype(np.float32)
    told = values.astype(np.float32)
    for those, sign in ((inside, -1.0), (~inside, 1.0)):
        nearest, away = _nearest(those)
        those = those & (np.abs(values) >= trusted)
        told[those] = sign * np.maximum(away[those] - 0.5, trusted)
        near = np.nonzero(those & (away < _PLANES))
        if len(near[0]):
            corner = tuple(index[near] for index in nearest)
            told[near] = sign * np.maximum(_to_plane(values, near, corner), trusted)
    return told


def depth_within(inside: np.ndarray) -> np.ndarray:
    """(X, Y, Z) float32 distance of what is inside to what is not, in cells."""
    return _nearest(inside)[1]


def _nearest(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3, X, Y, Z) int32 the nearest corner that is not inside, and (X, Y, Z) float32 how far that is. Takes a third of
    the memory that SciPy's own does, which is of float64, and of all three axes at once."""
    nearest = distance_transform_edt(inside, return_distances=False, return_indices=True)
    total = np.zeros(inside.shape, np.float32)
    for index, place in zip(nearest, np.ogrid[tuple(map(slice, inside.shape))]):
        total += np.square(index - place, dtype=np.float32)
    return nearest, np.sqrt(total, out=total)


def _to_plane(values: np.ndarray, places: tuple[np.ndarray, ...], corner: tuple[np.ndarray, ...]) -> np.ndarray:
    """(N,) cells from places to the planes on which values are zero by the value and the slope at a corner of each."""
    slope = np.empty((3, len(corner[0])), np.float32)
    for axis, size in enumerate(values.shape):
        ends = [list(corner), list(corner)]
        ends[0][axis], ends[1][axis] = np.maximum(corner[axis] - 1, 0), np.minimum(corner[axis] + 1, size - 1)
        slope[axis] = values[tuple(ends[1])] - values[tuple(ends[0])]
    slope /= np.linalg.norm(slope, axis=0) + 1e-6
    apart = np.stack(places).astype(np.float32) - np.stack(corner)
    ahead = (apart * slope).sum(0)
    aside = np.sqrt(np.maximum((apart**2).sum(0) - ahead**2, 0.0))
    ahead += np.clip(values[corner], -1.0, 1.0)
    return np.hypot(ahead, np.maximum(aside - np.abs(ahead), 0.0))  # the nearest corner is seldom right below


def at(values: Tensor, lattice: Lattice, points: Tensor) -> Tensor:
    """(N,) what values (X + 1, Y + 1, Z + 1) at a lattice's corners are at points (N, 3), clamped to its box."""
    size = torch.tensor(lattice.cells, device=points.device) * lattice.spacing
    place = (points - lattice.origin(points.device)) / size * 2.0 - 1.0
    options = {"mode": "bilinear", "padding_mode": "border", "align_corners": True}
    asked = place.flip(1)[None, None, None]  # the last axis first
    return functional.grid_sample(values[None, None], asked, **options).view(-1)


def entered(distance: Tensor, lattice: Lattice, origins: Tensor, rays: Tensor) -> Tensor:
    """(N,) how far along unit rays (N, 3) the surface of distances in cells at a lattice's corners is, by sphere
    tracing (Hart 1996); infinite where it is not."""
    low = lattice.origin(rays.device)
    high = low + torch.tensor(lattice.cells, device=rays.device) * lattice.spacing
    ends = torch.stack([(low - origins) / rays, (high - origins) / rays])
    depth, end = ends.amin(0).amax(1).clamp(min=0.0), ends.amax(0).amin(1)
    found, active = torch.full_like(depth, torch.inf), (depth < end).nonzero()[:, 0]
    while len(active):
        away = at(distance, lattice, origins[active] + rays[active] * depth[active, None])
        depth[active] += torch.where(away > 0.0, away.clamp(min=0.5), away) * lattice.spacing
        found[active[away <= 0.0]] = depth[active[away <= 0.0]]
        active = active[(away > 0.0) & (depth[active] < end[active])]
    return found
