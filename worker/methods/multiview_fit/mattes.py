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
_AGREED = 0.85  # share of each outline that the hull of all of them covers: less, and they are of different things


def cut_out(capture: Capture, subject: str, weights: WeightStore, network: str) -> Capture:
    """The capture with a mask for each view where it is to be of a thing alone.

    subject: "object", all that they show ("scene"), or what they seem to be about ("auto"). weights, network: as for
    `matte.subject_alpha`. A scene keeps no masks but those that pictures came with. Raises Unable or WeightsMissing for
    "object" where no thing can be told apart.
    """
    if all(view.mask is not None for view in capture.views):
        return capture
    if subject == "scene":
        return dataclasses.replace(capture, unbounded=True)
    if not capture.unbounded and (found := _by_brightness(capture)):
        return found
    if subject == "auto" and (saliency.installed(weights) is None or not _goes_around(capture)):
        return capture
    found = _by_network(capture, weights, network)
    if found is None and subject == "object":
        raise Unable(_NO_THING)
    return found or capture


def _by_brightness(capture: Capture) -> Capture | None:
    masks = [_bright(view.rgb) if view.mask is None else view.mask for view in capture.views]
    return None if any(mask is None for mask in masks) else _with_masks(capture, masks, _TOLD_APART)


def _bright(rgb: np.ndarray) -> np.ndarray | None:
    thing = outline(rgb)
    return None if thing is None else np.uint8(255) * thing.astype(np.uint8)


def _by_network(capture: Capture, weights: WeightStore, network: str) -> Capture | None:
    """With the network's masks and the box of what they show, or None where they are not of one thing."""
    name = saliency.require(weights, network).name
    try:
        masks = [
            matte.subject_alpha(Picture(view.rgb, view.mask, None, "", view.name), weights, network)
            for view in capture.views
        ]
    except Unable:
        return None
    hull = Hull.of(capture.views, [mask >= 128 for mask in masks])
    if hull is None or hull.agreement < _AGREED:
        return None
    thing = dataclasses.replace(_with_masks(capture, masks, _BY_NETWORK.format(name=name)), unbounded=False)
    return thing.reframed(wider(hull.box))


def _with_masks(capture: Capture, masks: list[np.ndarray], note: str) -> Capture:
    views = tuple(dataclasses.replace(view, mask=mask) for view, mask in zip(capture.views, masks, strict=True))
    return dataclasses.replace(capture, views=views, notes=(*capture.notes, note))


def _goes_around(capture: Capture) -> bool:
    rotations, positions = ([getattr(v, name) for v in capture.views] for name in ("rotation", "position"))
    return goes_around(np.stack(rotations), np.stack(positions))
