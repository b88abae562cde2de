# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences, and the settings of the moment as the session takes them. What draws them, and what has to
hear of changes, `register` is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ... import envs
from ..session.launch import Settings
from . import wording

PACKAGE = __package__.removesuffix(".addon.ui")
"""The extension's name, by which Blender finds its preferences and its folder."""

PYTHON_VARIABLE = "IMAGE_TO_3D_PYTHON"
"""Names a Python for the worker, for developers and tests; goes before the preference."""

_DEVICES = (
    ("auto", "Automatic", "The fastest device that works"),
    ("cpu", "CPU", "The processor: slow, but always there"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
    ("mps", "Metal", "The graphics of an Apple computer"),
)


_draw: Callable[[bpy.types.AddonPreferences, bpy.types.UILayout, bpy.types.Context], None]
_changed: Callable[[], None]


def _on_change(own: bpy.types.AddonPreferences, context: bpy.types.Context) -> None:
    _changed()


class IMAGE_TO_3D_AP_preferences(bpy.types.AddonPreferences):
    """Where things lie and what they run on."""

    bl_idname = PACKAGE

    folder: StringProperty(
        name="Folder",
        description="Where the worker's Python, the weights of networks and cached results are kept. "
        "Empty: the usual place for a user's data",
        subtype="DIR_PATH",
        update=_on_change,
    )
    wheelhouse: StringProperty(
        name="Packages Folder",
        description="A folder of Python packages to set up from, without any network: for machines that have "
        "none. Empty: packages come from pypi.org",
        subtype="DIR_PATH",
        update=_on_change,
    )
    device: EnumProperty(name="Device", description="What the networks run on", items=_DEVICES)
    host: StringProperty(
        name="Run On",
        description="Another machine that does the work, as ssh reaches it: user@host, or user@host:folder where the "
        "program lies there. Empty: this machine",
        update=_on_change,
    )
    python: StringProperty(
        name="Python",
        description="For developers: a Python that has all the packages, used instead of the add-on's own",
        subtype="FILE_PATH",
        update=_on_change,
    )

    show_textures: BoolProperty(
        name="Show Textures",
        description="When the first result comes into a viewport with the usual Solid shading, let it show textures",
        default=True,
    )
    mark_assets: BoolProperty(name="Mark as Asset", description="Offer each result in the asset browser")
    author: StringProperty(name="Author", description="Who is named as the author of assets")

    def draw(self, context: bpy.types.Context) -> None:
        _draw(self, self.layout, context)


def preferences() -> IMAGE_TO_3D_AP_preferences:
    return bpy.context.preferences.addons[PACKAGE].preferences


def root() -> Path:
    """The folder of everything big."""
    folder = preferences().folder
    return Path(bpy.path.abspath(folder)) if folder else envs.default_root()


def has_variable() -> bool:
    """Whether a variable names the Python."""
    return bool(os.environ.get(PYTHON_VARIABLE))


def offline() -> str:
    """Why the network is not used, "" if it may be."""
    return "" if bpy.app.online_access else wording.offline(bpy.app.online_access_override)


def why_not_fetched() -> str:
    """Why no packages can be got, "" if they can."""
    return "" if preferences().wheelhouse else offline()


def settings() -> Settings:
    """The settings of the moment."""
    own = Path(bpy.utils.extension_path_user(PACKAGE, path="", create=True))
    python, wheelhouse = os.environ.get(PYTHON_VARIABLE) or preferences().python, preferences().wheelhouse
    return Settings(
        root=root(),
        temporary=Path(bpy.app.tempdir),
        logs=own / "logs",
        catalogue=own / "catalogue.json",
        python=Path(bpy.path.abspath(python)) if python else None,
        wheelhouse=Path(bpy.path.abspath(wheelhouse)) if wheelhouse else None,
        online=bpy.app.online_access,
        device=preferences().device,
        host=preferences().host.strip(),
    )


def register(draw: Callable[..., None], changed: Callable[[], None]) -> None:
    """`draw` is given the preferences, a layout and the context."""
    global _draw, _changed
    _draw, _changed = draw, changed
    bpy.utils.register_class(IMAGE_TO_3D_AP_preferences)


def unregister() -> None:
    bpy.utils.unregister_class(IMAGE_TO_3D_AP_preferences)
