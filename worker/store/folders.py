# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the worker keeps its files when nobody says otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..core.errors import Unable
from ..core.texts import path_of

LIMIT = 2 << 30
"""Bytes of results. When there are more, what was not used for longest goes."""

TIMINGS = "timings.json"
"""Lies beside the results and is none."""


def home() -> Path:
    """IMAGE_TO_3D_HOME, or the place this system has for the data of programs."""
    if chosen := os.environ.get("IMAGE_TO_3D_HOME"):
        return path_of(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _user() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = _user() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or _user() / ".local" / "share")
    return base / "image_to_3d"


def _user() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # neither a variable nor the list of users says it, as in some containers
        raise Unable("nobody says where your own folder is: set the variable IMAGE_TO_3D_HOME to a folder") from None


def weights() -> Path:
    return home() / "weights"


def cache() -> Path:
    return home() / "cache" / "results"
