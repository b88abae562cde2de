# SPDX-License-Identifier: GPL-3.0-or-later
"""Why cameras could not be found, and what to photograph differently, each in one sentence.

Must not know how cameras are found, only what was seen on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...pictures.load import Picture
from .features import Features
from .two_view import TwoView

FEATURELESS = 120
"""A picture with fewer keypoints gives nothing to hold on to."""

_BLACK = 14.0  # 8-bit: a picture whose brightest hundredth is darker shows nothing
_TURN = 0.02  # radians between rays of the same point: less than that, a camera has turned but not moved
_NAMED = 5

ADVICE = "walk around the thing and take 20 to 60 sharp photos, each sharing two thirds of what it shows with the next"
NEWSPAPER = "put a thing without texture on a newspaper"


def too_few(count: int) -> str:
    """What to say to fewer pictures than a reconstruction needs."""
    pictures = "one picture is" if count == 1 else f"{count} pictures are"
    return f"{pictures} too few to find out where they were taken from, and three are the least: {ADVICE}"


def why_not(
    pictures: Sequence[Picture], features: Sequence[Features], pairs: Sequence[TwoView], registered: int
) -> str:
    """Why only `registered` of the pictures, fewer than are needed, have a camera."""
    count = len(pictures)
    black = sum(float(np.percentile(picture.rgb, 99.0)) < _BLACK for picture in pictures)
    if black > count / 2:
        return f"{black} of {count} pictures are almost black: photograph with more light"
    bare = sum(len(each.keypoints) < FEATURELESS for each in features)
    if bare > count / 2:
        return (
            f"{bare} of {count} pictures show hardly any detail to hold on to: take sharp photos with more light, and "
            f"{NEWSPAPER}"
        )
    if not pairs:
        return f"no two of the {count} pictures show the same thing from nearby places: {ADVICE}"
    turned = sum(pair.planar or pair.angle < _TURN for pair in pairs)
    if turned > 0.7 * len(pairs):
        return (
            f"the {count} pictures were taken from one place, as a panorama is, which shows no depth: step sideways or "
            "walk around the thing between two photos"
        )
    fitting = f"only {registered}" if registered else "none"
    return f"{fitting} of {count} pictures fit together, and three are the least: {ADVICE}; {NEWSPAPER}"


def too_few_placed(names: Sequence[str], placed: Sequence[int]) -> str:
    """What to say where only the pictures `placed`, by their numbers, of those with these names have a camera, and no
    mesh is made of so few unless that is asked for."""
    missing = [name for number, name in enumerate(names) if number not in placed]
    return (
        f"only {len(placed)} of {len(names)} pictures have found their place, so no mesh is made of them yet; not "
        f"placed: {_listed(missing)}: take more photos between these and the others, {NEWSPAPER}, or allow a part of "
        f"the photos to go on with the {len(placed)}"
    )


def left_out(names: Sequence[str]) -> list[str]:
    """A note on pictures that have found no place, if there are any."""
    if not names:
        return []
    has, is_ = ("has", "is") if len(names) == 1 else ("have", "are")
    advice = "more photos between them and the others would help"
    return [f"{_listed(names)} {has} found no place and {is_} left out: {advice}"]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
