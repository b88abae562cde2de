# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trained grid becomes: plain arrays, the field they describe, and pictures of it.

Imported on use: it brings torch. Must not know how it was learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

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
from .grid_model import AROUND, Model, at
from .grid_space import Lattice, Photo
from .grid_surroundings import Surroundings

_FINE = 0.5  # cells between samples of pictures of what was learned
_BATCH = 1 << 16  # points that are asked for at once


def arrays_of(model: Model) -> dict[str, np.ndarray]:
    """What `restored` makes the same surface of, with half of the digits."""
    around = {}
    if model.around is not None:
        around = {"around_shape": model.around.shape, "around_colours": model.around.colours}
    return {
        **{name: table.detach().cpu().numpy().astype(np.float16) for name, table in around.items()},
        "distance": model.whole().astype(np.float16),
        "occupied": np.packbits((model.grid.cell[1:-1, 1:-1, 1:-1] >= 0).cpu().numpy()),
        "colours": model.colours.detach().cpu().numpy().astype(np.float16),
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
    x, y, z = (grid.places - 1).unbind(1)
    shape = torch.from_numpy(distance).to(device)[x, y, z][:, None]
    colours, around = _table(arrays, "colours", device), None
    if "around_shape" in arrays:
        low = lattice.origin(device)
        high = low + torch.tensor(lattice.cells, device=device) * spacing
        empty = Surroundings.around(low, high, AROUND)
        tables = (_table(arrays, name, device) for name in ("around_shape", "around_colours"))
        around = Surroundings(empty.grid, *tables, low, high)
    return Model(lattice, grid, shape, colours, distance, sharpness, around)


def _table(arrays: Mapping[str, np.ndarray], name: str, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(arrays[name]).astype(np.float32)).to(device)


def picture(arrays: Mapping[str, np.ndarray], view: View, device: torch.device, background: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: what a camera in the capture's world sees of what was learned."""
    rotation, position = (
        torch.tensor(values, dtype=torch.float32, device=device) for values in (view.rotation, view.position)
    )
    blank = torch.zeros(view.camera.height, view.camera.width, 3, device=device)
    model = restored(arrays, device)
    photo = Photo(blank, None, view.camera, rotation, position)
    colours = model.views(photo, _FINE * model.lattice.spacing, background)[0].view(blank.shape)
    return (colours.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy()


def field(arrays: Mapping[str, np.ndarray], device: torch.device) -> Field:
    """The field that a training's arrays describe: a signed distance, in the capture's world.

    Its colour is that which is seen from straight ahead.
    """
    model = restored(arrays, device)
    whole, spacing = torch.from_numpy(model.distance).to(device), model.lattice.spacing
    usual = model.colours.mean(0)

    def value(points: Tensor) -> Tensor:
        return -spacing * at(whole, model.lattice, points)

    def colour(points: Tensor) -> Tensor:
        moves = 0.5 * spacing * torch.eye(3, device=points.device)
        inwards = torch.stack([value(points + move) - value(points - move) for move in moves], 1)
        numbers = model.grid.at(model.colours - usual, points, 0.0) + usual
        return grid_field.coloured(numbers, functional.normalize(inwards, dim=1)).clamp(0.0, 1.0)

    low = np.array(model.lattice.low)
    bounds = np.stack([low, low + np.array(model.lattice.cells) * spacing])
    asked = (devices.for_arrays(function, device, _BATCH) for function in (value, colour))
    return Field(*asked, bounds, TO_GLTF, arrays)
