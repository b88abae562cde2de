# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a result that is in the scene, one operator each. They are thin: each calls one function."""

from __future__ import annotations

from functools import partial

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty
from bpy.types import Context, Object, Operator

from ...worker.core.options import Value
from ...worker.wire.making import Provenance
from ..session import catalogue, provenance
from ..session.jobs import Instead
from . import arrival, choices, properties, scene, timer
from .operators import Returned, grey, no_room
from .scene import detail, printable, retopology, sending, view
from .scene import provenance as kept


def made(thing: Object | None) -> Provenance | None:
    """How the object was made, None where that is not known."""
    text = kept.kept(thing)
    return provenance.parsed(text) if text else None


def why_not_mesh(context: Context) -> str:
    """Why nothing can be made of the active object, "" if it can."""
    thing = context.active_object
    if thing is None or thing.type != "MESH" or not thing.select_get():
        return "select a mesh first"
    return "" if context.mode == "OBJECT" else "leave edit mode first"


def why_not_again(context: Context) -> str:
    """Why the active object cannot be made again, "" if it can."""
    if (found := made(context.active_object)) is None:
        return "select an object that Image to 3D has made"
    try:
        catalogue.find(timer.session().methods, found.network)
    except LookupError:
        if found.method == "improve":
            return "it was improved in rounds: choose Improve for more of them"
        return f"{found.label} is not offered any more"
    return no_room(timer.session())


def why_not_improved(context: Context) -> str:
    """Why the active object cannot be improved by the chosen pictures, "" if it can."""
    own = properties.settings(context)
    if reason := why_not_mesh(context):
        return reason
    if not own.picture or properties.kind(own) != "pictures":
        return "choose one or more pictures of it first"
    return no_room(timer.session())


def why_not_refined(context: Context) -> str:
    """Why the active object cannot be refined by the chosen picture, "" if it can."""
    own = properties.settings(context)
    if reason := why_not_mesh(context):
        return reason
    if not own.picture or properties.is_several(own) or properties.kind(own) != "pictures":
        return "choose one picture of it first"
    return no_room(timer.session())


class _OfResult:
    """What is done with a result whose making is known."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, why_not_again(context))


class _OfMesh:
    """What is done with any mesh, as one undo step; the panel below the viewport has its settings."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, why_not_mesh(context))


class IMAGE_TO_3D_OT_regenerate(_OfResult, Operator):
    """Make the same again, of the same pictures with the same settings, beside it: what is kept comes at once"""

    bl_idname = "image_to_3d.regenerate"
    bl_label = "Regenerate"

    def execute(self, context: Context) -> Returned:
        return again(self, context, [{}])


class IMAGE_TO_3D_OT_vary(_OfResult, Operator):
    """Make others of the same picture, each with another seed, in a row beside it"""

    bl_idname = "image_to_3d.vary"
    bl_label = "Vary"

    count: IntProperty(default=4, options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        reason = why_not_again(context)
        if not reason and not provenance.seeds(made(context.active_object), 1):
            reason = "its network always makes the same of a picture"
        return not grey(cls, reason)

    def execute(self, context: Context) -> Returned:
        seeds = provenance.seeds(made(context.active_object), self.count)
        return again(self, context, [{provenance.SEED: seed} for seed in seeds])


def again(operator: Operator, context: Context, changes: list[dict[str, Value]]) -> Returned:
    """Begins to make the active object again, once with each of these changes, to stand in a row beside it."""
    thing, cached, session = context.active_object, not properties.settings(context).fresh, timer.session()
    recipes = [choices.as_made(made(thing), changed, cached, thing.name) for changed in changes]
    if (begun := sum(map(session.generate, recipes))) < len(recipes):
        operator.report({"WARNING"}, f"{begun} of {len(recipes)} were begun: {len(session.queue)} jobs wait already")
    timer.wake()
    return {"FINISHED"}


class IMAGE_TO_3D_OT_load_settings(_OfResult, Operator):
    """Set the panel as it was when this was made"""

    bl_idname = "image_to_3d.load_settings"
    bl_label = "Load Settings"

    def execute(self, context: Context) -> Returned:
        properties.load(properties.settings(context), timer.session().methods, made(context.active_object))
        return {"FINISHED"}


class IMAGE_TO_3D_OT_show_textures(Operator):
    """Show textures in this viewport's Solid shading"""

    bl_idname = "image_to_3d.show_textures"
    bl_label = "Show Textures"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return context.space_data is not None and context.space_data.type == "VIEW_3D"

    def execute(self, context: Context) -> Returned:
        view.show_textures(context.space_data)
        return {"FINISHED"}


class IMAGE_TO_3D_OT_mark_asset(_OfMesh, Operator):
    """Offer the selected objects in the asset browser, with preview, author, licence and tags"""

    bl_idname = "image_to_3d.mark_asset"
    bl_label = "Mark as Asset"

    def execute(self, context: Context) -> Returned:
        for thing in context.selected_objects:
            if thing.type == "MESH":
                arrival.mark_as_asset(thing)
        return {"FINISHED"}


class IMAGE_TO_3D_OT_retopologise(_OfMesh, Operator):
    """Make a lighter mesh of this shape, with its texture and relief baked onto it. This one is kept, hidden"""

    bl_idname = "image_to_3d.retopologise"
    bl_label = "Retopologise"

    way: EnumProperty(name="Topology", items=retopology.WAYS, default="QUADS")
    faces: IntProperty(
        name="Faces", description="How many faces it is to have, about", default=4000, min=50, max=200_000
    )
    texture: IntProperty(
        name="Texture", description="Side of the new textures", default=2048, min=64, max=8192, subtype="PIXEL"
    )
    normal_map: BoolProperty(name="Normal Map", description="Bake the relief that the lighter mesh lacks", default=True)

    def execute(self, context: Context) -> Returned:
        wish = retopology.Wish(self.way, self.faces, self.texture, self.normal_map)
        try:
            new = retopology.retopologised(context, context.active_object, wish)
        except scene.CannotChange as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"{new.name}: {len(new.data.polygons):,} faces")
        return {"FINISHED"}


class IMAGE_TO_3D_OT_refine_selected(Operator):
    """Give this mesh the outline and the colours of the chosen picture of it, in its place, or have a network refine
    it. This one is kept, hidden"""

    bl_idname = "image_to_3d.refine_selected"
    bl_label = "Refine Selected"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, why_not_refined(context))

    def execute(self, context: Context) -> Returned:
        thing = context.active_object
        [picture] = properties.pictures(properties.settings(context))
        try:
            instead = Instead(thing.name, tuple(map(tuple, sending.turned(thing))))
            send = partial(sending.send, context, thing)
            timer.session().refine(
                picture, instead, send, choices.refining(properties.settings(context), timer.session().methods)
            )
        except scene.CannotChange as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_improve(Operator):
    """Make this mesh better in rounds: what the chosen pictures do not show is painted, shape and colours follow. Each
    round replaces the one before; this one is kept, hidden"""

    bl_idname = "image_to_3d.improve"
    bl_label = "Improve"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, why_not_improved(context))

    def execute(self, context: Context) -> Returned:
        thing, own = context.active_object, properties.settings(context)
        try:
            instead = Instead(thing.name, tuple(map(tuple, sending.turned(thing))))
            send = partial(sending.send, context, thing)
            timer.session().improve(properties.pictures(own), own.rounds, instead, send)
        except scene.CannotChange as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_make_printable(_OfMesh, Operator):
    """Make a closed solid with a flat base, as large as is said here, to be printed. This one is kept, hidden"""

    bl_idname = "image_to_3d.make_printable"
    bl_label = "Make Printable"

    size: FloatProperty(
        name="Size", description="Longest side, in millimetres", default=100.0, min=1.0, soft_max=1000.0, max=100_000.0
    )
    base: FloatProperty(
        name="Flat Base",
        description="How much is cut off below, so that it stands",
        default=2.0,
        min=0.0,
        max=50.0,
        subtype="PERCENTAGE",
    )

    def execute(self, context: Context) -> Returned:
        try:
            new = printable.printable(context, context.active_object, self.size, self.base / 100.0)
        except scene.CannotChange as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        size = " × ".join(f"{side:.1f}" for side in printable.millimetres(context, new))
        self.report({"INFO"}, f"{new.name}: closed, {size} mm")
        return {"FINISHED"}


class IMAGE_TO_3D_OT_levels_of_detail(_OfMesh, Operator):
    """Make a middle and a low version of this, with the same texture, in a collection of their own"""

    bl_idname = "image_to_3d.levels_of_detail"
    bl_label = "Levels of Detail"

    middle: FloatProperty(
        name="Middle", description="Share of the faces", default=30.0, min=1.0, max=100.0, subtype="PERCENTAGE"
    )
    low: FloatProperty(
        name="Low", description="Share of the faces", default=8.0, min=0.1, max=100.0, subtype="PERCENTAGE"
    )

    def execute(self, context: Context) -> Returned:
        levels = detail.levels(context, context.active_object, (self.middle / 100.0, self.low / 100.0))
        counts = ", ".join(f"{len(level.data.polygons):,}" for level in levels)
        self.report({"INFO"}, f"Levels of detail with {counts} faces")
        return {"FINISHED"}


CLASSES = (
    IMAGE_TO_3D_OT_regenerate,
    IMAGE_TO_3D_OT_vary,
    IMAGE_TO_3D_OT_load_settings,
    IMAGE_TO_3D_OT_show_textures,
    IMAGE_TO_3D_OT_mark_asset,
    IMAGE_TO_3D_OT_retopologise,
    IMAGE_TO_3D_OT_refine_selected,
    IMAGE_TO_3D_OT_improve,
    IMAGE_TO_3D_OT_make_printable,
    IMAGE_TO_3D_OT_levels_of_detail,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
