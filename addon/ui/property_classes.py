# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of the settings, made from what the worker offers, and made anew when that changes. Must not know what is
chosen, or what follows from it (properties.py)."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty
from bpy.types import PropertyGroup

from ...worker.core.options import Option
from ...worker.core.refining import PRESETS
from ...worker.wire.offers import MethodInfo
from ..session.catalogue import Methods, categories, of_category, shape
from . import menus, properties, wording
from . import option_properties as drawn

_built: list[type[PropertyGroup]] = []
_described: Methods = ()


def rebuild(methods: Methods) -> None:
    """Makes the properties anew if what is offered needs other widgets than those there are."""
    if shape(methods) != _described:
        unregister()
        register(methods)


def register(methods: Methods) -> None:
    global _described
    _described = shape(methods)
    groups = {}
    for category in categories(methods):
        mine = of_category(methods, category)
        groups[properties.attribute("category", category)] = _category_group(category, mine)
        groups |= {properties.attribute("method", method.name): _method_group(method, mine) for method in mine}
    classes = [_class(name, annotations) for name, annotations in groups.items()]
    pointers = {name: PointerProperty(type=each) for name, each in zip(groups, classes)}
    _built.extend([*classes, _class("settings", _common_properties(methods) | pointers)])
    for each in _built:
        bpy.utils.register_class(each)
    bpy.types.WindowManager.image_to_3d = PointerProperty(type=_built[-1], options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.image_to_3d
    while _built:
        bpy.utils.unregister_class(_built.pop())


def _class(name: str, annotations: dict[str, object]) -> type[PropertyGroup]:
    return type(f"IMAGE_TO_3D_PG_{name}", (PropertyGroup,), {"__annotations__": annotations})


def _common_properties(methods: Methods) -> dict[str, object]:
    helps = {name: " ".join(each.help for each in of_category(methods, name)) for name in categories(methods)}
    return {
        "picture": StringProperty(
            name="Picture",
            description="The picture to make a mesh of; the first of several",
            subtype="FILE_PATH",
            update=properties.on_change,
        ),
        "others": StringProperty(
            name="More Pictures",
            description="Further pictures of the same thing, one a line",
            update=properties.on_change,
        ),
        "category": EnumProperty(
            name="Model",
            description="How the picture becomes a mesh",
            items=[(name, name, help.rstrip(".")) for name, help in helps.items()],
            update=properties.on_change,
        ),
        **_result_properties(),
        **_mesh_properties(methods),
        **_frame_properties(),
        **_batch_properties(),
        "clay": BoolProperty(name="Clay", description="Show the shapes alone, without their colours"),
        "shown": IntProperty(name="Shown", description="How many results are shown", default=4, min=1),
        "show_log": BoolProperty(name="Details", description="Show the end of the log"),
    }


def _frame_properties() -> dict[str, object]:
    """Of which frames depth is wanted, and where it is saved."""
    return {
        "frames_first": IntProperty(
            name="First", description="The first frame", default=1, min=1, update=properties.on_change
        ),
        "frames_last": IntProperty(
            name="Last", description="The last frame; 0: to the end", min=0, update=properties.on_change
        ),
        "frames_step": IntProperty(name="Step", description="2: every second frame", default=1, min=1),
        "frames_folder": StringProperty(
            name="Folder", description="Where the files of each frame are written", subtype="DIR_PATH"
        ),
        "maps": StringProperty(
            name="Depth Maps",
            description="The folder in which depth, normals and mask of the photo are saved as OpenEXR files, or "
            "splats as SPZ, which Blender 5.3 and later show. Empty: they are not",
            subtype="DIR_PATH",
            update=properties.on_change,
        ),
        "views": StringProperty(
            name="Views",
            description="The folder in which pictures of a thing from all sides are saved, with cameras "
            "(transforms.json), depth, and how far each pixel is believed. Empty: they are not",
            subtype="DIR_PATH",
            update=properties.on_change,
        ),
    }


def _batch_properties() -> dict[str, object]:
    """Of which pictures many things are made, and where they come."""
    return {
        "batch_source": StringProperty(
            name="Pictures",
            description="A folder of pictures, or a list of them (.txt, .csv, .jsonl)",
            subtype="FILE_PATH",
        ),
        "batch_folder": StringProperty(
            name="Results", description="Where files come. Empty: into a folder beside the pictures", subtype="DIR_PATH"
        ),
        "batch_sets": BoolProperty(
            name="Each Folder Is One Thing", description="Each folder in it holds several photos of one thing"
        ),
        "batch_library": BoolProperty(
            name="Asset Library",
            description="Make .blend files of marked assets with previews, by a Blender without a window",
            default=True,
        ),
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
            update=properties.on_change,
        ),
        "variations": IntProperty(
            name="Variations", description="How many others Vary makes", default=4, min=1, max=16
        ),
    }


def _mesh_properties(methods: Methods) -> dict[str, object]:
    """How a mesh that is there is made better."""
    return {
        "refine_by": EnumProperty(
            name="By",
            description="What Refine Selected follows",
            items=[(properties.OUTLINE, "Outline", "The picture's outline and colours: no network is needed")]
            + [(each.name, each.label, each.help) for method in methods if method.refines for each in method.networks],
        ),
        "rounds": EnumProperty(
            name="Rounds",
            description="How far Improve goes: more rounds, views and pixels",
            items=[(name, name.capitalize(), wording.about_rounds(each)) for name, each in PRESETS.items()],
            default="balanced",
        ),
    }


def _category_group(category: str, methods: Methods) -> dict[str, object]:
    names = list(dict.fromkeys(name for method in methods for name in method.presets)) or [properties.PREFERRED_PRESET]
    networks = [(properties.AUTOMATIC, "Automatic", "The best network whose weights are here")]
    networks += [(each.name, each.label, each.help) for method in methods for each in method.networks]
    menus.begin("networks", category, networks)
    menus.begin("presets", category, [(name, name.capitalize(), f"Settings for {name} results") for name in names])
    return {
        "network": EnumProperty(
            name="Network",
            description="The network that looks at the picture",
            items=lambda group, context: menus.items("networks", category),
            update=properties.on_change,
        ),
        "preset": EnumProperty(
            name="Preset",
            description="A set of values for the options",
            items=lambda group, context: menus.items("presets", category),
            default=names.index(properties.PREFERRED_PRESET) if properties.PREFERRED_PRESET in names else 0,
            update=lambda group, context: properties.on_preset(methods),
        ),
    }


def _method_group(method: MethodInfo, siblings: Methods) -> dict[str, object]:
    values = {properties.property_name(option): _option_property(siblings, method, option) for option in method.options}
    zeros = {
        properties.zero_name(option): drawn.zero(option, properties.property_name(option))
        for option in method.options
        if option.zero
    }
    return values | zeros


def _option_property(siblings: Methods, method: MethodInfo, option: Option) -> object:
    usual = method.presets.get(properties.PREFERRED_PRESET) or next(iter(method.presets.values()), {})
    return drawn.made(
        option,
        default=drawn.stored(option, usual.get(option.name, option.default)),
        update=lambda group, context: properties.on_option(siblings, method, option),
    )
