# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user has chosen, as properties that are made from what the worker offers.

They live on the window manager, whose properties Blender never writes into a file. Must not know the worker or any
method's name: a new category, method, network or option needs no edit here. `changed` of `register` hears of changes.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty
from bpy.types import PropertyGroup

from ...worker.core.file_types import VIDEOS, is_camera_list
from ...worker.core.options import Option, Value
from ...worker.wire.protocol import MethodInfo, Provenance
from ..session.catalogue import Methods, categories, of_category, shape
from . import option_properties as drawn

AUTOMATIC = "AUTOMATIC"
"""The network that stands for the worker's own choice: the best whose weights are here."""

PREFERRED_PRESET = "balanced"

SAME = 1e-5
"""Relative difference below which a number counts as unchanged: Blender keeps single precision, angles in radians."""

PASSING = ("picture", "others", "show_log", "clay", "shown")
"""Settings that are not for the next start of Blender."""

COMPUTED = "zero_"
"""How the names of settings begin that are read off others."""

Item = tuple[str, str, str, str, int]
"""An entry of a menu, as Blender wants it."""

_items: dict[str, list[Item]] = {}
_texts: dict[str, str] = {}  # Blender does not hold what the menus' callbacks return
_remembered: dict[str, object] = {}
_built: list[type[PropertyGroup]] = []
_described: Methods = ()
_quiet = False


_changed: Callable[[], None]


def settings(context: bpy.types.Context) -> PropertyGroup:
    return context.window_manager.image_to_3d


def of_the_category(own: PropertyGroup) -> PropertyGroup:
    """Network and preset of the chosen category."""
    return getattr(own, _attribute("category", own.category))


def of_method(own: PropertyGroup, method: MethodInfo) -> PropertyGroup:
    """The options of a method."""
    return getattr(own, _attribute("method", method.name))


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
    chosen = getattr(own, _attribute("category", method.category)).preset
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
    with _quietly():
        for method in of_category(methods, own.category):
            _set_as_expected(own, method, {name})
    _changed()


def load(own: PropertyGroup, methods: Methods, made: Provenance) -> None:
    """Sets everything to how a result was made. Raises LookupError where that method is not offered any more."""
    method = next((each for each in methods if made.network in (network.name for network in each.networks)), None)
    if method is None:
        raise LookupError(f"{made.label} is not offered any more")
    with _quietly():
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


def category_attribute(category: str) -> str:
    """Where of the settings those of a category are."""
    return _attribute("category", category)


def option_path(method: MethodInfo, option: Option) -> str:
    """Where of the settings an option is."""
    return f"{_attribute('method', method.name)}.{property_name(option)}"


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


def _on_change(own: PropertyGroup, context: bpy.types.Context) -> None:
    if not _quiet:
        _changed()


def _on_preset(methods: Methods) -> None:
    """Sets what any preset sets, also back to its default; what the user chose beside that stays."""
    if _quiet:
        return
    with _quietly():
        for method in methods:
            _set_as_expected(settings(bpy.context), method, {name for each in method.presets.values() for name in each})
    _changed()


def _on_option(methods: Methods, method: MethodInfo, option: Option) -> None:
    """An option is one setting for all methods of a category that have it and take its value."""
    if _quiet:
        return
    own = settings(bpy.context)
    new = value(own, method, option)
    with _quietly():
        for other in methods:
            for same in other.options:
                if (same.name, same.kind) == (option.name, option.kind) and (not same.choices or new in same.choices):
                    _set(own, other, same, new)
    _changed()


@contextmanager
def _quietly() -> Iterator[None]:
    """What is set within is nobody's choice, and nothing follows from it."""
    global _quiet
    _quiet = True
    try:
        yield
    finally:
        _quiet = False


# ---- opening another file, which brings another window manager


@bpy.app.handlers.persistent
def _remember(*_: object) -> None:
    _remembered.clear()
    _remembered.update(_values(settings(bpy.context)))


@bpy.app.handlers.persistent
def _restore(*_: object) -> None:
    with _quietly():
        _set_values(settings(bpy.context), _remembered)


def _values(group: PropertyGroup) -> dict[str, object]:
    names = {each.identifier for each in group.bl_rna.properties} - {"rna_type", "name"}
    now = {name: getattr(group, name) for name in names if not name.startswith(COMPUTED)}
    return {name: _values(value) if isinstance(value, PropertyGroup) else value for name, value in now.items()}


def _set_values(group: PropertyGroup, values: dict[str, object]) -> None:
    """Sets what there still is, to what it still can be: another version may have other settings."""
    for name, stored in values.items():
        if isinstance(stored, dict) and isinstance(getattr(group, name, None), PropertyGroup):
            _set_values(getattr(group, name), stored)
        elif name in group.bl_rna.properties:
            with suppress(TypeError, AttributeError):
                setattr(group, name, stored)


def lasting(own: PropertyGroup) -> dict[str, object]:
    """What is to be the same at Blender's next start."""
    return {name: value for name, value in _values(own).items() if name not in PASSING}


def take(own: PropertyGroup, values: dict[str, object]) -> None:
    """Sets what `lasting` gave."""
    with _quietly():
        _set_values(own, {name: value for name, value in values.items() if name not in PASSING})


# ---- what menus say


def networks(category: str) -> tuple[str, ...]:
    """The entries of the menu of networks of that category."""
    return tuple(name for name, *_ in _items[_attribute("networks", category)])


def say_of_networks(category: str, entries: list[tuple[str, str, str, str]]) -> None:
    """Makes the menu of networks of that category say so: name, label, description and icon of each."""
    _say(_attribute("networks", category), entries)


def say_of_presets(category: str, descriptions: dict[str, str]) -> None:
    """Makes the tooltips of the presets of that category say so."""
    key = _attribute("presets", category)
    _say(key, [(name, label, descriptions.get(name, was), "NONE") for name, label, was, *_ in _items.get(key, [])])


def _say(key: str, entries: list[tuple[str, str, str, str]]) -> None:
    if key in _items and len(entries) == len(_items[key]):
        _items[key] = [(*(_texts.setdefault(text, text) for text in entry), at) for at, entry in enumerate(entries)]


# ---- making the classes


def rebuild(methods: Methods) -> None:
    """Makes the properties anew if what is offered needs other widgets than those there are."""
    if shape(methods) != _described:
        unregister()
        register(methods, _changed)


def register(methods: Methods, changed: Callable[[], None]) -> None:
    global _described, _changed
    _described, _changed = shape(methods), changed
    groups = {}
    for category in categories(methods):
        mine = of_category(methods, category)
        groups[_attribute("category", category)] = _category_group(category, mine)
        groups |= {_attribute("method", method.name): _method_group(method, mine) for method in mine}
    classes = [_class(name, annotations) for name, annotations in groups.items()]
    pointers = {name: PointerProperty(type=each) for name, each in zip(groups, classes)}
    _built.extend([*classes, _class("settings", _common_properties(methods) | pointers)])
    for each in _built:
        bpy.utils.register_class(each)
    bpy.types.WindowManager.image_to_3d = PointerProperty(type=_built[-1], options={"SKIP_SAVE"})
    bpy.app.handlers.load_pre.append(_remember)
    bpy.app.handlers.load_post.append(_restore)


def unregister() -> None:
    bpy.app.handlers.load_pre.remove(_remember)
    bpy.app.handlers.load_post.remove(_restore)
    del bpy.types.WindowManager.image_to_3d
    while _built:
        bpy.utils.unregister_class(_built.pop())


def _attribute(kind: Literal["category", "method", "networks", "presets"], name: str) -> str:
    return re.sub(r"\W", "_", f"{kind}_{name}")


def _class(name: str, annotations: dict[str, object]) -> type[PropertyGroup]:
    return type(f"IMAGE_TO_3D_PG_{name}", (PropertyGroup,), {"__annotations__": annotations})


def _common_properties(methods: Methods) -> dict[str, object]:
    helps = {name: " ".join(each.help for each in of_category(methods, name)) for name in categories(methods)}
    return {
        "picture": StringProperty(
            name="Picture",
            description="The picture to make a mesh of; the first of several",
            subtype="FILE_PATH",
            update=_on_change,
        ),
        "others": StringProperty(
            name="More Pictures", description="Further pictures of the same thing, one a line", update=_on_change
        ),
        "category": EnumProperty(
            name="Model",
            description="How the picture becomes a mesh",
            items=[(name, name, help.rstrip(".")) for name, help in helps.items()],
            update=_on_change,
        ),
        **_result_properties(),
        "frames_first": IntProperty(name="First", description="The first frame", default=1, min=1, update=_on_change),
        "frames_last": IntProperty(name="Last", description="The last frame; 0: to the end", min=0, update=_on_change),
        "frames_step": IntProperty(name="Step", description="2: every second frame", default=1, min=1),
        "frames_folder": StringProperty(
            name="Folder", description="Where the files of each frame are written", subtype="DIR_PATH"
        ),
        "maps": StringProperty(
            name="Maps",
            description="The folder in which depth, normals and mask of the photo are saved as OpenEXR files. Empty: "
            "they are not",
            subtype="DIR_PATH",
            update=_on_change,
        ),
        "clay": BoolProperty(name="Clay", description="Show the shapes alone, without their colours"),
        "shown": IntProperty(name="Shown", description="How many results are shown", default=4, min=1),
        "show_log": BoolProperty(name="Details", description="Show the end of the log"),
    }


def _result_properties() -> dict[str, object]:
    """How results are made, and what comes with them."""
    return {
        "camera": BoolProperty(
            name="Matching Camera",
            description="Add a camera that sees the mesh as the photo shows it. Of several photos all cameras come, in "
            "a collection of their own",
        ),
        "rendered": BoolProperty(
            name="Render Through It",
            description="Make it the scene's camera, of several the first, and give renders its photo's size",
        ),
        "backdrop": BoolProperty(
            name="Photo Behind It", description="Show each photo as the background image of its camera", default=True
        ),
        "along": BoolProperty(
            name="With Networks",
            description="Fetch the networks that are taken by themselves with the set-up. Without them small ones are "
            "used that ship, which are rough",
            default=True,
        ),
        "fresh": BoolProperty(
            name="Not from the Cache",
            description="Make everything anew, and keep nothing of it: for comparing and measuring",
            update=_on_change,
        ),
        "variations": IntProperty(
            name="Variations", description="How many others Vary makes", default=4, min=1, max=16
        ),
    }


def _category_group(category: str, methods: Methods) -> dict[str, object]:
    names = list(dict.fromkeys(name for method in methods for name in method.presets)) or [PREFERRED_PRESET]
    networks = [(AUTOMATIC, "Automatic", "The best network whose weights are here", "NONE", 0)]
    every = [network for method in methods for network in method.networks]
    networks += [(each.name, each.label, each.help, "NONE", at) for at, each in enumerate(every, 1)]
    presets = [(name, name.capitalize(), f"Settings for {name} results", "NONE", at) for at, name in enumerate(names)]
    of_networks, of_presets = _attribute("networks", category), _attribute("presets", category)
    _items[of_networks], _items[of_presets] = networks, presets
    return {
        "network": EnumProperty(
            name="Network",
            description="The network that looks at the picture",
            items=lambda group, context: _items[of_networks],
            update=_on_change,
        ),
        "preset": EnumProperty(
            name="Preset",
            description="A set of values for the options",
            items=lambda group, context: _items[of_presets],
            default=names.index(PREFERRED_PRESET) if PREFERRED_PRESET in names else 0,
            update=lambda group, context: _on_preset(methods),
        ),
    }


def _method_group(method: MethodInfo, siblings: Methods) -> dict[str, object]:
    values = {property_name(option): _option_property(siblings, method, option) for option in method.options}
    zeros = {zero_name(option): drawn.zero(option, property_name(option)) for option in method.options if option.zero}
    return values | zeros


def _option_property(siblings: Methods, method: MethodInfo, option: Option) -> object:
    usual = method.presets.get(PREFERRED_PRESET) or next(iter(method.presets.values()), {})
    return drawn.made(
        option,
        default=drawn.stored(option, usual.get(option.name, option.default)),
        update=lambda group, context: _on_option(siblings, method, option),
    )
