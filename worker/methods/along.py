# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that come with the set-up: fetched where the web can be reached, done without where it cannot.

Whoever has no network is not to wait: an address that does not answer at once is given up, and not tried again for a
while.
"""

from __future__ import annotations

import time
from contextlib import suppress
from urllib.parse import urlsplit

from ..core.errors import Unable
from ..core.job import Job, Span
from ..store.weights import WeightStore
from . import all_methods
from .method import Network

PATIENCE = 4.0
"""Seconds within which a server has to answer anything at all: ten times what a slow line takes."""

AGAIN_AFTER = 6 * 3600.0
"""Seconds until an address that did not answer is tried again unasked."""

_MARK = "unreachable"


def networks() -> tuple[Network, ...]:
    """Those whose downloads come along."""
    return tuple(each for method in all_methods() for each in method.networks if each.comes_along)


def wanted(weights: WeightStore, again: bool = False) -> tuple[Network, ...]:
    """Those of them that are not here, with what they bring; none where they were tried in vain a short while ago.
    again: even then."""
    mark = weights.root / _MARK
    tried = mark.stat().st_mtime if mark.is_file() else 0.0
    if not again and 0.0 <= time.time() - tried < AGAIN_AFTER:
        return ()
    return tuple(part for each in networks() if not each.is_here(weights) for part in each.fetched)


def told(parts: tuple[Network, ...]) -> str:
    """What is fetched, for the user."""
    count = {1: "one network", 2: "two networks"}.get(len(parts), f"{len(parts)} networks")
    return f"{count}: {' and '.join(each.told for each in parts)}"


def fetch(weights: WeightStore, job: Job | Span) -> str:
    """Fetches them; returns "" where they are here then, else one sentence on why not. Raises Cancelled alone."""
    from ..store.download import reachable  # on use: it brings the web's libraries

    for network in (each for each in networks() if not each.is_here(weights)):
        try:
            if weights.online and not reachable(network.published.address, PATIENCE, job):
                _mark(weights)
                host = urlsplit(network.published.address).hostname
                return (
                    f"{host} could not be reached, so networks that ship are used, which are rough: {_later(network)}"
                )
            network.download(weights, job)
        except Unable as error:
            _mark(weights)
            return f"{error}; until then networks that ship are used, which are rough"
    return ""


def _later(network: Network) -> str:
    return f"fetch {network.told} when there is a network"


def _mark(weights: WeightStore) -> None:
    with suppress(OSError):  # it is tried again, then
        weights.root.mkdir(parents=True, exist_ok=True)
        (weights.root / _MARK).touch()
