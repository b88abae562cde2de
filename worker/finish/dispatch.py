# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishes a representation by the file that the table names for its type."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..core.job import Job, Span
from ..core.representations import Representation
from .asset import Asset
from .options import TABLE


def finished(found: Representation, options: Any, job: Job | Span) -> Asset:
    """The asset. options: of finish.options, for this type. Raises Unable where no surface is left."""
    return import_module(TABLE[type(found).__name__].module, __package__).finished(found, options, job)
