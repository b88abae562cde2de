# SPDX-License-Identifier: GPL-3.0-or-later
"""Published depth networks on one photo. Brings torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ...core.errors import Unable
from ...core.representations import DepthMap
from ...core.view import PinholeCamera
from ...pictures.load import Picture
from ..method import Network
from ..runtime import devices, memory
from ..runtime.loading import loading
from . import MOGE, Options
from .focal import recovered
from .framing import DEFAULT_FOV, NARROWEST, WIDEST, network_size, resized, view_of

LONGEST = 1036
"""Pixels of a photo's longer side in which points are told: MoGe's own last level has about so many."""


def load(network: Network, folder: Path, device: str) -> Estimator | PointEstimator:
    """The network on its device. Raises Unable if it cannot be loaded."""
    chosen = devices.pick(device)
    with loading(folder), memory.guard(chosen):
        if network in MOGE:
            from . import moge

            return PointEstimator(moge.load(folder).to(chosen), chosen)
        from . import depth_anything  # on use: transformers takes seconds

        return Estimator(depth_anything.load(folder).to(chosen), chosen, 518, depth_anything.MULTIPLE)


@dataclass(frozen=True)
class Estimator:
    """A loaded network on its device. `best_size`: pixels of the photo's shorter side at which it sees best.

    The network takes (1, 3, h, w) sRGB in [0, 1], h and w multiples of `multiple`, and gives (1, h, w) inverse depth up
    to scale and shift.
    """

    network: torch.nn.Module
    device: torch.device
    best_size: int
    multiple: int

    def __call__(self, picture: Picture, options: Options, check: Callable[[], None]) -> DepthMap:
        """The picture's depth map at the network's own size. check: called between the runs, may raise to stop."""
        rgb = picture.on_backdrop()
        values = self._run(rgb, options.detail)
        if options.mirror:
            check()
            values = (values + self._run(np.ascontiguousarray(rgb[:, ::-1]), options.detail)[:, ::-1]) / 2
        if not np.isfinite(values).all():
            raise Unable("the network gave no finite depth for this photo: choose another network")
        inverse = (values - min(values.min(), 0.0)).astype(np.float32)
        return DepthMap(inverse, False, np.ones(inverse.shape, bool), picture.view(DEFAULT_FOV))

    def _run(self, rgb: np.ndarray, detail: float) -> np.ndarray:
        height, width = network_size(rgb.shape[:2], self.best_size * detail, self.multiple)
        with memory.guard(self.device, memory.FASTER), torch.inference_mode():
            return self.network(_resized(rgb, height, width)[None].to(self.device))[0].float().cpu().numpy()


@dataclass(frozen=True)
class PointEstimator:
    """A loaded MoGe on its device: metres, a mask, normals, and a camera of its own where EXIF tells none."""

    network: torch.nn.Module
    device: torch.device

    def __call__(self, picture: Picture, options: Options, check: Callable[[], None]) -> DepthMap:
        """The picture's depth map. check: called between the runs, may raise to stop."""
        rgb = picture.on_backdrop()
        seen = self._run(rgb, options.detail, picture.fov_degrees)
        if options.mirror:
            check()
            known = picture.fov_degrees or _camera(picture, seen.focal).fov_degrees
            other = self._run(np.ascontiguousarray(rgb[:, ::-1]), options.detail, known)
            seen = seen.averaged(other.mirrored())
        inverse = np.where(seen.valid, 1.0 / np.where(seen.valid, seen.metres, 1.0), 0.0).astype(np.float32)
        view = view_of(picture, _camera(picture, seen.focal).fx)
        return DepthMap(inverse, True, seen.valid, view, normals=seen.normals)

    def _run(self, rgb: np.ndarray, detail: float, fov: float | None) -> _Metric:
        height, width = network_size(rgb.shape[:2], LONGEST * min(rgb.shape[:2]) / max(rgb.shape[:2]), 1)
        if max(rgb.shape[:2]) <= LONGEST:
            height, width = rgb.shape[:2]
        with memory.guard(self.device), torch.inference_mode():
            seen = self.network(_resized(rgb, height, width).to(self.device), detail)
            points, mask, normals = (part.float().cpu().numpy() for part in (seen.points, seen.mask, seen.normals))
            scale = float(seen.scale)
        if not (np.isfinite(points).all() and np.isfinite(scale)):
            raise Unable("the network gave no finite depth for this photo: choose another network")
        aspect = width / height
        focal, shift = recovered(points, mask > 0.5, aspect, None if fov is None else _focal(fov, aspect))
        if not _focal(WIDEST, aspect) < focal < _focal(NARROWEST, aspect):  # of a wall without an edge nobody can tell
            focal, shift = recovered(points, mask > 0.5, aspect, _focal(DEFAULT_FOV, aspect))
        depth = points[..., 2] + np.float32(shift)
        valid = (mask > 0.5) & (depth > 0.0)
        if not valid.any():
            raise Unable("the network sees nothing that has a distance in this photo: choose another network")
        return _Metric(focal, depth * np.float32(scale), valid, normals)


class _Metric(NamedTuple):
    """focal: in half diagonals. metres: (h, w) depth. valid: (h, w) bool, where there is a surface. normals: (h, w, 3)
    as in DepthMap."""

    focal: float
    metres: np.ndarray
    valid: np.ndarray
    normals: np.ndarray

    def mirrored(self) -> _Metric:
        """What is seen in the mirrored picture."""
        normals = self.normals[:, ::-1] * np.float32([-1.0, 1.0, 1.0])
        return _Metric(self.focal, self.metres[:, ::-1], self.valid[:, ::-1], normals)

    def averaged(self, other: _Metric) -> _Metric:
        """The mean of what is seen twice of one picture, where both see a surface."""
        both, normals = self.valid & other.valid, self.normals + other.normals
        metres = np.where(both, np.sqrt(np.where(both, self.metres * other.metres, 1.0)), self.metres)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
        return self._replace(metres=metres, normals=normals)


def _camera(picture: Picture, focal: float) -> PinholeCamera:
    """The camera with that focal length in half diagonals of the picture."""
    height, width = picture.rgb.shape[:2]
    pixels = focal * float(np.hypot(width, height)) / 2.0
    return PinholeCamera(width, height, pixels, pixels, width / 2.0, height / 2.0)


def _focal(fov: float, aspect: float) -> float:
    """In half diagonals, of a field of view in degrees across the longer side."""
    return max(aspect, 1.0) / float(np.hypot(aspect, 1.0)) / math.tan(math.radians(fov) / 2.0)


def _resized(rgb: np.ndarray, height: int, width: int) -> torch.Tensor:
    """(3, height, width), as `resized`."""
    return torch.from_numpy(resized(rgb, height, width)).permute(2, 0, 1).contiguous()
