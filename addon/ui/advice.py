# SPDX-License-Identifier: GPL-3.0-or-later
"""Which methods fit what the user has, which of their networks is the best that is installed, and which better one is a
download away. Plain values in and out; must not know bpy.

What has to be downloaded is taken for better than what ships: the latter is small so that it can ship.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...worker.wire.protocol import MethodInfo, NetworkInfo
from ..session.catalogue import Methods, categories, of_category, suits


@dataclass(frozen=True)
class Fit:
    """What one category makes of such pictures. `whole`: of all that they show, not of a thing alone. `best`: of what
    is here, None where nothing is; `better`: what a download would bring, None where nothing."""

    category: str
    whole: bool
    best: NetworkInfo | None
    better: NetworkInfo | None


def fits(methods: Methods, several: bool) -> tuple[Fit, ...]:
    """All that fit, what shows everything first."""
    found = []
    for whole in (True, False):
        for category in categories(methods):
            mine = [each for each in of_category(methods, category) if suits(each, several) and each.cut_out != whole]
            found += [_fit(category, whole, mine)] if mine else []
    return tuple(found)


def several_without(methods: Methods, method: MethodInfo) -> bool:
    """Whether the method's category makes something of several pictures that needs no download."""
    others = [each for each in of_category(methods, method.category) if each.pictures == "several"]
    return method.pictures == "one" and any(network.here for each in others for network in each.networks)


def _fit(category: str, whole: bool, methods: list[MethodInfo]) -> Fit:
    networks = [network for method in methods for network in method.networks]
    fetched = [network for network in networks if network.here and network.bytes]
    here = fetched or [network for network in networks if network.here]
    missing = [] if fetched else [network for network in networks if not network.here and network.bytes]
    return Fit(category, whole, here[0] if here else None, missing[0] if missing else None)
