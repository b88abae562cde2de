# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file finishes which representation: the one place where its type decides."""

from __future__ import annotations

from typing import Any

from ..core.job import Job, Span
from ..core.representations import DepthMap, Field, Layers, Representation
from . import depth_map, field, layers
from .asset import Asset

FINISHES = {DepthMap: depth_map.finished, Layers: layers.finished, Field: field.finished}


def finished(found: Representation, options: Any, job: Job | Span) -> Asset:
    """The asset. options: of finish.options, for this type. Raises Unable where no surface is left."""
    return FINISHES[type(found)](found, options, job)
