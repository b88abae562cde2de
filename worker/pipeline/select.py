# SPDX-License-Identifier: GPL-3.0-or-later
"""Which method and which of its networks are taken for some pictures, and with which options: decided here, and
nowhere else.

Must not know how any of them works. Imports nothing heavy: what is offered is described by it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import Invalid, Unable
from ..core.options import Option, Value, build, described, resolved
from ..finish.options import TABLE
from ..methods import all_methods, of_category, with_network
from ..methods.method import Method, Network
from ..store.weights import WeightStore

if TYPE_CHECKING:
    from ..pictures.gather import Inputs
    from ..pictures.load import Picture


@dataclass(frozen=True)
class Choice:
    """A method and its network."""

    method: Method
    network: Network


@dataclass(frozen=True, eq=False)
class Subject:
    """What is known of the pictures: about how many there are, whether a file lists them with their cameras, and the
    picture where it is one."""

    count: int
    listed: bool = False
    picture: Picture | None = None

    @classmethod
    def of(cls, inputs: Inputs) -> Subject:
        only = inputs.pictures[0] if len(inputs.pictures) == 1 else None
        return cls(len(inputs.pictures), inputs.cameras is not None, only)

    @property
    def is_several(self) -> bool:
        return self.listed or self.count != 1

    @property
    def words(self) -> str:
        return "a list of cameras" if self.listed else str(self.count)

    @property
    def shows_one_thing(self) -> bool:
        return self.picture is not None and self.picture.shows_one_thing


@dataclass(frozen=True)
class Settings:
    """The values of all options: as the method's dataclass, and as that of what becomes of its representation."""

    method: object
    finish: object


def select(
    subject: Subject,
    category: str | None,
    network: str | None,
    options: Mapping[str, Value],
    weights: WeightStore,
) -> Choice:
    """The network that is asked for, or the one that suits the pictures best: of the category's methods for so many
    pictures, those for a thing that is cut out first where one is, that have the options which the user sets, and of
    their networks the first that is here.

    Raises Invalid for unknown names, MethodUnavailable for unknown networks, Unable where no method takes the pictures.
    """
    if network is not None:
        method, row = with_network(network)
        if category is not None and method not in of_category(category):
            raise Invalid(f"the network {network} is one of {method.category}, not of {category}")
        if subject.is_several and method.pictures == "one":
            raise Unable(f"{row.label} takes one photo, not {subject.words}: choose one")
        return Choice(method, row)
    candidates = all_methods() if category is None else of_category(category)
    fitting = [method for method in candidates if (method.pictures == "several") == subject.is_several]
    if not fitting:
        raise Unable(f"{candidates[0].category} takes one photo, not {subject.words}: choose one")
    willing = [method for method in fitting if any(row.automatic for row in method.networks)]
    if not willing:
        raise Unable(f"{fitting[0].category} has no network that is taken by itself: name one")
    one_thing = subject.shows_one_thing
    willing = sorted(willing, key=lambda method: method.cut_out != one_thing)
    able = [method for method in willing if options.keys() <= _names(method)] or willing[:1]
    rows = [Choice(method, row) for method in able for row in method.networks if row.automatic]
    return next((choice for choice in rows if choice.network.is_here(weights)), rows[0])


def kind_of(network: str, preset: str, device: str, pictures: int) -> str:
    """The name under which is remembered what such work took: works of one kind take about the same time."""
    return json.dumps([network, preset, device, pictures.bit_length()])


def all_options(method: Method) -> tuple[Option, ...]:
    """The method's own options, then those of what becomes of its representation."""
    return (*described(method.options), *described(TABLE[method.makes].options))


def settings(method: Method, preset: str, chosen: Mapping[str, Value]) -> Settings:
    """A value for each option: the default, unless the preset, unless the user says otherwise. Raises Invalid."""
    if preset not in method.presets:
        raise Invalid(f"there is no preset {preset!r}: choose one of {', '.join(method.presets)}")
    values = resolved(all_options(method), method.presets[preset], chosen)
    return Settings(build(method.options, values), build(TABLE[method.makes].options, values))


def _names(method: Method) -> set[str]:
    return {option.name for option in all_options(method)}
