# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user has chosen: pictures, category, network, preset and options, and what follows when one changes.

They live on the window manager, whose properties Blender never writes into a file; which there are is made from what
the worker offers (property_classes.py). Must not know the worker or any method's name: a new category, method, network
or option needs no edit here.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import bpy
from bpy.types import PropertyGroup

from ...worker.core.file_types import VIDEOS, is_camera_list
from ...worker.core.options import Option, Value
from ...worker.wire.making import Provenance
from ...worker.wire.offers import MethodInfo
from ..session.catalogue import Methods, of_category
from . import option_properties as drawn

AUTOMATIC = "AUTOMATIC"
"""The network that stands for the worker's own choice: the best whose weights are here."""

OUTLINE = "OUTLINE"
"""What refines a mesh without a network."""

PREFERRED_PRESET = "balanced"

SAME = 1e-5
"""Relative difference below which a number counts as unchanged: Blender keeps single precision, angles in radians."""

COMPUTED = "zero_"
"""How the names of settings begin that are read off others."""

_quiet = False
_changed: Callable[[], None]


def settings(context: bpy.types.Context) -> PropertyGroup:
    return context.window_manager.image_to_3d


def of_the_category(own: PropertyGroup) -> PropertyGroup:
    """Network and preset of the chosen category."""
    return getattr(own, attribute("category", own.category))


def of_method(own: PropertyGroup, method: MethodInfo) -> PropertyGroup:
    """The options of a method."""
    return getattr(own, attribute("method", method.name))


# ---- pictures


def pictures(own: PropertyGroup) -> tuple[str, ...]:
    """The files that were chosen, as absolute paths."""
    return tuple(bpy.path.abspath(path) for path in (own.picture, *own.others.splitlines()) if path)


def choose(own: PropertyGroup, paths: list[str]) -> None:
    """Takes these files, or none, for the next mesh."""
    own.picture = paths[0] if paths else ""
    own.others = "\n".join(paths[1:])


def take_out(own: PropertyGroup, place: int) -> None:
    """Chooses one picture less."""
    paths = [path for path in (own.picture, *own.others.splitlines()) if path]
    choose(own, [*paths[:place], *paths[place + 1 :]])


def is_several(own: PropertyGroup) -> bool:
    """Whether there are several pictures, or one path that stands for several: a folder, a video, a list of cameras.

    Told by its name alone; a file of another kind (doc.txt) is one, so that the worker says what is wrong with it.
    """
    name = own.picture.lower()
    return bool(own.others) or kind(own) != "pictures" and bool(name) or is_camera_list(name)


def kind(own: PropertyGroup) -> Literal["pictures", "video", "folder"]:
    """What was chosen, by its name alone."""
    name = bpy.path.basename(own.picture).lower()
    if "." not in name[1:]:
        return "folder"
    return "video" if name.endswith(VIDEOS) else "pictures"


# ---- options


def preset(own: PropertyGroup, method: MethodInfo) -> str:
    """The chosen preset of the category, or a usual one where the method has none of that name."""
    chosen = getattr(own, attribute("category", method.category)).preset
    return next((name for name in (chosen, PREFERRED_PRESET, *method.presets) if name in method.presets), "")


def changed(own: PropertyGroup, method: MethodInfo) -> dict[str, Value]:
    """The options whose value is not what the preset says, with their values."""
    values = {option: value(own, method, option) for option in method.options}
    return {option.name: now for option, now in values.items() if not _same(now, expected(own, method, option))}


def expected(own: PropertyGroup, method: MethodInfo, option: Option) -> Value:
    """The value of an option under the chosen preset."""
    return method.presets.get(preset(own, method), {}).get(option.name, option.default)


def value(own: PropertyGroup, method: MethodInfo, option: Option) -> Value:
    """The value of an option as the worker takes it."""
    return drawn.told(option, getattr(of_method(own, method), property_name(option)))


def reset(own: PropertyGroup, methods: Methods, name: str) -> None:
    """Sets the option of that name back to what the preset says."""
    with quietly():
        for method in of_category(methods, own.category):
            _set_as_expected(own, method, {name})
    _changed()


def load(own: PropertyGroup, methods: Methods, made: Provenance) -> None:
    """Sets everything to how a result was made. Raises LookupError where that method is not offered any more."""
    method = next((each for each in methods if made.network in (network.name for network in each.networks)), None)
    if method is None:
        improved = made.method == "improve"
        raise LookupError("rounds of Improve have no settings" if improved else f"{made.label} is not offered any more")
    with quietly():
        own.category = method.category
        mine = of_the_category(own)
        mine.network = made.network
        if made.preset in method.presets:
            mine.preset = made.preset
        for other in of_category(methods, method.category):
            for option in other.options:
                now = made.options.get(option.name, expected(own, other, option))
                if not option.choices or now in option.choices:
                    _set(own, other, option, now)
        choose(own, list(made.pictures))
    _changed()


def seed_of(method: MethodInfo) -> Option | None:
    """The option by which another guess is had, None where there is none."""
    return next((option for option in method.options if option.group == "seed"), None)


def throw_dice(own: PropertyGroup, method: MethodInfo) -> None:
    """Another seed, small enough to be typed again."""
    if seed := seed_of(method):
        setattr(of_method(own, method), property_name(seed), random.randrange(1, 10_000))


def property_name(option: Option) -> str:
    return f"option_{option.name}"  # it may be called "name", which each PropertyGroup has already


def attribute(kind: Literal["category", "method"], name: str) -> str:
    """Where of the settings those of a category or of a method are."""
    return re.sub(r"\W", "_", f"{kind}_{name}")


def option_path(method: MethodInfo, option: Option) -> str:
    """Where of the settings an option is."""
    return f"{attribute('method', method.name)}.{property_name(option)}"


def zero_name(option: Option) -> str:
    """The name of the tick that stands for its zero."""
    return COMPUTED + option.name


def _set(own: PropertyGroup, method: MethodInfo, option: Option, value: Value) -> None:
    setattr(of_method(own, method), property_name(option), drawn.stored(option, value))


def _set_as_expected(own: PropertyGroup, method: MethodInfo, names: set[str]) -> None:
    for option in method.options:
        if option.name in names:
            _set(own, method, option, expected(own, method, option))


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=SAME, abs_tol=SAME)
    return one == other


# ---- what follows a change


def listen(changed: Callable[[], None]) -> None:
    """`changed` hears of each change from now on."""
    global _changed
    _changed = changed


def on_change(own: PropertyGroup, context: bpy.types.Context) -> None:
    """Of anything of which nothing else follows."""
    if not _quiet:
        _changed()


def on_preset(methods: Methods) -> None:
    """Sets what any preset sets, also back to its default; what the user chose beside that stays."""
    if _quiet:
        return
    with quietly():
        for method in methods:
            _set_as_expected(settings(bpy.context), method, {name for each in method.presets.values() for name in each})
    _changed()


def on_option(methods: Methods, method: MethodInfo, option: Option) -> None:
    """An option is one setting for all methods of a category that have it and take its value."""
    if _quiet:
        return
    own = settings(bpy.context)
    new = value(own, method, option)
    with quietly():
        for other in methods:
            for same in other.options:
                if (same.name, same.kind) == (option.name, option.kind) and (not same.choices or new in same.choices):
                    _set(own, other, same, new)
    _changed()


@contextmanager
def quietly() -> Iterator[None]:
    """What is set within is nobody's choice, and nothing follows from it."""
    global _quiet
    _quiet = True
    try:
        yield
    finally:
        _quiet = False
