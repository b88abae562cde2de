# SPDX-License-Identifier: GPL-3.0-or-later
"""Which method and which of its networks are taken for some pictures, and with which options: decided here, and
nowhere else.

Must not know how any of them works. Imports nothing heavy: what is offered is described by it too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..core.errors import Invalid, Unable
from ..core.options import Option, Value, build, described, resolved
from ..core.texts import shortened
from ..finish.options import TABLE
from ..methods import all_methods, of_category, under, with_network
from ..methods.method import Method, Network
from ..methods.runtime.subject_option import AUTO, BOTH, SCENE, THING
from ..store.weights import WeightStore

if TYPE_CHECKING:
    from ..pictures.gather import Inputs
    from ..pictures.load import Picture
    from .subject import Thing


SUBJECT = "subject"
"""The option that says what of a photo is meant (methods.runtime.subject_option)."""


@dataclass(frozen=True)
class Choice:
    """A method and its network. thing: what the picture is cut out to first, None where it is taken as it is. beside:
    of a scene and the thing in it, how the thing is made, which the picture is cut out to for that alone."""

    method: Method
    network: Network
    thing: Thing | None = None
    beside: Choice | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is known of the pictures: about how many there are, whether a file lists them with their cameras, and the
    picture where it is one. find: looks for the thing in that picture, which takes a moment."""

    count: int
    listed: bool = False
    picture: Picture | None = None
    find: Callable[[], Thing | None] = field(default=lambda: None)

    @classmethod
    def of(cls, inputs: Inputs, find: Callable[[Picture], Thing | None] = lambda picture: None) -> Subject:
        only = inputs.pictures[0] if len(inputs.pictures) == 1 else None
        return cls(len(inputs.pictures), inputs.cameras is not None, only, lambda: find(only))

    @property
    def is_several(self) -> bool:
        return self.listed or self.count != 1

    @property
    def words(self) -> str:
        return "a list of cameras" if self.listed else str(self.count)

    @property
    def is_cut_out(self) -> bool:
        """Transparency or a plain background says where the thing is."""
        return self.picture is not None and self.picture.background is not None

    @cached_property
    def thing(self) -> Thing | None:
        """What is to be cut out of a picture that is not cut out."""
        return self.find() if self.picture is not None and not self.is_cut_out else None

    @property
    def shows_one_thing(self) -> bool:
        if self.picture is None:
            return False
        return self.picture.shows_one_thing if self.is_cut_out else self.thing is not None and self.thing.clear


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
    wish = AUTO if subject.is_several else str(options.get(SUBJECT, AUTO))
    if network is not None:
        method, row = with_network(network)
        if category is not None and method not in of_category(category):
            raise Invalid(f"the network {network} is one of {method.category}, not of {category}")
        if subject.is_several and method.pictures == "one":
            raise Unable(f"{row.label} takes one photo, not {subject.words}: choose one")
        return _cut(Choice(method, row), subject, wish)
    candidates = all_methods() if category is None else of_category(category)
    fitting = [method for method in candidates if (method.pictures == "several") == subject.is_several]
    if not fitting:
        raise Unable(f"{candidates[0].category} takes one photo, not {subject.words}: choose one")
    willing = [method for method in fitting if any(row.automatic for row in method.networks)]
    if not willing:
        raise Unable(f"{fitting[0].category} has no network that is taken by itself: name one")
    willing = [method for method in willing if options.keys() <= _names(method)] or willing
    if len({method.cut_out for method in willing}) > 1:
        alone = {THING: True, SCENE: False, BOTH: False}.get(wish)
        alone = subject.shows_one_thing if alone is None else alone
        willing = sorted(willing, key=lambda method: method.cut_out != alone)
    able = [method for method in willing if options.keys() <= _names(method)] or willing[:1]
    return _cut(_first_here(able, weights), subject, wish)


def named(model: str | None, other: str | None = None) -> tuple[str | None, str | None]:
    """The category and the network of these names of a user's; without any, none: what suits the photos is taken.
    other: a category that is named as well. Raises Invalid."""
    categories = dict.fromkeys(method.category.lower() for method in all_methods())
    networks = [network.name for method in all_methods() for network in method.networks]
    if model is not None and model.lower() not in categories:
        if model.lower() not in map(str.lower, networks):
            raise Invalid(
                f"there is no model {shortened(model)!r}: choose {', '.join(categories)}, or one of their networks: "
                f"{', '.join(networks)}"
            )
        return other, model
    chosen = [name for name in (model, other) if name is not None]
    if len({name.lower() for name in chosen}) > 1:
        raise Invalid(f"{model} and {other} are two models: name one of them")
    return (chosen[0] if chosen else None), None


def _first_here(methods: list[Method], weights: WeightStore) -> Choice:
    rows = [Choice(method, row) for method in methods for row in method.networks if row.automatic]
    return next((choice for choice in rows if choice.network.is_here(weights)), rows[0])


def _cut(choice: Choice, subject: Subject, wish: str) -> Choice:
    """The choice with what the picture is cut out to before. Raises Invalid where one contradicts the other, Unable
    where there is no thing."""
    method = choice.method
    if SUBJECT not in _names(method) or subject.is_several:
        return choice
    if method.cut_out and wish in (SCENE, BOTH):
        raise Invalid(f"{choice.network.label} makes a thing alone: choose the network Automatic for the scene")
    if wish == BOTH and subject.picture is not None and subject.picture.alpha is not None:
        raise Invalid(f"{subject.picture.name} is cut out, so there is no scene in it: choose the subject thing")
    if wish == BOTH:
        return replace(choice, beside=_thing_of(method.category, subject))
    if wish == THING:
        return replace(choice, thing=_wanted(subject))
    return replace(choice, thing=subject.thing) if method.cut_out else choice


def _thing_of(category: str, subject: Subject) -> Choice:
    """How the thing beside a scene is made: by the category's method for things, whose networks ship."""
    for method in of_category(category):
        if method.cut_out and SUBJECT in _names(method):
            return Choice(method, method.networks[0], _wanted(subject))
    raise Unable(f"{category} has no method for a thing alone: choose another subject")


def _wanted(subject: Subject) -> Thing | None:
    """The thing to cut out, None where the picture is cut out."""
    if subject.is_cut_out:
        return None
    if subject.thing is None:
        name = subject.picture.name if subject.picture else "the photo"
        raise Unable(f"no object was found in {name}: choose a photo of a single thing, or cut it out yourself")
    return subject.thing


def roughness(choice: Choice, weights: WeightStore) -> str:
    """That what is made is rough, and what would make it finer, where a network that ships makes it; else ""."""
    if choice.network.file is None:
        return ""
    others = [row for each in all_methods() if each.cut_out and each is not choice.method for row in each.networks]
    below = [row for each in under(choice.method) for row in each.networks]
    rows = (*choice.method.networks, *below, *(others if choice.method.cut_out else ()))
    away = next((row for row in rows if _is_away(row, weights)), None)
    finer = f": {away.told} is a download away" if away else ""
    return f"made by a small network that ships ({choice.network.label}), so it is rough{finer}"


def _is_away(network: Network, weights: WeightStore) -> bool:
    return network.published is not None and network.automatic and not network.is_here(weights)


def kind_of(network: str, preset: str, device: str, pictures: int) -> str:
    """The name under which is remembered what such work took: works of one kind take about the same time."""
    return json.dumps([network, preset, device, pictures.bit_length()])


def all_options(method: Method) -> tuple[Option, ...]:
    """The method's own options, then those of what becomes of its representation."""
    return (*described(method.options), *described(TABLE[method.makes].options))


def settings(method: Method, preset: str, chosen: Mapping[str, Value]) -> Settings:
    """A value for each option: the default, unless the preset, unless the user says otherwise. Raises Invalid."""
    if preset not in method.presets:
        raise Invalid(f"there is no preset {shortened(preset)!r}: choose one of {', '.join(method.presets)}")
    values = resolved(all_options(method), method.presets[preset], chosen)
    return Settings(build(method.options, values), build(TABLE[method.makes].options, values))


def _names(method: Method) -> set[str]:
    return {option.name for option in all_options(method)}
