# SPDX-License-Identifier: GPL-3.0-or-later
"""Which methods fit what the user has, which of their networks is the best that is installed, and which better one is a
download away, as the networks' own quality says. Plain values in and out; must not know bpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...worker.wire.offers import MethodInfo, NetworkInfo
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


def a_download_away(methods: Methods, taken: str) -> NetworkInfo | None:
    """What is known to be better than a network of the same method that ships, and comes with the set-up."""
    for method in methods:
        mine = next((each for each in method.networks if each.name == taken and not each.bytes), None)
        if mine:
            return next((each for each in method.networks if each.along and not each.here), None)
    return None


def comes_along(methods: Methods, environment: str) -> NetworkInfo | None:
    """The network that is fetched when that environment is set up, None where none is missing."""
    mine = (network for method in methods if method.environment == environment for network in method.networks)
    return next((network for network in mine if network.along and not network.here), None)


def several_without(methods: Methods, method: MethodInfo) -> bool:
    """Whether the method's category makes something of several pictures that needs no download."""
    others = [each for each in of_category(methods, method.category) if each.pictures == "several"]
    return method.pictures == "one" and any(network.here for each in others for network in each.networks)


def _fit(category: str, whole: bool, methods: list[MethodInfo]) -> Fit:
    networks = [network for method in methods for network in method.networks]
    best = max((each for each in networks if each.here), key=lambda each: each.quality, default=None)
    least = best.quality if best else 0
    better = (each for each in networks if not each.here and each.bytes and each.quality > least)
    return Fit(category, whole, best, next(better, None))
