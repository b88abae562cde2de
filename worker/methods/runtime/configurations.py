# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads configurations in JSON that are published beside weights, and the preparation of pictures that one describes.

Whatever is wrong becomes one sentence (`ValueError`) that names the file and the value. Knows torch only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_BICUBIC = 3  # Pillow's number for it


@dataclass(frozen=True)
class Preparation:
    """How a picture is made ready: shorter side to `resize` pixels, bicubic; the `crop` in its middle; less `mean`,
    over `std`, of values in [0, 1]."""

    resize: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalised(self, rgb: Tensor) -> Tensor:
        """(crop, crop, 3) uint8 sRGB -> (1, 3, crop, crop) float32."""
        mean, std = (torch.tensor(values, device=rgb.device) for values in (self.mean, self.std))
        return ((rgb.float() / 255.0 - mean) / std).permute(2, 0, 1)[None]


@dataclass(frozen=True)
class Configuration:
    """The values of a file `name`, as its folder and itself are called."""

    name: str
    values: Mapping[str, Any]

    def fixed(self, wanted: Mapping[str, Any]) -> None:
        """Checks values of which the code knows only one."""
        for name, only in wanted.items():
            if (found := self.values.get(name)) != only:
                raise ValueError(f"{name} in {self.name} must be {only!r}, not {found!r}")

    def whole(self, name: str) -> int:
        found = self.values.get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= 65536:
            raise ValueError(f"{name} in {self.name} must be a whole number from 1 to 65536, not {found!r}")
        return found

    def number(self, name: str, low: float, high: float) -> float:
        found = self.values.get(name)
        if not isinstance(found, (int, float)) or isinstance(found, bool) or not low <= found <= high:
            raise ValueError(f"{name} in {self.name} must be a number from {low:g} to {high:g}, not {found!r}")
        return float(found)

    def part(self, name: str) -> Configuration:
        """The values of an inner table."""
        found = self.values.get(name)
        if not isinstance(found, dict):
            raise ValueError(f"{name} in {self.name} must be a table, not {found!r}")
        return Configuration(f"{name} of {self.name}", found)

    def three(self, name: str) -> tuple[float, ...]:
        found = self.values.get(name)
        numbers = found if isinstance(found, list) else []
        if len(numbers) != 3 or not all(isinstance(value, (int, float)) and 0.0 < value < 1.0 for value in numbers):
            raise ValueError(f"{name} in {self.name} must be three numbers between 0 and 1, not {found!r}")
        return tuple(map(float, numbers))


def read(path: Path) -> Configuration:
    """Raises ValueError where the file is missing or damaged; OSError."""
    name = f"{path.parent.name}/{path.name}"
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{name} is missing") from None
    except (ValueError, RecursionError) as error:  # of the JSON, or of its characters
        raise ValueError(f"{name} is damaged ({str(error).splitlines()[0][:80]})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{name} is not a configuration")
    return Configuration(name, values)


def read_preparation(path: Path) -> Preparation:
    """Of a preprocessor_config.json. Raises as `read`."""
    found = read(path)
    steps = {f"do_{step}": True for step in ("resize", "center_crop", "rescale", "normalize")}
    found.fixed({**steps, "resample": _BICUBIC, "rescale_factor": 1.0 / 255.0})
    resize, crop = found.part("size").whole("shortest_edge"), found.part("crop_size")
    height, width = crop.whole("height"), crop.whole("width")
    if height != width or height > resize:
        raise ValueError(f"{crop.name} must be a square within {resize} pixels")
    return Preparation(resize, height, found.three("image_mean"), found.three("image_std"))
