# SPDX-License-Identifier: GPL-3.0-or-later
"""The option by which one says what of a photo is meant, of methods that make a scene of it or a thing."""

from __future__ import annotations

from typing import Any

from ...core.options import option

AUTO, SCENE, THING, BOTH = "auto", "scene", "thing", "both"


def subject() -> Any:
    """A field of an options dataclass. Whoever selects the method reads it; it changes nothing of what that does."""
    help = (
        "auto: the thing where the photo shows one clear one, else all. thing: closed, with a back. both: two objects."
    )
    return option(AUTO, "Picture of", help, choices=(AUTO, SCENE, THING, BOTH), group="subject")
