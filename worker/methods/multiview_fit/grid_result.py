# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trained grid becomes: the field that it describes, plain arrays of which the same is made, and pictures of it.

A model is rounded to half precision when it is done: that changes nothing that can be seen, kept results take half the
space, and what is made of a kept one is the same to the bit as what is made of a fresh one. Imported on use: it brings
torch. Must not know how it was learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...cameras.capture import TO_GLTF
from ...core.representations import Field
from ...core.view import View
from ..runtime import devices
from . import grid_field
from .grid_field import Grid
from .grid_model import AROUND, Model
from .grid_space import Lattice, at, blank_tensors
from .grid_surroundings import Surroundings
from .training import as_picture

_FINE = 0.5  # cells between samples of pictures of what was learned
_BATCH = 1 << 16  # points that are asked for at once


def rounded(model: Model) -> Model:
    """The surface with numbers of half precision, of which `arrays_of` loses nothing."""
    distance = model.whole().astype(np.float16).astype(np.float32)
    around = model.around
    if around is not None:
        around = replace(around, shape=_half(around.shape), colours=_half(around.colours))
    shape = _on_corners(distance, model.grid)
    return replace(model, shape=shape, colours=_half(model.colours), distance=distance, around=around)


def _half(table: Tensor) -> Tensor:
    return table.detach().half().float()


def _on_corners(distance: np.ndarray, grid: Grid) -> Tensor:
    """(V, 1) what distances on all corners of a lattice are on those of its grid, which has a layer more."""
    x, y, z = (grid.places - 1).unbind(1)
    return torch.from_numpy(distance).to(grid.places.device)[x, y, z][:, None].contiguous()


def arrays_of(model: Model) -> dict[str, np.ndarray]:
    """What `restored` makes the same rounded surface of."""
    tables = {"colours": model.colours}
    if model.around is not None:
        tables |= {"around_shape": model.around.shape, "around_colours": model.around.colours}
    return {
        **{name: table.cpu().numpy().astype(np.float16) for name, table in tables.items()},
        "distance": model.distance.astype(np.float16),
        "occupied": np.packbits((model.grid.cell[1:-1, 1:-1, 1:-1] >= 0).cpu().numpy()),
        "low": np.array(model.lattice.low),
        "numbers": np.array([model.lattice.spacing, model.sharpness]),
    }


def restored(arrays: Mapping[str, np.ndarray], device: torch.device) -> Model:
    """The surface that a training's arrays describe."""
    distance = np.asarray(arrays["distance"]).astype(np.float32)
    spacing, sharpness = map(float, arrays["numbers"])
    lattice = Lattice(tuple(map(float, arrays["low"])), spacing, tuple(n - 1 for n in distance.shape))
    occupied = np.unpackbits(arrays["occupied"], count=math.prod(lattice.cells)).reshape(lattice.cells)
    grid = Grid.of(torch.from_numpy(occupied).to(device) > 0, lattice.origin(device), spacing)
    colours, around = _table(arrays, "colours", device), None
    if "around_shape" in arrays:
        low = lattice.origin(device)
        high = low + torch.tensor(lattice.cells, device=device) * spacing
        tables = (_table(arrays, name, device) for name in ("around_shape", "around_colours"))
        around = Surroundings(Surroundings.around(low, high, AROUND).grid, *tables, low, high)
    return Model(lattice, grid, _on_corners(distance, grid), colours, distance, sharpness, around)


def _table(arrays: Mapping[str, np.ndarray], name: str, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(arrays[name]).astype(np.float32)).to(device)


def picture(model: Model, view: View, background: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: what a camera in the capture's world sees of what was learned."""
    blank = blank_tensors(view, model.grid.low.device)
    colours = model.views(blank, _FINE * model.lattice.spacing, background)[0]
    return as_picture(colours, view.camera.height, view.camera.width)


def field(
    model: Model,
    views: tuple[View, ...] = (),
    notes: tuple[str, ...] = (),
    more: Callable[[], Mapping[str, np.ndarray]] = dict,
) -> Field:
    """The field that a rounded model describes: a signed distance, in the capture's world.

    Its colour is that which is seen from straight ahead. more: what its arrays hold beside the model's.
    """
    device, spacing, lattice = model.grid.low.device, model.lattice.spacing, model.lattice
    whole, usual = torch.from_numpy(model.distance).to(device), model.colours.mean(0)

    def value(points: Tensor) -> Tensor:
        return -spacing * at(whole, lattice, points)

    def colour(points: Tensor) -> Tensor:
        moves = 0.5 * spacing * torch.eye(3, device=points.device)
        inwards = torch.stack([value(points + move) - value(points - move) for move in moves], 1)
        numbers = model.grid.at(model.colours - usual, points, 0.0) + usual
        return grid_field.coloured(numbers, functional.normalize(inwards, dim=1)).clamp(0.0, 1.0)

    def known(points: Tensor) -> Tensor:
        return model.grid.occupying((points - model.grid.low) / spacing) >= 0

    bounds = np.array(lattice.low) + np.outer((0, 1), lattice.cells) * spacing
    told = devices.for_arrays(known, device, _BATCH) if model.around is not None else None
    asked = (devices.for_arrays(function, device, _BATCH) for function in (value, colour))
    return Field(*asked, bounds, TO_GLTF, lambda: {**arrays_of(model), **more()}, views, notes, told)
