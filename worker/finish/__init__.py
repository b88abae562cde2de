# SPDX-License-Identifier: GPL-3.0-or-later
"""From a representation and its picture to a finished asset: surface, place, texture, file.

`relief` makes what one photo shows in depth, `solid` what a field says of a thing from all sides. Each has a plan: what
is wanted, read from a backend's options before any work is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..wire.protocol import Value
from .asset import Asset, write
from .field import SolidPlan
from .relief import ReliefPlan

__all__ = ["Asset", "plan_for", "write"]

PLANS = {"relief": ReliefPlan, "solid": SolidPlan}


def plan_for(makes: str, options: Mapping[str, Value]) -> ReliefPlan | SolidPlan:
    """The plan for what a backend makes, from its options. Raises Invalid where they contradict each other."""
    return PLANS[makes].of(options)
