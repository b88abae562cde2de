# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the worker keeps its files when nobody says otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LIMIT = 2 << 30
"""Bytes of results. When there are more, what was not used for longest goes."""

TIMINGS = "timings.json"
"""Lies beside the results and is none."""


def home() -> Path:
    """IMAGE_TO_3D_HOME, or the place this system has for the data of programs."""
    if chosen := os.environ.get("IMAGE_TO_3D_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "image_to_3d"


def weights() -> Path:
    return home() / "weights"


def cache() -> Path:
    return home() / "cache" / "results"
