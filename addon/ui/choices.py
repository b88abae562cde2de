# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's settings ask for, in the worker's words, and whether it can be had. Must not know the worker: who
asks brings what it offers and what it has selected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy

from ...worker.wire.protocol import MethodInfo, NetworkInfo, SelectParams, SelectResult, Value
from ..session.catalogue import Methods, method_of, network_named, of_category, suits
from ..session.jobs import Recipe
from . import properties


@dataclass(frozen=True)
class Choice:
    """`network` is None where it is the worker's choice, which is not known yet; `method` is the first then that takes
    so many pictures."""

    recipe: Recipe
    method: MethodInfo
    network: NetworkInfo | None
    is_automatic: bool


def chosen(
    context: bpy.types.Context, methods: Methods, selected: Callable[[SelectParams], SelectResult | None]
) -> Choice:
    """The choice of the moment. `methods`: what is offered, from whose shape the settings were built."""
    own = properties.settings(context)
    offered = of_category(methods, own.category)
    suitable = [method for method in offered if suits(method, properties.is_several(own))] or [*offered]
    options = {method.name: properties.changed(own, method) for method in offered}
    network = properties.of_the_category(own).network
    automatic = network == properties.AUTOMATIC
    question = SelectParams(
        properties.pictures(own),
        own.category,
        None if automatic else network,
        _of_all(suitable, options) if automatic else {},
    )
    recipe = Recipe(question, {method.name: properties.preset(own, method) for method in offered}, options)
    if answer := selected(question):
        network = answer.network
        return Choice(recipe, method_of(methods, network), network_named(methods, network), automatic)
    return Choice(recipe, suitable[0], None, automatic)


def mismatch(context: bpy.types.Context, choice: Choice, methods: Methods) -> str:
    """Why what was chosen cannot be taken, and what to do about it; "" if it can."""
    own = properties.settings(context)
    several = properties.is_several(own)
    if suits(choice.method, several):
        return ""
    here_too = any(suits(method, several) for method in of_category(methods, own.category))
    label = own.category if choice.is_automatic or not here_too and several else choice.network.label
    if not several:
        return f"{label} needs more than one picture: choose more{', or the network Automatic' if here_too else ''}"
    if here_too:
        return f"{label} takes one picture: choose the network Automatic for several"
    others = [method.category for method in methods if suits(method, several)]
    return f"{label} takes one picture: choose {f'the model {others[0]}' if others else 'just one'}"


def _of_all(methods: list[MethodInfo], options: dict[str, dict[str, Value]]) -> dict[str, Value]:
    """What the user has set of the options that all of these methods have: what may decide between them."""
    names = set.intersection(*({option.name for option in method.options} for method in methods))
    return {name: value for each in methods for name, value in options[each.name].items() if name in names}
