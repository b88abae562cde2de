# SPDX-License-Identifier: GPL-3.0-or-later
"""What is the thing in each of many photos: by plain or dark backdrops, else by a network where all photos agree.

Imported on use by what learns several photos. Must not know how fields are learned.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...cameras.capture import Capture
from ...cameras.extent import wider
from ...cameras.hull import Hull
from ...cameras.orient import goes_around
from ...cameras.outline import outline
from ...core.errors import Unable
from ...pictures.load import Picture
from ...store.weights import WeightStore
from ..matting import matte, saliency

_TOLD_APART = "the backdrop is plain or dark, so the thing was told apart from it by brightness"
_BY_NETWORK = "the thing was told apart from what is around it by the network {name}"
_NO_THING = "the photos do not agree on one object: take them all around it, with all of it in each"
_AGREED = 0.85  # of each outline lies in the shadow of what all outlines show together


def cut_out(capture: Capture, subject: str, weights: WeightStore, model: str) -> Capture:
    """The capture with a matte for each shot where it is to be of a thing alone.

    subject: "object", all that they show ("scene"), or what they seem to be about ("auto"). weights, model: as for
    `matte.subject_alpha`. A scene keeps no mattes but those that pictures came with. Raises Unable or WeightsMissing for
    "object" where no thing can be told apart.
    """
    if all(shot.alpha is not None for shot in capture.shots):
        return capture
    if subject == "scene":
        return dataclasses.replace(capture, unbounded=True)
    if not capture.unbounded and (found := _by_brightness(capture)):
        return found
    if subject == "auto" and (saliency.installed(weights) is None or not _goes_around(capture)):
        return capture
    found = _by_network(capture, weights, model)
    if found is None and subject == "object":
        raise Unable(_NO_THING)
    return found or capture


def _by_brightness(capture: Capture) -> Capture | None:
    alphas = [_bright(shot.rgb) if shot.alpha is None else shot.alpha for shot in capture.shots]
    return None if any(alpha is None for alpha in alphas) else _with_mattes(capture, alphas, _TOLD_APART)


def _bright(rgb: np.ndarray) -> np.ndarray | None:
    thing = outline(rgb)
    return None if thing is None else np.uint8(255) * thing.astype(np.uint8)


def _by_network(capture: Capture, weights: WeightStore, model: str) -> Capture | None:
    """With the network's mattes and the box of what they show, or None where they are not of one thing."""
    name = saliency.require(weights, model).name
    try:
        alphas = [_matte(shot.rgb, shot.alpha, shot.name, weights, model) for shot in capture.shots]
    except Unable:
        return None
    views, outlines = [shot.view for shot in capture.shots], [alpha >= 128 for alpha in alphas]
    hull = Hull.of(views, outlines)
    if hull is None or hull.agreement < _AGREED:
        return None
    thing = dataclasses.replace(_with_mattes(capture, alphas, _BY_NETWORK.format(name=name)), unbounded=False)
    return thing.reframed(wider(hull.box))


def _matte(rgb: np.ndarray, alpha: np.ndarray | None, name: str, weights: WeightStore, model: str) -> np.ndarray:
    return matte.subject_alpha(Picture(rgb, alpha, None, "", name), weights, model)


def _with_mattes(capture: Capture, alphas: list[np.ndarray], note: str) -> Capture:
    shots = tuple(dataclasses.replace(shot, alpha=alpha) for shot, alpha in zip(capture.shots, alphas, strict=True))
    return dataclasses.replace(capture, shots=shots, notes=(*capture.notes, note))


def _goes_around(capture: Capture) -> bool:
    views = [shot.view for shot in capture.shots]
    return goes_around(np.stack([view.rotation for view in views]), np.stack([view.position for view in views]))
