# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's settings ask for, in the worker's words, and whether it can be had. Must not know the worker: who
asks brings what it offers and what it has selected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy

from ...worker.core.options import Value
from ...worker.wire.making import Provenance
from ...worker.wire.offers import MethodInfo, NetworkInfo, SelectParams, SelectResult
from ..session.catalogue import Methods, find, of_category, suits
from ..session.jobs import OUTLINE, By, Label, Recipe
from . import properties, wording
from .scene.splats import can_show


@dataclass(frozen=True)
class Choice:
    """`network` is None where it is the worker's choice, which is not known yet; `method` is the first then that takes
    so many pictures. `mismatch`: why what was chosen cannot be taken, and what to do about it; "" if it can."""

    recipe: Recipe
    method: MethodInfo
    network: NetworkInfo | None
    is_automatic: bool
    mismatch: str = ""


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
    deciding = _of_all(suitable, options) if automatic else {}
    question = SelectParams(properties.pictures(own), own.category, None if automatic else network, deciding)
    answer = selected(question)
    method, info = find(methods, answer.network) if answer else (suitable[0], None)
    presets = {each.name: properties.preset(own, each) for each in offered}
    label = _label(question.pictures, info.label if info else own.category, properties.preset(own, method))
    maps = bpy.path.abspath(own.maps) if own.maps and saves(method) else ""
    views = bpy.path.abspath(own.views) if own.views else ""
    recipe = Recipe(question, presets, options, not own.fresh, label, maps=maps, splats=can_show(), views=views)
    trusted = automatic and answer  # the worker has looked at the files, and not at their names alone
    mismatch = "" if trusted else _mismatch(own, method, info.label if info else "", methods)
    return Choice(recipe, method, info, automatic, mismatch)


def saves(method: MethodInfo) -> str:
    """What the worker can save beside a result of that method, "" for nothing."""
    return "Splats" if method.makes == "Splats" else "Depth Maps" if method.pictures == "one" else ""


def refining(own: bpy.types.PropertyGroup, methods: Methods) -> By:
    """What the user wants a mesh refined by."""
    if own.refine_by == properties.OUTLINE:
        return OUTLINE
    method, network = find(methods, own.refine_by)
    preset, options = properties.preset(own, method), properties.changed(own, method)
    return By(network.name, method.environment, network.label, preset, options)


def depth_of(own: bpy.types.PropertyGroup, methods: Methods) -> tuple[MethodInfo, bpy.types.PropertyGroup]:
    """The method that gives a photo its depth, and network and preset of its category."""
    method = next(each for each in methods if each.makes == "DepthMap")
    return method, getattr(own, properties.attribute("category", method.category))


def for_depth(own: bpy.types.PropertyGroup, methods: Methods) -> tuple[str | None, str, dict[str, Value]]:
    """Network (None: the worker's choice), preset and options of the method that gives a photo its depth."""
    method, mine = depth_of(own, methods)
    network = mine.network if mine.network in (each.name for each in method.networks) else None
    return network, properties.preset(own, method), properties.changed(own, method)


def for_batch(own: bpy.types.PropertyGroup, methods: Methods) -> tuple[str, str | None, str, dict[str, Value]]:
    """Category, network (None: the worker's choice for each), preset and options for many pictures, each its own thing;
    where the worker chooses, the options that all methods have which it may choose."""
    offered = of_category(methods, own.category)
    network = properties.of_the_category(own).network
    if network != properties.AUTOMATIC:
        method, info = find(methods, network)
        return own.category, info.name, properties.preset(own, method), properties.changed(own, method)
    suitable = [method for method in offered if suits(method, own.batch_sets)] or [*offered]
    options = {method.name: properties.changed(own, method) for method in suitable}
    return own.category, None, properties.preset(own, suitable[0]), _of_all(suitable, options)


def as_made(made: Provenance, changed: dict[str, Value] | None = None, cached: bool = True, beside: str = "") -> Recipe:
    """The recipe of a result that there was: the same again, but for options that are `changed`."""
    question = SelectParams(made.pictures, made.category, made.network, {})
    label = _label(made.pictures, made.label, made.preset)
    options = {made.method: made.options | (changed or {})}
    return Recipe(question, {made.method: made.preset}, options, cached, label, beside, splats=can_show())


def _label(pictures: tuple[str, ...], network: str, preset: str) -> Label:
    return Label(wording.pictures(pictures), f"{network}, {preset}", pictures[0] if pictures else "")


def _mismatch(own: bpy.types.PropertyGroup, method: MethodInfo, network: str, methods: Methods) -> str:
    several = properties.is_several(own)
    if suits(method, several):
        return ""
    others = [each.category for each in methods if suits(each, several)]
    if not several:
        hint = ", or the network Automatic" if own.category in others else ""
        return f"{network or own.category} needs more than one picture: choose more{hint}"
    if own.category in others:
        return f"{network} takes one picture: choose the network Automatic for several"
    return f"{own.category} takes one picture: choose {f'the model {others[0]}' if others else 'just one'}"


def _of_all(methods: list[MethodInfo], options: dict[str, dict[str, Value]]) -> dict[str, Value]:
    """What the user has set of the options that all of these methods have: what may decide between them."""
    names = set.intersection(*({option.name for option in method.options} for method in methods))
    return {name: value for each in methods for name, value in options[each.name].items() if name in names}
