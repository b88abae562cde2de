# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do, one operator each. They are thin: each calls one function of something that knows more."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, StringProperty
from bpy.types import Context, Event, FileHandler, Operator, OperatorFileListElement

from ..session import catalogue as offered
from ..session.states import State
from . import properties, scene, wording
from . import timer as host
from .environment_operators import why_not_fetched
from .preferences import PACKAGE

Returned = set[str]


class IMAGE_TO_3D_OT_choose_picture(Operator):
    """Choose the picture to make a mesh of, or several of one thing, a folder of them, or a video"""

    bl_idname = "image_to_3d.choose_picture"
    bl_label = "Choose a Picture"
    bl_options = {"INTERNAL"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    # Blender's file browser reads the way to show files from a property of this name
    display_type: EnumProperty(
        items=[
            ("DEFAULT", "Default", ""),
            ("LIST_VERTICAL", "List", ""),
            ("LIST_HORIZONTAL", "Short List", ""),
            ("THUMBNAIL", "Thumbnails", ""),
        ],
        default="THUMBNAIL",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    def invoke(self, context: Context, event: Event) -> Returned:
        self.filepath = properties.settings(context).picture
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Context) -> Returned:
        names = [file.name for file in self.files if file.name]
        several = [str(Path(self.directory) / name) for name in names] if len(names) > 1 else [self.filepath]
        properties.choose(properties.settings(context), several)
        return {"FINISHED"}


class IMAGE_TO_3D_OT_drop_picture(Operator):
    """Take the dropped pictures, or the dropped video, for the next mesh"""

    bl_idname = "image_to_3d.drop_picture"
    bl_label = "Image to 3D"
    bl_options = {"INTERNAL"}

    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        dropped = [file.name for file in self.files]
        pictures = [name for name in dropped if name.lower().endswith(properties.PICTURES)]
        names = pictures or [name for name in dropped if name.lower().endswith(properties.VIDEOS)][:1]
        if not names:
            self.report({"WARNING"}, "Neither a picture nor a video was dropped")
            return {"CANCELLED"}
        properties.choose(properties.settings(context), [str(Path(self.directory) / name) for name in names])
        if context.space_data and context.space_data.type == "VIEW_3D":
            context.space_data.show_region_ui = True
        return {"FINISHED"}


class IMAGE_TO_3D_FH_picture(FileHandler):
    """Pictures, or a video, that are dropped into the viewport."""

    bl_idname = "IMAGE_TO_3D_FH_picture"
    bl_label = "Image to 3D"
    bl_import_operator = "image_to_3d.drop_picture"
    bl_file_extensions = ";".join(properties.PICTURES + properties.VIDEOS)

    @classmethod
    def poll_drop(cls, context: Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class IMAGE_TO_3D_OT_clear_picture(Operator):
    """Choose no picture"""

    bl_idname = "image_to_3d.clear_picture"
    bl_label = "Clear Picture"
    bl_options = {"INTERNAL"}

    def execute(self, context: Context) -> Returned:
        properties.choose(properties.settings(context), [])
        return {"FINISHED"}


class IMAGE_TO_3D_OT_generate(Operator):
    """Make a textured mesh of what was chosen; where that needs something set up first, ask about it"""

    bl_idname = "image_to_3d.generate"
    bl_label = "Generate"

    @classmethod
    def poll(cls, context: Context) -> bool:
        if reason := why_not(context):
            cls.poll_message_set(wording.sentence(reason).removesuffix("."))
        return not reason

    def execute(self, context: Context) -> Returned:
        if can_be_set_up():
            bpy.ops.image_to_3d.set_up("INVOKE_DEFAULT", environment=host.session().care.needed)
            return {"FINISHED"}
        choice = properties.chosen(context, host.session().offered)
        pictures = properties.pictures(properties.settings(context))
        host.session().generate(pictures, choice.backend.name, choice.asked_model, choice.preset, choice.options)
        host.wake()
        return {"FINISHED"}


def can_be_set_up() -> bool:
    """Whether what is missing for the chosen model can be installed now."""
    session = host.session()
    missing = session.found.python is None and session.found.standing is not None
    return missing and session.can_order and not why_not_fetched()


def why_not(context: Context) -> str:
    """Why nothing can be generated now, "" if it can, or if it can be set up."""
    session = host.session()
    if session.moving:
        return f"busy: {session.state.value}"
    if can_be_set_up():
        return ""
    if session.found.python is None:
        return f"{session.found.reason}; {why_not_fetched()}".removesuffix("; ")
    if not properties.settings(context).picture:
        return "choose a picture first"
    choice = properties.chosen(context, session.offered)
    if reason := properties.mismatch(properties.settings(context), choice, session.offered):
        return reason
    model = choice.model
    if model.here or not session.asked:  # somebody may have put them there meanwhile: the worker will tell
        return ""
    return f"the weights of {model.label} are not here: download them first"


class IMAGE_TO_3D_OT_cancel(Operator):
    """Stop what is going on; nothing is added to the scene"""

    bl_idname = "image_to_3d.cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().moving

    def execute(self, context: Context) -> Returned:
        host.session().cancel()
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_enough(Operator):
    """Learn no longer: make the mesh of what there is now"""

    bl_idname = "image_to_3d.enough"
    bl_label = "Stop and Mesh Now"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        if host.session().shown.enough:
            cls.poll_message_set("It is finishing with what it has")
        return host.session().can_end_early

    def execute(self, context: Context) -> Returned:
        host.session().enough()
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_force_stop(Operator):
    """End the worker at once, because it does not react. The next job starts a new one"""

    bl_idname = "image_to_3d.force_stop"
    bl_label = "Force Stop"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().moving

    def execute(self, context: Context) -> Returned:
        host.session().force_stop()
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_download(Operator):
    """Download the weights of this network; its licence is shown beside the button"""

    bl_idname = "image_to_3d.download"
    bl_label = "Download"
    bl_options = {"INTERNAL"}

    backend: StringProperty(options={"SKIP_SAVE", "HIDDEN"})
    model: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        if not host.session().can_begin:
            cls.poll_message_set("Not while something else is going on")
            return False
        if not bpy.app.online_access:
            cls.poll_message_set(wording.sentence(wording.offline(bpy.app.online_access_override)).removesuffix("."))
        return bpy.app.online_access

    def execute(self, context: Context) -> Returned:
        host.session().download(self.backend, self.model)
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_reset_option(Operator):
    """Set this option back to what the preset says"""

    bl_idname = "image_to_3d.reset_option"
    bl_label = "Reset to Preset"
    bl_options = {"INTERNAL"}

    option: StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, context: Context) -> Returned:
        backend = offered.backend_named(host.session().offered, properties.settings(context).backend)
        group = properties.group_of(context)
        for option in backend.options:
            if option.name == self.option:
                properties.set_value(group, option, properties.expected(backend, group, option))
        return {"FINISHED"}


class IMAGE_TO_3D_OT_free_memory(Operator):
    """End the resting worker, which gives its memory back; the next job starts it again"""

    bl_idname = "image_to_3d.free_memory"
    bl_label = "Free Memory"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return host.session().state is State.READY

    def execute(self, context: Context) -> Returned:
        host.session().rest()
        host.wake()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_dismiss(Operator):
    """Hide this message"""

    bl_idname = "image_to_3d.dismiss"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    def execute(self, context: Context) -> Returned:
        host.session().dismiss()
        return {"FINISHED"}


class IMAGE_TO_3D_OT_preferences(Operator):
    """Open the add-on's preferences: folder, device, what is installed"""

    bl_idname = "image_to_3d.preferences"
    bl_label = "Preferences"
    bl_options = {"INTERNAL"}

    def execute(self, context: Context) -> Returned:
        return bpy.ops.preferences.addon_show(module=PACKAGE)


class IMAGE_TO_3D_OT_place(Operator):
    """Bring the finished mesh into the scene"""

    bl_idname = "image_to_3d.place"
    bl_label = "Image to 3D"
    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        return bool(host.session().results.waiting) and context.mode == "OBJECT"

    def execute(self, context: Context) -> Returned:
        own, result = properties.settings(context), host.session().results.waiting[0].result
        try:
            mesh = scene.place(context, result.glb, result.name)
        except scene.CannotPlace as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if own.camera and result.cameras:
            scene.add_cameras(context, result.cameras, mesh, own.backdrop)
        return {"FINISHED"}


CLASSES = (
    IMAGE_TO_3D_OT_choose_picture,
    IMAGE_TO_3D_OT_drop_picture,
    IMAGE_TO_3D_FH_picture,
    IMAGE_TO_3D_OT_clear_picture,
    IMAGE_TO_3D_OT_generate,
    IMAGE_TO_3D_OT_cancel,
    IMAGE_TO_3D_OT_enough,
    IMAGE_TO_3D_OT_force_stop,
    IMAGE_TO_3D_OT_download,
    IMAGE_TO_3D_OT_reset_option,
    IMAGE_TO_3D_OT_free_memory,
    IMAGE_TO_3D_OT_dismiss,
    IMAGE_TO_3D_OT_preferences,
    IMAGE_TO_3D_OT_place,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
