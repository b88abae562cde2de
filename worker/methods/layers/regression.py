# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the object network on one cut-out thing: the runner of the method `layers` (see ..method)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Layers
from ...core.view import View
from ...pictures.load import Picture
from ...pictures.plain import plain_alpha
from ...pictures.silhouette import cut_out, inflated, window_around, without_specks
from ..method import Network, Task
from ..runtime.loading import loading
from . import network as networks

DEFAULT_FOV = 35.0
"""Degrees across the longer side where neither user nor EXIF say otherwise: things are photographed from farther away
than rooms."""

_PLAUSIBLE = (0.03, 4.0)
"""A thing this many times as thick as its outline inflated is still believed; beyond, the cushion is taken instead. Of
78 views of YCB the thinnest, a plate and a bowl, have .10, and were cushions with a limit of .15."""

_ALIKE = 0.2
"""Of the square's side: over so much the front's colours are blurred before the back takes them. PSNR and SSIM of the
back on half of YCB (tests/bench/backs.py, 40 views): .05 17.4/.487, .1 17.5/.494, .2 17.6/.498, .4 17.6/.499."""


def load(network: Network, folder: Path, device: str) -> ObjectEstimator:
    """The network, ready to run. Raises Unable if the file is damaged or of something else."""
    with loading(folder):
        return ObjectEstimator(networks.load(folder))


def run(task: Task, estimator: ObjectEstimator, job: Job | Span) -> Layers:
    """Both sides of what the task's picture shows."""
    job.report(0.5, "seeing both sides")
    return estimator(task.picture, job.check)


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Layers:
    return Layers.from_arrays(arrays, _view(task.picture, arrays["mask"]))


def silhouette(picture: Picture) -> np.ndarray:
    """(H, W) bool of the thing. Raises Unable where the picture shows no cut-out thing."""
    background = picture.background
    if background is None or background.all():
        message = "has neither transparency nor a plain background, so there is no object to see: cut it out first"
        raise Unable(f"{picture.name} {message}, or choose another network")
    return without_specks(~background)


def _view(picture: Picture, mask: np.ndarray) -> View:
    return View(picture.view(DEFAULT_FOV).camera, rgb=picture.rgb, mask=mask)


def _share(picture: Picture, subject: np.ndarray) -> np.ndarray:
    """(H, W) uint8 how much of each pixel is the thing's, at least half just where the subject (H, W) bool is, and none
    but there and beside it."""
    alpha = plain_alpha(picture.rgb, ~subject) if picture.alpha is None else picture.alpha
    beside = ndimage.binary_dilation(subject, np.ones((3, 3), bool))
    return np.where(subject, np.maximum(alpha, 128), np.where(beside, np.minimum(alpha, 127), 0)).astype(np.uint8)


@dataclass(frozen=True)
class ObjectEstimator:
    """A loaded network."""

    network: networks.ObjectNetwork

    def __call__(self, picture: Picture, check: Callable[[], None]) -> Layers:
        """The thing's front and back, averaged with the mirrored picture's. check: called between, may raise to stop.

        Raises Unable where the picture shows no cut-out thing.
        """
        subject = silhouette(picture)
        window = window_around(subject)
        size = self.network.config.size
        colour, mask = cut_out(picture.rgb, subject, window, size)
        height = inflated(mask) * (2.0 / size)
        found, up = self._run(colour, mask, height)
        check()
        flipped, other = self._run(*(np.ascontiguousarray(values[:, ::-1]) for values in (colour, mask, height)))
        found = (found + flipped[:, :, ::-1]) / 2.0
        front, back = believed(found[0], found[1], height, mask)
        colours, view = behind(found[2:], colour, mask), _view(picture, _share(picture, subject))
        return Layers(front, back, colours, window, view, up=averaged(up, other))

    def _run(self, colour: np.ndarray, mask: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self.network(colour.transpose(2, 0, 1), np.float32(mask), height)


def averaged(up: np.ndarray | None, mirrored: np.ndarray | None) -> np.ndarray | None:
    """What is up (3,), a unit vector, as a picture and its mirror image say; None where they do not."""
    if up is None or mirrored is None:
        return None
    both = up + mirrored * np.float32([-1, 1, 1])
    length = float(np.linalg.norm(both))
    return both / np.float32(length) if np.isfinite(length) and length > 1e-6 else None


def believed(
    front: np.ndarray, back: np.ndarray, height: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Front and back (S, S) as the network gave them where that makes sense, else the outline inflated.

    Nonsense are numbers that are not finite, a thing turned inside out, and one far thicker or thinner than any of its
    outline. Outside of the mask lies what is nearest inside: nothing there may look like a jump to whoever draws the
    outline a little wider. Single pixels whose back lies before their front are put right when the mesh is made.
    """
    thick, cushion = (back - front)[mask], 2.0 * height[mask]
    finite = np.isfinite(thick).all() and np.isfinite(front[mask]).all()
    if finite and _PLAUSIBLE[0] <= thick.mean() / max(float(cushion.mean()), 1e-6) <= _PLAUSIBLE[1]:
        nearest = tuple(ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True))
        return front[nearest], back[nearest]
    return -height, height


def behind(guessed: np.ndarray, front: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The back's colours (S, S, 3) uint8: the mean of what the network guesses, (3, S, S), and the front's, (S, S, 3),
    blurred. Made-up things have prints of their own behind; real ones are mostly painted alike on both sides."""
    sigma, own = _ALIKE * len(mask), guessed.transpose(1, 2, 0)
    share = np.maximum(ndimage.gaussian_filter(mask.astype(np.float32), sigma), 1e-6)
    planes = [ndimage.gaussian_filter(front[..., channel] * mask, sigma) / share for channel in range(3)]
    both = np.where(mask[..., None], (own + np.stack(planes, axis=2)) / 2.0, own)
    return np.ascontiguousarray(np.clip(np.rint(np.nan_to_num(both) * 255.0), 0, 255), np.uint8)
