# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are the thing that a picture is of: its own transparency, a plain background, or a network's answer.

In this order: transparency is what the user wants. A plain background is told to the pixel however large the photo is;
what its colour leaves open (holes, shadows) a network decides, if one is there: both together err less than either
(tests/bench/matte.py). Everything else is for the network alone, which sees few pixels.
Must not know networks' insides, geometry, or what becomes of the thing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ...core.errors import Unable
from ...core.view import PinholeCamera, View
from ...pictures.edges import decontaminated, refined
from ...pictures.plain import nearly_plain, plain_alpha
from ...pictures.silhouette import THING_BORDER, at_border, faint
from ...store.weights import WeightStore
from . import saliency

if TYPE_CHECKING:
    from ...pictures.load import Picture

_SPECK = 1 / 200  # of the largest piece's pixels: smaller pieces of a network's matte are its mistakes
_PIECE = 1 / 20  # of the largest piece's pixels: at least as large a piece is a thing of its own
_AWAY = 0.1  # where a network sees less of the thing, pixels nearly of the background's colour are background


def without_background(picture: Picture, weights: WeightStore, network: str) -> Picture:
    """The picture with an alpha that shows its thing only, and with the thing's own colours along the outline.

    A picture that has an alpha comes back as it is. Arguments and errors as for `subject_alpha`.
    """
    alpha = subject_alpha(picture, weights, network)
    if picture.alpha is not None:
        return picture
    return dataclasses.replace(picture, rgb=decontaminated(picture.rgb, alpha), alpha=alpha, is_whole=True)


def subject_alpha(picture: Picture, weights: WeightStore, network: str) -> np.ndarray:
    """The thing's share (H, W) uint8 of each of the picture's pixels, 0 where the background is.

    weights: where the networks of `saliency` are looked up; the best one that is there is used, and none is needed for
    pictures with alpha or a plain background. network: the caller's, whose download brings one too, to be named when
    one is needed and none is there.
    Raises WeightsMissing in that case; Unable where there is no thing in the picture.
    """
    if picture.alpha is not None:
        alpha = picture.alpha
    elif picture.background is not None:
        alpha = plain_alpha(picture.rgb, _plain_background(picture, weights))
    else:
        alpha = _at_the_photos_size(saliency.matte(saliency.require(weights, network), weights, picture.rgb), picture)
    _check_there_is_something(picture, alpha)
    return alpha


def cut_out_by(matte: np.ndarray, picture: Picture) -> Picture:
    """As `without_background`, by a matte (h, w) float32 in [0, 1] of the opaque picture that is there already."""
    alpha = _at_the_photos_size(matte, picture)
    _check_there_is_something(picture, alpha)
    return dataclasses.replace(picture, rgb=decontaminated(picture.rgb, alpha), alpha=alpha, is_whole=True)


def thing_view(picture: Picture, subject: np.ndarray, camera: PinholeCamera, **pose: Any) -> View:
    """The view of the user's picture whose mask is the thing's share (H, W) uint8, with the thing's own colours along
    its outline. pose: further fields of View."""
    rgb = picture.rgb if picture.alpha is not None else decontaminated(picture.rgb, subject)
    return View(camera, rgb=rgb, mask=subject, **pose)


def remarks(alpha: np.ndarray) -> tuple[str, ...]:
    """Sentences for the user about a thing's alpha (H, W) uint8 that will hardly become a good mesh."""
    subject, found = alpha >= 128, []
    _, sizes = _pieces(subject)
    count = int((sizes >= _PIECE * sizes.max(initial=1)).sum())
    if count > 1:
        found.append(f"the photo shows {count} separate things, which become one object: cut out the one you want")
    if at_border(subject).mean() > THING_BORDER:
        found.append("the object is cut off by the photo's border, so its shape there is a guess: show it whole")
    return tuple(found)


def _plain_background(picture: Picture, weights: WeightStore) -> np.ndarray:
    """The plain background (H, W) bool: what its colour tells, and, with a network, also what is seen through the thing
    and the thing's shadow. Colours cannot tell those from parts of the thing."""
    background, network = picture.background, saliency.installed(weights)
    if network is None:
        return background
    matte = refined(saliency.matte(network, weights, picture.rgb), picture.rgb)
    found = background | ((matte < _AWAY) & nearly_plain(picture.rgb))
    return background if found.all() else found


def _at_the_photos_size(matte: np.ndarray, picture: Picture) -> np.ndarray:
    return _cleaned(np.rint(255.0 * refined(matte, picture.rgb)).astype(np.uint8))


def _cleaned(alpha: np.ndarray) -> np.ndarray:
    """The alpha (H, W) uint8 without pieces that are tiny beside its largest one, their soft rims included."""
    labels, sizes = _pieces(alpha > 0)
    kept = np.concatenate([[False], sizes >= _SPECK * sizes.max(initial=1)])
    return np.where(kept[labels], alpha, 0).astype(np.uint8)


def _check_there_is_something(picture: Picture, alpha: np.ndarray) -> None:
    if (alpha >= 128).any():
        return
    if picture.alpha is not None:
        raise Unable(faint(picture.name, alpha))
    raise Unable(f"no object was found in {picture.name}: choose a photo of a single thing, or cut it out yourself")


def _pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) from 1 of a mask's connected pieces, 0 elsewhere, and the pieces' numbers of pixels."""
    labels, count = ndimage.label(mask)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]
