# SPDX-License-Identifier: GPL-3.0-or-later
"""What would make an installation fail, found before anything is downloaded. Downloads, writes and installs nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``name``: which thing was looked at, for example space; ``text``: a sentence, with what to do unless ``ok``."""

    name: str
    ok: bool
    text: str
