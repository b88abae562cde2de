# SPDX-License-Identifier: GPL-3.0-or-later
"""What is the thing in each of many photos: by plain or dark backdrops, by a network where all photos agree, else by
the ground that it stands on.

Imported on use by what learns several photos. Must not know how fields are learned.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from ...cameras.capture import Capture
from ...cameras.extent import wider
from ...cameras.hull import Hull
from ...cameras.orient import FRONT, ORBIT, one_sidedness
from ...cameras.outline import outline
from ...core.errors import Unable
from ...core.view import View
from ...pictures.load import Picture
from ...pictures.plain import plain_alpha
from ...store.weights import WeightStore
from ..matting import matte, saliency
from . import ground

_TOLD_APART = "the backdrop is plain or dark, so the thing was told apart from it by brightness"
_BY_NETWORK = "the thing was told apart from what is around it by the network {name}"
_FROM_GROUND = "the thing was told apart from the ground that it stands on, and from what is beside it, by its shape"
_NO_THING = "the photos do not agree on one object: take them all around it, with all of it in each"
_THING = (
    "the photos are of one thing, as {share:.0f} % of its outlines agree: set the subject to scene for all they show"
)
_PLACE = "the photos are taken for those of a place, as {why}: set the subject to object to cut one thing out"
_DISAGREE = "only {share:.0f} % of what a network sees as the thing agree"
_ONE_SIDE = "they look at it from one side"
_AGREED = 0.85  # share of each outline that the hull of all of them covers: less, and they are of different things
_AGREED_ASIDE = 0.95  # the same at FRONT: outlines from nearby places agree by themselves
_GROUND = 0.05  # less is asked of outlines whose thing stands on what lies around it
_MARGIN, _DOUBT = 0.3, 0.04  # of an outline's longer side: what is shown beside it, and how far it may be off
_SAME = 0.75  # of both outlines together that they have in common: else a network sees another thing
_FLAT, _MUCH = 0.04, 0.3  # of the box's longest side from its foot; of the points beside it that lie so: a ground


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
    if subject == "auto":
        return capture if saliency.installed(weights) is None else _explained(capture, weights, network)
    here = saliency.installed(weights) is not None
    found, share = _by_network(capture, weights, network) if here else (None, 0.0)
    found = found if share >= _AGREED else _on_ground(capture, weights, network)
    if found is None:
        saliency.require(weights, network)
        raise Unable(_NO_THING)
    return found


def _explained(capture: Capture, weights: WeightStore, network: str) -> Capture:
    """A thing or a place, whichever explains the photos best: how far around they were taken, how far the outlines
    agree that a network sees, and whether there is a ground below, together; with a sentence that says so."""
    aside = one_sidedness(np.stack([v.rotation for v in capture.views]), np.stack([v.position for v in capture.views]))
    if aside >= FRONT:
        return _noted(capture, _PLACE.format(why=_ONE_SIDE))
    thing, share = _by_network(capture, weights, network)
    needed = float(np.interp(aside, (ORBIT, FRONT), (_AGREED, _AGREED_ASIDE)))
    if thing is not None and share >= needed - (_GROUND if _stands_on_ground(thing) else 0.0):
        return _noted(thing, _THING.format(share=100.0 * share))
    return _noted(capture, _PLACE.format(why=_DISAGREE.format(share=100.0 * share)))


def _stands_on_ground(thing: Capture) -> bool:
    """Whether much of what was found beside the thing lies level with its foot."""
    low, high = thing.bounds
    beside = thing.points[((thing.points < low) | (thing.points > high)).any(1)]
    level = np.abs(beside[:, 2] - low[2]) < _FLAT * (high - low).max()
    return len(beside) > 0 and float(level.mean()) >= _MUCH


def _noted(capture: Capture, note: str) -> Capture:
    return dataclasses.replace(capture, notes=(*capture.notes, note))


def _by_brightness(capture: Capture) -> Capture | None:
    masks = [_bright(view.rgb) if view.mask is None else view.mask for view in capture.views]
    return None if any(mask is None for mask in masks) else _with_masks(capture, masks, _TOLD_APART)


def _bright(rgb: np.ndarray) -> np.ndarray | None:
    thing = outline(rgb)
    return None if thing is None else plain_alpha(rgb, ~thing)


def _by_network(capture: Capture, weights: WeightStore, network: str) -> tuple[Capture | None, float]:
    """With the network's masks and the box of what they show, and the share of the masks' outlines that agree; None
    and 0 where they have nothing in common."""
    name = saliency.require(weights, network).name
    try:
        masks = [
            matte.subject_alpha(Picture(view.rgb, view.mask, None, "", view.name), weights, network)
            for view in capture.views
        ]
    except Unable:
        return None, 0.0
    hull = Hull.of(capture.views, [mask >= 128 for mask in masks])
    if hull is None:
        return None, 0.0
    return _boxed(capture, masks, hull, _BY_NETWORK.format(name=name)), hull.agreement


def _on_ground(capture: Capture, weights: WeightStore, network: str) -> Capture | None:
    """With the outlines of what stands on a ground where the cameras look, None where there is no such thing."""
    masks = ground.outlines(capture)
    if masks is not None and saliency.installed(weights):
        masks = [_sharper(view, mask, weights, network) for view, mask in zip(capture.views, masks)]
    hull = None if masks is None else Hull.of(capture.views, [mask >= 128 for mask in masks])
    return None if hull is None else _boxed(capture, masks, hull, _FROM_GROUND)


def _sharper(view: View, mask: np.ndarray, weights: WeightStore, network: str) -> np.ndarray:
    """The outline (H, W) uint8 as a network sees it that is shown little else, the same where it sees another thing."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    margin, reach = round(_MARGIN * side), max(1, round(_DOUBT * side))
    part = tuple(slice(max(0, each.min() - margin), each.max() + margin + 1) for each in (rows, columns))
    try:
        alpha = matte.subject_alpha(Picture(view.rgb[part], None, None, "", view.name), weights, network)
    except Unable:
        return mask
    found, thing = np.zeros_like(mask), mask >= 128
    found[part] = np.where(ndimage.maximum_filter(mask[part], 2 * reach + 1) >= 128, alpha, 0)
    both = ((found >= 128) & thing).sum() / ((found >= 128) | thing).sum()
    return found if both >= _SAME else mask


def _boxed(capture: Capture, masks: list[np.ndarray], hull: Hull, note: str) -> Capture:
    return dataclasses.replace(_with_masks(capture, masks, note), unbounded=False).reframed(wider(hull.box))


def _with_masks(capture: Capture, masks: list[np.ndarray], note: str) -> Capture:
    views = tuple(dataclasses.replace(view, mask=mask) for view, mask in zip(capture.views, masks, strict=True))
    return dataclasses.replace(capture, views=views, notes=(*capture.notes, note))
