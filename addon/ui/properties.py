# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user has chosen, as properties that are made from what the worker offers.

They live on the window manager, whose properties Blender never writes into a file. Must not know the worker or any
backend's name: a new backend, model or option needs no edit here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty
from bpy.types import PropertyGroup

from ...worker.wire.protocol import BackendInfo, ModelInfo, OptionInfo, Value
from ..session.catalogue import Offered, backend_named, model_named, shape
from . import previews

AUTOMATIC = "AUTOMATIC"
"""The network that stands for the backend's own choice: the best whose weights are here."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif", ".gif")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".3gp", ".wmv")

PREFERRED_PRESET = "balanced"

SAME = 1e-5
"""Relative difference below which a number counts as unchanged: Blender keeps single precision, angles in radians."""

_PREFIX = "option_"  # an option may be called "name", which each PropertyGroup has already

_remembered: dict[str, object] = {}
_built: list[type[PropertyGroup]] = []
_described: Offered = ()


@dataclass(frozen=True)
class Choice:
    """What the settings ask for, in the worker's words; `options` are those that differ from the preset."""

    backend: BackendInfo
    model: ModelInfo
    asked_model: str | None
    preset: str
    options: dict[str, Value]


def settings(context: bpy.types.Context) -> PropertyGroup:
    return context.window_manager.image_to_3d


def chosen(context: bpy.types.Context, offered: Offered) -> Choice:
    """The choice of the moment, in the words of `offered`, from whose shape the settings were built."""
    own = settings(context)
    backend = backend_named(offered, own.backend)
    group = getattr(own, own.backend)
    asked = None if group.network == AUTOMATIC else group.network
    options = {option.name: value(group, option) for option in changed(group, backend)}
    return Choice(backend, model_named(backend, asked, is_several(own)), asked, group.preset, options)


def pictures(own: PropertyGroup) -> tuple[str, ...]:
    """The files that were chosen, as absolute paths."""
    return tuple(bpy.path.abspath(path) for path in (own.picture, *own.others.splitlines()) if path)


def choose(own: PropertyGroup, paths: list[str]) -> None:
    """Takes these files, or none, for the next mesh."""
    own.picture = paths[0] if paths else ""
    own.others = "\n".join(paths[1:])


def is_several(own: PropertyGroup) -> bool:
    """Whether there are several pictures, or one path that stands for several: a folder, a video, a list of cameras."""
    return bool(own.others) or bool(own.picture) and Path(own.picture).suffix.lower() not in PICTURES


def kind(own: PropertyGroup) -> Literal["pictures", "video", "folder"]:
    """What was chosen, by its name alone."""
    ending = Path(own.picture).suffix.lower()
    if own.picture.endswith(("/", "\\")) or not ending:
        return "folder"
    return "video" if ending in VIDEOS else "pictures"


def mismatch(own: PropertyGroup, choice: Choice, offered: Offered) -> str:
    """Why the chosen model cannot take what was chosen, and what to do about it; "" if it can."""
    if choice.model.several == is_several(own):
        return ""
    if choice.model.several:
        return f"{choice.model.label} needs more than one picture: choose more, or the network Automatic"
    if any(model.several for model in choice.backend.models):
        return f"{choice.model.label} takes one picture: choose the network Automatic for several"
    others = [backend.label for backend in offered if any(model.several for model in backend.models)]
    return f"{choice.backend.label} takes one picture: choose {f'the model {others[0]}' if others else 'just one'}"


def group_of(context: bpy.types.Context) -> PropertyGroup:
    """The settings of the chosen backend."""
    own = settings(context)
    return getattr(own, own.backend)


def changed(group: PropertyGroup, backend: BackendInfo) -> list[OptionInfo]:
    """The options whose value is not what the preset says."""
    return [option for option in backend.options if not _same(value(group, option), expected(backend, group, option))]


def expected(backend: BackendInfo, group: PropertyGroup, option: OptionInfo) -> Value:
    """The value of an option under the chosen preset."""
    return backend.presets[group.preset].get(option.name, option.default)


def value(group: PropertyGroup, option: OptionInfo) -> Value:
    """The value of an option as the worker takes it."""
    stored = getattr(group, property_name(option))
    if option.kind != "float":
        return stored
    return float(f"{math.degrees(stored) if option.unit == 'degrees' else stored:.6g}")


def set_value(group: PropertyGroup, option: OptionInfo, value: Value) -> None:
    setattr(group, property_name(option), _stored(option, value))


def property_name(option: OptionInfo) -> str:
    return _PREFIX + option.name


def rebuild(offered: Offered) -> None:
    """Makes the properties anew if what is offered needs other widgets than those there are."""
    if shape(offered) != _described:
        unregister()
        register(offered)


def register(offered: Offered) -> None:
    global _described
    _described = shape(offered)
    groups = {backend.name: _group_for(backend) for backend in offered}
    _built.extend([*groups.values(), _settings_for(offered, groups)])
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


# ---- opening another file, which brings another window manager


@bpy.app.handlers.persistent
def _remember(*_: object) -> None:
    _remembered.clear()
    _remembered.update(_values(settings(bpy.context)))


@bpy.app.handlers.persistent
def _restore(*_: object) -> None:
    _set_values(settings(bpy.context), _remembered)


def _values(group: PropertyGroup) -> dict[str, object]:
    names = {drawn.identifier for drawn in group.bl_rna.properties} - {"rna_type", "name"}
    found = {name: getattr(group, name) for name in names}
    return {name: _values(value) if isinstance(value, PropertyGroup) else value for name, value in found.items()}


def _set_values(group: PropertyGroup, values: dict[str, object]) -> None:
    # options last: to choose a preset sets them
    for name, stored in sorted(values.items(), key=lambda item: item[0].startswith(_PREFIX)):
        if isinstance(stored, dict):
            _set_values(getattr(group, name), stored)
        else:
            setattr(group, name, stored)


# ---- making the classes


def _settings_for(offered: Offered, groups: dict[str, type[PropertyGroup]]) -> type[PropertyGroup]:
    backends = [(each.name, each.label, each.help) for each in offered]
    annotations = {
        "picture": StringProperty(
            name="Picture",
            description="The picture to make a mesh of; the first of several",
            subtype="FILE_PATH",
            update=_picture_changed,
        ),
        "others": StringProperty(name="More Pictures", description="Further pictures of the same thing, one a line"),
        "backend": EnumProperty(
            name="Model", description="How the picture becomes a mesh", items=backends, update=_backend_changed
        ),
        "camera": BoolProperty(
            name="Matching Camera",
            description="Add a camera that sees the mesh as the photo shows it, make it the scene's camera "
            "and give the render the photo's size. Of several photos all cameras come, in a collection of their own",
        ),
        "backdrop": BoolProperty(
            name="Photo Behind It", description="Show each photo as the background image of its camera", default=True
        ),
        "show_log": BoolProperty(name="Details", description="Show the end of the log"),
    }
    annotations |= {name: PointerProperty(type=group) for name, group in groups.items()}
    return type("IMAGE_TO_3D_PG_settings", (PropertyGroup,), {"__annotations__": annotations})


def _group_for(backend: BackendInfo) -> type[PropertyGroup]:
    preset = PREFERRED_PRESET if PREFERRED_PRESET in backend.presets else next(iter(backend.presets))
    networks = [(AUTOMATIC, "Automatic", "The best network whose weights are here")]
    networks += [(model.name, model.label, model.help) for model in backend.models]
    presets = [(name, name.capitalize(), f"Settings for {name} results") for name in backend.presets]
    annotations = {
        "network": EnumProperty(name="Network", description="The network that looks at the picture", items=networks),
        "preset": EnumProperty(
            name="Preset",
            description="A set of values for the options",
            items=presets,
            default=preset,
            update=lambda group, context: _apply_preset(group, backend),
        ),
    }
    for option in backend.options:
        start = backend.presets[preset].get(option.name, option.default)
        annotations[property_name(option)] = _property_for(option, _stored(option, start))
    return type(f"IMAGE_TO_3D_PG_{backend.name}", (PropertyGroup,), {"__annotations__": annotations})


def _property_for(option: OptionInfo, default: Value) -> object:
    """The Blender property that draws an option with its limits and help."""
    name, description = option.label, option.help.rstrip(".")  # Blender adds the full stop
    match option.kind:
        case "bool":
            return BoolProperty(name=name, description=description, default=default)
        case "choice":
            items = [(choice, choice.replace("_", " ").capitalize(), "") for choice in option.choices]
            return EnumProperty(name=name, description=description, items=items, default=default)
        case "int":
            low, high = _limits(option, -(2**31), 2**31 - 1)
            subtype = "PIXEL" if option.unit == "pixels" else "NONE"
            return IntProperty(
                name=name, description=description, default=default, min=int(low), max=int(high), subtype=subtype
            )
    low, high = (_stored(option, limit) for limit in _limits(option, -3.4e38, 3.4e38))
    subtype = {"degrees": "ANGLE", "metres": "DISTANCE"}.get(option.unit, "NONE")
    return FloatProperty(
        name=name, description=description, default=default, min=low, max=high, subtype=subtype, step=10, precision=2
    )


def _limits(option: OptionInfo, low: float, high: float) -> tuple[float, float]:
    return (
        low if option.minimum is None else option.minimum,
        high if option.maximum is None else option.maximum,
    )


def _stored(option: OptionInfo, value: Value) -> Value:
    return math.radians(value) if option.unit == "degrees" and option.kind == "float" else value


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=SAME, abs_tol=SAME)
    return one == other


def _apply_preset(group: PropertyGroup, backend: BackendInfo) -> None:
    """Sets what any preset sets, also back to its default; what the user chose beside that stays."""
    touched = {name for values in backend.presets.values() for name in values}
    for option in backend.options:
        if option.name in touched:
            set_value(group, option, expected(backend, group, option))


def _picture_changed(own: PropertyGroup, context: bpy.types.Context) -> None:
    previews.show(bpy.path.abspath(own.picture) if own.picture else "")


def _backend_changed(own: PropertyGroup, context: bpy.types.Context) -> None:
    from . import timer as host  # it needs this module itself

    host.wake()  # the other model may need another environment
