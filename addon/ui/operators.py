# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do, one operator each. They are thin: each calls one function of something that knows more."""

from __future__ import annotations

import os
from collections.abc import Callable

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty
from bpy.types import Context, Event, FileHandler, Operator, OperatorFileListElement

from ...worker.core.file_types import CAMERA_LISTS, TAKEN, VIDEOS
from ..session.session import Session
from ..session.states import State
from . import arrival, preferences, properties, scene, timer, wording

Returned = set[str]

_KNOWN = bpy.path.extensions_image | bpy.path.extensions_movie
UNKNOWN = ";".join([*(f"*{ending}" for ending in TAKEN + VIDEOS if ending not in _KNOWN), *CAMERA_LISTS])
"""What Blender's file browser takes for no picture and no movie, as patterns: it has room for 255 characters."""


def session_operator(
    name: str,
    label: str,
    description: str,
    act: Callable[[Session], object],
    why_not: Callable[[Session], str] = lambda session: "",
) -> type[Operator]:
    """An operator that does something which concerns the session, and is grey for the reason that `why_not` gives."""

    def poll(cls: type[Operator], context: Context) -> bool:
        return not grey(cls, why_not(timer.session()))

    def execute(self: Operator, context: Context) -> Returned:
        act(timer.session())
        timer.wake()
        return {"FINISHED"}

    members = {"bl_idname": f"image_to_3d.{name}", "bl_label": label, "bl_description": description}
    members |= {"bl_options": {"INTERNAL"}, "poll": classmethod(poll), "execute": execute}
    return type(f"IMAGE_TO_3D_OT_{name}", (Operator,), members)


def grey(operator: type[Operator], reason: str) -> str:
    """The reason, which is told to who points at the button."""
    if reason:
        operator.poll_message_set(wording.sentence(reason).removesuffix("."))
    return reason


def no_room(session: Session) -> str:
    """Why no further job can begin, or wait for its turn; "" if one can."""
    if session.can_add:
        return ""
    full = session.moving or session.interpreter.python is not None
    return f"{len(session.queue)} jobs wait already" if full else session.interpreter.reason


class _Taking:
    """What the operators have in common that take files."""

    bl_options = {"INTERNAL"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})

    def take(self, context: Context, names: list[str]) -> Returned:
        properties.choose(properties.settings(context), [os.path.join(self.directory, name) for name in names])
        return {"FINISHED"}


class IMAGE_TO_3D_OT_choose_picture(_Taking, Operator):
    """Choose the picture to make a mesh of, or several of one thing, a folder of them, or a video"""

    bl_idname = "image_to_3d.choose_picture"
    bl_label = "Choose a Picture"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: StringProperty(default=UNKNOWN, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    # Blender's file browser reads the way to show files from a property of this name
    display_type: EnumProperty(
        items=[(way, way, "") for way in ("DEFAULT", "LIST_VERTICAL", "LIST_HORIZONTAL", "THUMBNAIL")],
        default="THUMBNAIL",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    def invoke(self, context: Context, event: Event) -> Returned:
        self.filepath = properties.settings(context).picture
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Context) -> Returned:
        names = [file.name for file in self.files if file.name]
        return self.take(context, names if len(names) > 1 else [self.filepath])


class IMAGE_TO_3D_OT_drop_picture(_Taking, Operator):
    """Take the dropped pictures, or the dropped video, for the next mesh"""

    bl_idname = "image_to_3d.drop_picture"
    bl_label = "Image to 3D"

    def execute(self, context: Context) -> Returned:
        dropped = [file.name for file in self.files]
        pictures = [name for name in dropped if name.lower().endswith(TAKEN)]
        names = pictures or [name for name in dropped if name.lower().endswith(VIDEOS)][:1]
        if not names:
            self.report({"WARNING"}, "Neither a picture nor a video was dropped")
            return {"CANCELLED"}
        if context.space_data and context.space_data.type == "VIEW_3D":
            context.space_data.show_region_ui = True
        return self.take(context, names)


class IMAGE_TO_3D_FH_picture(FileHandler):
    """Pictures, or a video, that are dropped into the viewport."""

    bl_idname = "IMAGE_TO_3D_FH_picture"
    bl_label = "Image to 3D"
    bl_import_operator = "image_to_3d.drop_picture"
    bl_file_extensions = ";".join(TAKEN + VIDEOS)

    @classmethod
    def poll_drop(cls, context: Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class IMAGE_TO_3D_OT_generate(Operator):
    """Make a textured mesh of what was chosen, after what runs. If something has to be set up first, ask about it"""

    bl_idname = "image_to_3d.generate"
    bl_label = "Generate"

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, why_not(context))

    def execute(self, context: Context) -> Returned:
        session = timer.session()
        if can_be_set_up():
            needed = session.environments.needed
            bpy.ops.image_to_3d.set_up("INVOKE_DEFAULT", environment=needed, then_generate=not _unfit(context))
            return {"FINISHED"}
        recipe = timer.chosen(context).recipe
        if session.makes(recipe):  # not grey: Blender would leave it so below a mouse that does not move
            self.report({"INFO"}, "Exactly this is being made already: change something for another")
            return {"CANCELLED"}
        session.generate(recipe)
        timer.wake()
        return {"FINISHED"}


def can_be_set_up() -> bool:
    """Whether what is missing for the chosen method can be installed now."""
    session = timer.session()
    missing = session.interpreter.python is None and session.interpreter.standing is not None
    return missing and not session.moving and not preferences.why_not_fetched()


def why_not(context: Context) -> str:
    """Why nothing can be generated now, "" if it can, or if it can be set up."""
    session = timer.session()
    if can_be_set_up():
        return ""
    if session.interpreter.python is None:
        return f"{session.interpreter.reason}; {preferences.why_not_fetched()}".removesuffix("; ")
    return _unfit(context) or no_room(session)


def _unfit(context: Context) -> str:
    """Why nothing can be made of what is chosen, wherever; "" if it can."""
    session = timer.session()
    if not properties.settings(context).picture:
        return "choose a picture first"
    choice = timer.chosen(context)
    if choice.mismatch:
        return choice.mismatch
    network = choice.network
    # before a worker has told, somebody may have put them there
    if network is None or network.here or not network.bytes or not session.up_to_date:
        return ""
    return f"the weights of {network.label} are not here: download them first"


class IMAGE_TO_3D_OT_download(Operator):
    """Download the weights of this network; its licence is shown beside the button"""

    bl_idname = "image_to_3d.download"
    bl_label = "Download"
    bl_options = {"INTERNAL"}

    network: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        return not grey(cls, no_room(timer.session()) or preferences.offline())

    def execute(self, context: Context) -> Returned:
        timer.session().download(self.network)
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_reset_option(Operator):
    """Set this option back to what the preset says"""

    bl_idname = "image_to_3d.reset_option"
    bl_label = "Reset to Preset"
    bl_options = {"INTERNAL"}

    option: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        properties.reset(properties.settings(context), timer.session().methods, self.option)
        return {"FINISHED"}


class IMAGE_TO_3D_OT_take_network(Operator):
    """Make meshes with this network"""

    bl_idname = "image_to_3d.take_network"
    bl_label = "Take Network"
    bl_options = {"INTERNAL"}

    category: StringProperty(options={"SKIP_SAVE", "HIDDEN"})
    network: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        own = properties.settings(context)
        own.category = self.category
        properties.of_the_category(own).network = self.network or properties.AUTOMATIC
        return {"FINISHED"}


class IMAGE_TO_3D_OT_throw_dice(Operator):
    """Another seed: another guess at what the picture does not show"""

    bl_idname = "image_to_3d.throw_dice"
    bl_label = "Another Seed"
    bl_options = {"INTERNAL"}

    def execute(self, context: Context) -> Returned:
        properties.throw_dice(properties.settings(context), timer.chosen(context).method)
        return {"FINISHED"}


class IMAGE_TO_3D_OT_unqueue(Operator):
    """Take this job out of the queue"""

    bl_idname = "image_to_3d.unqueue"
    bl_label = "Remove from Queue"
    bl_options = {"INTERNAL"}

    number: IntProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        timer.session().unqueue(self.number)
        timer.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_add_mesh(Operator):
    """Bring the finished mesh into the scene"""

    bl_idname = "image_to_3d.add_mesh"
    bl_label = "Image to 3D"
    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return bool(timer.session().results.waiting) and context.mode == "OBJECT"

    def execute(self, context: Context) -> Returned:
        own, finished = properties.settings(context), timer.session().results.waiting[0]
        with context.temp_override(window=context.window_manager.windows[0]):  # a timer has none
            try:
                mesh = arrival.bring_in(context, finished)
            except scene.CannotAdd as error:
                self.report({"ERROR"}, str(error))
                return {"CANCELLED"}
            if own.camera and finished.result.cameras:
                scene.add_cameras(context, finished.result.cameras, mesh, own.backdrop, own.rendered)
        return {"FINISHED"}


CLASSES = (
    IMAGE_TO_3D_OT_choose_picture,
    IMAGE_TO_3D_OT_drop_picture,
    IMAGE_TO_3D_FH_picture,
    IMAGE_TO_3D_OT_generate,
    IMAGE_TO_3D_OT_download,
    IMAGE_TO_3D_OT_reset_option,
    IMAGE_TO_3D_OT_take_network,
    IMAGE_TO_3D_OT_throw_dice,
    IMAGE_TO_3D_OT_unqueue,
    IMAGE_TO_3D_OT_add_mesh,
    session_operator(
        "clear_picture",
        "Clear Picture",
        "Choose no picture",
        lambda session: properties.choose(properties.settings(bpy.context), []),
    ),
    session_operator(
        "preferences",
        "Preferences",
        "Open the add-on's preferences: folder, device, what is installed",
        lambda session: bpy.ops.preferences.addon_show(module=preferences.PACKAGE),
    ),
    session_operator(
        "cancel",
        "Cancel",
        "Stop what is going on; a first guess that is in the scene stays. What waits goes on",
        Session.cancel,
        lambda session: "" if session.moving else "nothing is going on",
    ),
    session_operator(
        "enough",
        "Stop and Mesh Now",
        "Learn no longer: make the mesh of what there is now",
        Session.enough,
        lambda session: "" if session.can_end_early else "it is finishing with what it has",
    ),
    session_operator(
        "force_stop",
        "Force Stop",
        "End the worker at once, because it does not react. The next job starts a new one",
        Session.force_stop,
        lambda session: "" if session.moving else "nothing is going on",
    ),
    session_operator(
        "free_memory",
        "Free Memory",
        "End the resting worker, which gives its memory back; the next job starts it again",
        Session.rest,
        lambda session: "" if session.state is State.READY else "no worker is resting",
    ),
    session_operator("dismiss", "Dismiss", "Hide this message", Session.dismiss),
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
