# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's library, imported on use and told to write nothing: by itself it has a line for each step, and for whatever
cannot be placed, where the user's progress is shown. Must not know what it is used for."""

from __future__ import annotations

from types import ModuleType


def library() -> ModuleType:
    """pycolmap, whose log is silent up to what ends the process."""
    import pycolmap

    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    return pycolmap
