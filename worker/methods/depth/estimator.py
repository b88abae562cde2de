# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a depth network on one photo: the runner of the method (see ..method)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from scipy import ndimage

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import DepthMap
from ...pictures.load import Picture
from ...pictures.silhouette import large_parts
from ..method import Network, Task
from ..runtime import memory
from ..runtime.loading import loading
from . import Options, included
from .framing import NARROWEST, WIDEST, network_size, resized, view_of

if TYPE_CHECKING:  # only named here: brings torch
    from .published import Estimator, PointEstimator

SURE_OF_SKY, LEAST_SKY = -1.5, 0.01
"""Logit of a surface below which our own network's sky is sky, and the share of a picture that it covers at least.

Of 35 photos, eight without a sky lose up to 32 % of their area to one at 0, four (before backdrops) at -1 and none
at -2. From there a sky goes on to 0: seven skies cover 24.7 % of their photos and not 19.7, photos without any lose
nothing, and backdrops of studios, if all is to be shown, more of themselves. So it was without regard to colours."""

_RIM, _SKY_COLOUR = 3, 0.06
"""Pixels of a sky's rim, which are mixed with what stands before it, and by how much, of 1, colours may differ from
those inside the rim to be sky, too. With .1, and with .2 more so, a roof hung in the sky of a street; with .06 the
skies of a traffic jam and a photographer are whole."""

SIZES = (0.8, 1.2)
"""Sizes at which our own network sees a photo, as shares of its best: layout from the smaller, detail from the larger.

AbsRel after a fit of scale, at 1 alone and at both: 40 frames of a kitchen .155 and .154, a motorcycle .162 and .146,
96 unseen renders .168 and .170; .9 and 1.1 instead give .177 there."""


def load(network: Network, folder: Path, device: str) -> Estimator | PointEstimator | SceneEstimator:
    """The network, ready to run. Raises Unable if it cannot be loaded."""
    if network.published:
        from . import published  # on use: brings torch

        return published.load(network, folder, device)
    with loading(folder):
        return SceneEstimator(included.load(folder))


def run(task: Task, estimator: Estimator | PointEstimator | SceneEstimator, job: Job | Span) -> DepthMap:
    """The depth map of the task's picture."""
    job.report(0.5, "estimating depth")
    return estimator(task.picture, task.options, job.check)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> DepthMap:
    return DepthMap.from_arrays(arrays, view_of(task.picture, float(arrays["focal"])))


@dataclass(frozen=True, eq=False)
class SceneEstimator:
    """Our own network: depth in a unit that nobody knows, and the camera where EXIF tells none.

    A detail below 1 gives a coarser map of what is seen at 1. kept: what was seen of pictures that are still there,
    as one asks what a picture is of, and then for its depth.
    """

    network: included.SceneNetwork
    kept: WeakKeyDictionary[Picture, tuple[float, included.Seen]] = field(default_factory=WeakKeyDictionary, repr=False)

    def __call__(self, picture: Picture, options: Options, check: Callable[[], None]) -> DepthMap:
        """The picture's depth map at the network's own size. check: called between the runs, may raise to stop."""
        rgb, detail = picture.on_backdrop(), max(options.detail, 1.0)
        at, seen = self.kept.get(picture, (0.0, None))
        if at != detail:
            seen = self._seen(rgb, detail)
            self.kept[picture] = detail, seen
        if options.mirror:
            check()
            seen = included.averaged(seen, self._seen(np.ascontiguousarray(rgb[:, ::-1]), detail).mirrored())
        if options.detail < detail:
            seen = seen.enlarged(*self._size(rgb, options.detail))
        log_depth, log_scale, normals, salient, solid, log_focal = seen
        if not (np.isfinite(log_depth).all() and np.isfinite(log_focal)):
            raise Unable("the network gave no finite depth for this photo: choose another network")
        valid = ~_sky(solid, rgb)
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
        whole = self._size(rgb, detail)
        return included.averaged(*(self._run(rgb, share * detail).enlarged(*whole) for share in SIZES))

    def _run(self, rgb: np.ndarray, detail: float) -> included.Seen:
        with memory.guard("cpu", memory.FASTER):
            return self.network(resized(rgb, *self._size(rgb, detail)))

    def _size(self, rgb: np.ndarray, detail: float) -> tuple[int, int]:
        return network_size(rgb.shape[:2], self.network.config.size * detail, included.MULTIPLE)


def _sky(solid: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """(h, w) bool, where the network is sure enough that there is no surface; solid: logits that there is one. rgb:
    (H, W, 3) uint8 the photo.

    Only what is as large as a sky: a hole in a face is worse than a patch of sky that hangs in the air. From there it
    goes on as far as it is likelier than a surface and coloured as the sky beside it (hysteresis, Canny 1986): else its
    rim hangs in the air in scraps, and roofs hang in the sky.
    """
    sure = large_parts(solid < SURE_OF_SKY, LEAST_SKY)
    inner = ndimage.binary_erosion(sure, iterations=_RIM)
    if not inner.any():
        return sure
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    small = resized(rgb, *solid.shape)
    alike = np.abs(small - small[tuple(nearest)]).max(2) < _SKY_COLOUR
    return ndimage.binary_propagation(sure, mask=(solid < 0.0) & alike)
