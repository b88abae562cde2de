# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo is of: a thing before a background, or all that it shows.

A photo that is cut out, or before a plain background, says so itself. In any other the matting network finds the thing,
or, where that is not here, the network for scenes that ships with the product, roughly. Must not know how either works,
nor what becomes of the thing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..core.errors import MethodUnavailable, Unable
from ..core.job import Job
from ..methods import with_network
from ..methods.matting import U2NETP, clear, saliency
from ..methods.matting.matte import cut_out_by
from ..methods.method import Task
from ..pictures.gather import Inputs
from ..pictures.load import Picture
from ..store import cache
from ..store.weights import WeightStore
from . import code

ROUGH_NETWORK = "included"
"""Ships with the product, and sees things roughly."""


@dataclass(frozen=True, eq=False)
class Thing:
    """What the photo is of, as far as that could be found.

    matte: (h, w) float32 in [0, 1], its share of each pixel, squeezed into any size. by: the network that found it,
    with its revision. clear: whether it is one clear thing, shown whole. rough: whether a better network is a download
    away.
    """

    matte: np.ndarray
    by: str
    clear: bool
    rough: bool

    def remarks(self, unasked: bool) -> tuple[str, ...]:
        """Sentences for the user who gets it. unasked: who has left it to us what the photo is of."""
        found = ("one thing was found in the photo and taken alone: set the subject to scene for all that it shows",)
        rough = f"the thing was cut out roughly, by a network that ships: {U2NETP.told} does it better"
        return (*(found if unasked else ()), *((rough,) if self.rough else ()))

    def cut_out(self, picture: Picture) -> Picture:
        """The picture with an alpha that shows the thing only, and another digest. Raises Unable where it is none."""
        found = cut_out_by(self.matte, picture)
        digest = hashlib.sha256(f"{picture.digest} cut out by {self.by}".encode()).hexdigest()
        return dataclasses.replace(found, digest=digest)


def thing_in(picture: Picture, weights: WeightStore, device: str) -> Thing | None:
    """The thing in a photo that is not cut out; None where nothing finds one."""
    return _found(_Asked(picture, weights, device, _finds(weights)))


def finder(weights: WeightStore, device: str, store: cache.Cache | None = None) -> Callable[[Picture], Thing | None]:
    """`thing_in` of any picture. store: keeps what was found, so that no network has to be loaded for it again."""

    def find(picture: Picture) -> Thing | None:
        key = cache.key(thing=picture.digest, by=_finds(weights))
        if store and (kept := store.load_arrays(key)):
            return Thing(kept["matte"], str(kept["by"]), bool(kept["clear"]), bool(kept["rough"]))
        thing = thing_in(picture, weights, device)
        if store and thing:
            arrays = {"matte": thing.matte, "by": thing.by, "clear": thing.clear, "rough": thing.rough}
            store.save_arrays(key, {name: np.asarray(value) for name, value in arrays.items()})
        return thing

    return find


def _finds(weights: WeightStore) -> str:
    """What finds things now, with its revision."""
    if network := saliency.installed(weights):
        return f"{network.name} {network.revision(weights)}"
    method, row = with_network(ROUGH_NETWORK)
    return f"{row.name} {row.revision(weights)} {code.of_method(method)}"


@dataclass(frozen=True)
class _Asked:
    """A question that is the same for the same picture and network: it is asked to select, and again to generate."""

    picture: Picture = dataclasses.field(compare=False)
    weights: WeightStore
    device: str
    by: str

    def __hash__(self) -> int:
        return hash((self.picture.digest, self.weights, self.device, self.by))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and hash(self) == hash(other)


@lru_cache(4)
def _found(asked: _Asked) -> Thing | None:
    if network := saliency.installed(asked.weights):
        matte = saliency.matte(network, asked.weights, asked.picture.rgb)
        return Thing(matte, asked.by, clear.is_clear(matte), False)
    try:
        method, row = with_network(ROUGH_NETWORK)
        task = Task(Inputs((asked.picture,)), row, method.options(), asked.device, asked.weights)
        matte = method.run(task, Job(lambda *report: None)).salient
    except (MethodUnavailable, Unable):
        return None
    if matte is None:
        return None
    return Thing(clear.closed(matte), asked.by, clear.is_clear(matte, clear.ROUGH), True)
