# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know of a sequence of depth maps, as messages carry it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SequenceResult:
    """In `folder`, with numbers from 0001 to `frames`: depth_####.exr, mask_####.exr, where the network sees them
    normals_####.exr, and colour_####.jpg. `metric`: whether depth is in metres; else its unit is one for all frames.

    `fov_degrees` spans the longer side of `width` x `height` pixels, and is one for all.
    """

    folder: str
    name: str
    frames: int
    fov_degrees: float
    width: int
    height: int
    map_width: int
    map_height: int
    metric: bool
    network: str
    label: str
