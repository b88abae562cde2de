# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth, normals and mask of a picture as OpenEXR files. Must not know networks, methods or requests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.representations import DepthMap
from ..pictures import exr
from .depth_map import DEEP


def depth_of(maps: Sequence[DepthMap], near: float) -> list[np.ndarray]:
    """Depth (H, W) float32 along the optical axis of pictures in one scale, 0 where there is no surface.

    In metres where the network knows them; else the nearest of all (99th percentile of inverse depth, the median of the
    pictures) lies `near` metres away, and of what knows no more than an order the farthest DEEP times as far.
    """
    ends = np.array([np.percentile(each.inverse_depth[each.valid], (1.0, 99.0)) for each in maps if each.valid.any()])
    low, high = np.median(ends, axis=0) if len(ends) else (0.0, 1.0)
    found = []
    for each in maps:
        inverse = each.inverse_depth.astype(np.float64)
        if not each.metric and each.proportional:
            inverse = inverse / (max(high, 1e-12) * near)
        elif not each.metric:
            share = np.clip((inverse - low) / max(high - low, 1e-12), -0.1, 1.1)
            inverse = np.maximum(1.0 / DEEP + share * (1.0 - 1.0 / DEEP), 1.0 / (1.1 * DEEP)) / near
        there = each.valid & (inverse > 1e-9)
        found.append(np.where(there, 1.0 / np.where(there, inverse, 1.0), 0.0).astype(np.float32))
    return found


def saved(found: DepthMap, depth: np.ndarray, folder: Path, end: str) -> list[Path]:
    """Writes `depth_END.exr`, `mask_END.exr`, and `normals_END.exr` where there are normals, as the network saw them:
    unit vectors in the camera's axes (x right, y down, z forward). Raises Unable."""
    parts = {"depth": depth, "mask": (depth > 0).astype(np.float32)}
    if found.normals is not None:
        parts["normals"] = found.normals
    for name, values in parts.items():
        exr.write(folder / f"{name}_{end}.exr", values)
    return [folder / f"{name}_{end}.exr" for name in parts]
