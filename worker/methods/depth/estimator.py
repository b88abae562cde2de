# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a depth network on one photo: the runner of the method (see ..method). Brings torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import DepthMap
from ...core.view import PinholeCamera, View
from ...pictures.load import Picture
from ..method import Network, Task
from ..runtime import devices, memory
from ..runtime.checkpoint import loading
from . import MOGE, Options, included
from .focal import recovered

DEFAULT_FOV = 55.0
"""Degrees across the longer side, where neither user, network nor EXIF say otherwise: between a phone's main camera
(about 67) and a portrait lens (about 40)."""

WIDEST, NARROWEST = 150.0, 3.0
"""Fields of view in degrees beyond which a camera that was recovered is not believed."""

SURE_OF_SKY, LEAST_SKY = -1.5, 0.01
"""Logit of a surface below which our own network's sky is sky, and the share of a picture that it covers at least.

Of 35 photos, eight without a sky lose up to 32 % of their area to one at 0, four (before backdrops) at -1 and none
at -2, while six skies shrink from 28 % of their photos to 23 %."""

SIZES = (0.8, 1.2)
"""Sizes at which our own network sees a photo, as shares of its best: layout from the smaller, detail from the larger.

AbsRel after a fit of scale, at 1 alone and at both: 40 frames of a kitchen .155 and .154, a motorcycle .162 and .146,
96 unseen renders .168 and .170; .9 and 1.1 instead give .177 there."""

LONGEST = 1036
"""Pixels of a photo's longer side in which points are told: MoGe's own last level has about so many."""


def load(network: Network, folder: Path, device: str) -> Estimator | PointEstimator | SceneEstimator:
    """The network on its device. Raises Unable if it cannot be loaded."""
    chosen = devices.pick(device)
    with loading(folder), devices.memory_guard(chosen):
        if network in MOGE:
            from . import moge

            return PointEstimator(moge.load(folder).to(chosen), chosen)
        if network.file:
            module = included.load(folder)
            return SceneEstimator(module.to(chosen), chosen)
        from . import depth_anything  # on use: transformers takes seconds

        return Estimator(depth_anything.load(folder).to(chosen), chosen, 518, depth_anything.MULTIPLE)


def run(task: Task, estimator: Estimator | PointEstimator | SceneEstimator, job: Job | Span) -> DepthMap:
    """The depth map of the task's picture."""
    job.report(0.5, "estimating depth")
    return estimator(task.picture, task.options, job.check)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> DepthMap:
    return DepthMap.from_arrays(arrays, _view(task.picture, float(arrays["focal"])))


def _view(picture: Picture, focal: float) -> View:
    """The picture's view by a camera with that focal length in pixels."""
    height, width = picture.rgb.shape[:2]
    camera = PinholeCamera(width, height, focal, focal, width / 2.0, height / 2.0)
    return View(camera, rgb=picture.rgb, mask=picture.alpha, name=picture.name)


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
        with devices.memory_guard(self.device, memory.FASTER), torch.inference_mode():
            return self.network(_resized(rgb, height, width)[None].to(self.device))[0].float().cpu().numpy()


@dataclass(frozen=True)
class SceneEstimator:
    """Our own network on its device: depth in a unit that nobody knows, and the camera where EXIF tells none."""

    network: included.IncludedScene
    device: torch.device

    def __call__(self, picture: Picture, options: Options, check: Callable[[], None]) -> DepthMap:
        """The picture's depth map at the network's own size. check: called between the runs, may raise to stop."""
        rgb = picture.on_backdrop()
        seen = self._seen(rgb, options.detail)
        if options.mirror:
            check()
            seen = included.averaged(seen, self._seen(np.ascontiguousarray(rgb[:, ::-1]), options.detail).mirrored())
        log_depth, log_scale, normals, salient, solid, log_focal = (part[0].cpu().numpy() for part in seen)
        if not (np.isfinite(log_depth).all() and np.isfinite(log_focal)):
            raise Unable("the network gave no finite depth for this photo: choose another network")
        valid = ~_sky(solid)
        if not valid.any():
            raise Unable("the network sees nothing that has a distance in this photo: choose another network")
        inverse = np.where(valid, np.exp(np.median(log_depth[valid]) - log_depth), 0.0).astype(np.float32)
        fov = float(np.degrees(2.0 * np.arctan(np.exp(-log_focal))))
        uncertainty, sure = np.exp(log_scale), 1.0 / (1.0 + np.exp(-salient))
        normals = np.ascontiguousarray(normals.transpose(1, 2, 0))
        view = picture.view(min(max(fov, NARROWEST), WIDEST))
        return DepthMap(inverse, False, valid, view, (), True, uncertainty, normals, sure)

    def _seen(self, rgb: np.ndarray, detail: float) -> included.Seen:
        """What is seen of the photo at both SIZES, averaged, at the network's own size."""
        whole = network_size(rgb.shape[:2], self.network.config.size * detail, included.MULTIPLE)
        return included.averaged(*(self._run(rgb, share * detail).enlarged(*whole) for share in SIZES))

    def _run(self, rgb: np.ndarray, detail: float) -> included.Seen:
        size = network_size(rgb.shape[:2], self.network.config.size * detail, included.MULTIPLE)
        with devices.memory_guard(self.device, memory.FASTER), torch.inference_mode():
            return self.network(_resized(rgb, *size)[None].to(self.device))


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
        view = _view(picture, _camera(picture, seen.focal).fx)
        return DepthMap(inverse, True, seen.valid, view, normals=seen.normals)

    def _run(self, rgb: np.ndarray, detail: float, fov: float | None) -> _Metric:
        height, width = network_size(rgb.shape[:2], LONGEST * min(rgb.shape[:2]) / max(rgb.shape[:2]), 1)
        if max(rgb.shape[:2]) <= LONGEST:
            height, width = rgb.shape[:2]
        with devices.memory_guard(self.device), torch.inference_mode():
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


def _sky(solid: np.ndarray) -> np.ndarray:
    """(h, w) bool, where the network is sure enough that there is no surface; solid: logits that there is one.

    Only what is as large as a sky: a hole in a face is worse than a patch of sky that hangs in the air.
    """
    found, count = ndimage.label(solid < SURE_OF_SKY)
    sizes = np.bincount(found.ravel(), minlength=count + 1)
    large = sizes >= LEAST_SKY * solid.size
    large[0] = False
    return large[found]


def _camera(picture: Picture, focal: float) -> PinholeCamera:
    """The camera with that focal length in half diagonals of the picture."""
    height, width = picture.rgb.shape[:2]
    pixels = focal * float(np.hypot(width, height)) / 2.0
    return PinholeCamera(width, height, pixels, pixels, width / 2.0, height / 2.0)


def _focal(fov: float, aspect: float) -> float:
    """In half diagonals, of a field of view in degrees across the longer side."""
    return max(aspect, 1.0) / float(np.hypot(aspect, 1.0)) / math.tan(math.radians(fov) / 2.0)


def network_size(picture: tuple[int, int], shorter: float, multiple: int) -> tuple[int, int]:
    """Height and width nearest to the picture's shape with that shorter side, both multiples of `multiple`.

    A picture longer than 2:1 gets fewer pixels, so that the cost stays within bounds.
    """
    scale = min(shorter / min(picture), 2.0 * shorter / max(picture))
    height, width = (max(multiple, round(side * scale / multiple) * multiple) for side in picture)
    return height, width


def _resized(rgb: np.ndarray, height: int, width: int) -> torch.Tensor:
    """(3, height, width) float32 in [0, 1], bicubic, antialiased."""
    small = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return torch.from_numpy(np.array(small, dtype=np.float32) / 255.0).permute(2, 0, 1).contiguous()
