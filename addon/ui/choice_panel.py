# SPDX-License-Identifier: GPL-3.0-or-later
"""What is chosen: pictures, model, network, preset, options, and what fits the pictures. Draws the state; never changes
it, starts, waits, or touches a file.
"""

from __future__ import annotations

from dataclasses import replace

import bpy
from bpy.types import Context, UILayout

from ...worker.core.options import Option
from ...worker.wire.offers import MethodInfo, NetworkInfo
from ..session.catalogue import find
from ..session.session import Session
from . import advice, drawing, preferences, previews, properties, timer, wording
from .advice import Fit
from .choices import Choice
from .scene.splats import can_show

THUMBNAIL_SCALE = 6.0
SHEET_SCALE = 2.6
SHEET_COLUMNS = 4
LABEL_SPLIT = 0.46

GROUPS = (("picture", "The Picture"), ("detail", "How Fine"), ("sampling", "Guessing"), ("placement", "Placement"))
"""Of options, in the order in which they are drawn; the subject and the seed have places of their own."""


def draw_pictures(layout: UILayout, context: Context) -> None:
    """What was chosen, as thumbnails, and where else a picture can come from."""
    own = properties.settings(context)
    if not own.picture:
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("image_to_3d.choose_picture", text="Choose a Picture", icon="FILE_IMAGE")
        row.menu("IMAGE_TO_3D_MT_pictures", text="", icon="DOWNARROW_HLT")
        return
    box, paths = layout.box().column(), properties.pictures(own)
    kind, inside = properties.kind(own), previews.folder.pictures
    if len(paths) > 1 or inside:
        _draw_sheet(box, inside or paths, can_take_out=not inside)
    elif icon := previews.gallery.icon(paths[0]):
        box.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
    row = box.row(align=True)
    icon = {"folder": "FILE_FOLDER", "video": "FILE_MOVIE"}.get(kind, "NONE")
    row.label(text=f"{len(paths)} photos" if len(paths) > 1 else wording.pictures(paths), icon=icon)
    row.operator("image_to_3d.choose_picture", text="", icon="FILE_FOLDER")
    row.menu("IMAGE_TO_3D_MT_pictures", text="", icon="DOWNARROW_HLT")
    row.operator("image_to_3d.clear_picture", text="", icon="X")
    if kind == "video":
        drawing.note(box, context, wording.video(previews.video.frames, previews.video.seconds))
    elif kind == "folder":
        drawing.note(box, context, wording.folder(len(inside)))


def _draw_sheet(layout: UILayout, paths: tuple[str, ...], can_take_out: bool) -> None:
    grid = layout.grid_flow(row_major=True, columns=SHEET_COLUMNS, even_columns=True, align=True)
    for place, path in enumerate(paths[: previews.SHEET]):
        cell = grid.column(align=True)
        icon = previews.gallery.icon(path)
        cell.template_icon(icon_value=icon, scale=SHEET_SCALE) if icon else cell.label(text=bpy.path.basename(path))
        if can_take_out:
            cell.operator("image_to_3d.take_out", text="", icon="X", emboss=False).place = place
    if can_take_out and (more := len(paths) - previews.SHEET) > 0:
        layout.label(text=f"and {more} more")


def draw_choice(layout: UILayout, context: Context, choice: Choice) -> None:
    """Model, network, preset, and what that comes to."""
    own = properties.settings(context)
    group, network = properties.of_the_category(own), choice.network
    column = layout.column(align=True)
    row = column.split(factor=0.32, align=True)
    row.label(text="Model")
    row.prop(own, "category", text="")
    column.prop(group, "network", text="")  # names of networks are long: no room for a label
    if choice.mismatch and own.picture:
        return
    if network is None:
        drawing.note(layout, context, f"Automatic: {choice.method.label}")
    else:
        name = f"{network.label}, " if choice.is_automatic else "Licence: "
        drawing.note(layout, context, name + wording.licence(network))
    _draw_how(layout, context, choice.method)


def _draw_how(layout: UILayout, context: Context, method: MethodInfo) -> None:
    """What of the picture is meant, the preset, and what that comes to."""
    own = properties.settings(context)
    for option in (each for each in method.options if each.group == "subject"):
        column = layout.column(align=True)
        column.label(text=option.label)
        row = column.row(align=True)
        row.prop(properties.of_method(own, method), properties.property_name(option), expand=True)
    layout.row(align=True).prop(properties.of_the_category(own), "preset", expand=True)
    if method.makes == "Splats":
        here = (
            "Shown as splats, by Blender itself."
            if can_show()
            else "Blender 5.3 shows splats: here they become a mesh. Scene > Save Splats In keeps both."
        )
        drawing.note(layout, context, here)
    known = timer.session().estimate.answer
    if text := wording.estimate(known, properties.preset(own, method)):
        drawing.note(layout, context, wording.sentence(text).removesuffix("."))


def draw_missing(layout: UILayout, context: Context, choice: Choice) -> None:
    """That the weights of what is chosen are to be downloaded first, and what else there would be."""
    network, session = choice.network, timer.session()
    box = layout.box().column()
    drawing.text(box, context, f"{network.label} has to be downloaded once.", "INFO")
    _draw_download(box, network, f"Download {wording.size(network.bytes)}")
    if advice.several_without(session.methods, choice.method):
        drawing.note(box, context, f"{choice.method.category} of several photos needs no download.")
    if reason := preferences.offline():
        drawing.offline(box, context, reason)


def _draw_download(layout: UILayout, network: NetworkInfo, text: str) -> None:
    layout.operator("image_to_3d.download", text=text, icon="IMPORT").network = network.name


# ---- what fits


def draw_fits(layout: UILayout, context: Context, choice: Choice, session: Session) -> None:
    """Which methods fit what there is, with the best that is installed, and what is better and a download away; where
    what is chosen does not fit, that is drawn already."""
    own = properties.settings(context)
    if not own.picture or choice.mismatch:
        return
    several = properties.is_several(own)
    header, body = layout.panel("image_to_3d_fits", default_closed=True)
    header.label(text=f"What Fits {_what(own)}")
    if body is None:
        return
    for fit in advice.fits(session.methods, several):
        _draw_fit(body.column(align=True), own, choice, fit)


def draw_mismatch(layout: UILayout, context: Context, choice: Choice, session: Session) -> None:
    """Why what is chosen cannot be made of these pictures, and buttons for what can."""
    own, box = properties.settings(context), layout.box().column()
    drawing.text(box, context, wording.sentence(choice.mismatch), "INFO")
    for fit in advice.fits(session.methods, properties.is_several(own)):
        if fit.best:
            _draw_fit(box.column(align=True), own, choice, replace(fit, better=None))
    if choice.method.makes == "DepthMap":
        drawing.note(box, context, "For the depth of each frame see Frames, below.")


def _what(own: bpy.types.PropertyGroup) -> str:
    names = {"folder": "a Folder", "video": "a Video"}
    return names.get(properties.kind(own)) or ("Several Photos" if own.others else "One Picture")


def _draw_fit(column: UILayout, own: bpy.types.PropertyGroup, choice: Choice, fit: Fit) -> None:
    subject = "" if properties.is_several(own) else ": all it shows" if fit.whole else ": the thing alone"
    column.label(text=fit.category + subject)
    if fit.best:
        taken = choice.network is not None and choice.network.name == fit.best.name
        button = column.operator("image_to_3d.take_network", text=fit.best.label, icon="CHECKMARK", depress=taken)
        button.category, button.network = fit.category, fit.best.name
    if fit.better:
        row = column.row(align=True)
        button = row.operator("image_to_3d.take_network", text=fit.better.label)
        button.category, button.network = fit.category, fit.better.name
        _draw_download(row, fit.better, "")
        note = column.row()
        note.active = False
        size, licence = wording.size(fit.better.bytes), wording.licence(fit.better)
        note.label(text=f"{'Better' if fit.best else 'Download'}: {size}, {licence}")


# ---- options


def draw_seed(layout: UILayout, context: Context, method: MethodInfo) -> None:
    """Which guess it is, where the method guesses, with dice."""
    if seed := properties.seed_of(method):
        row = layout.row(align=True)
        row.prop(properties.of_method(properties.settings(context), method), properties.property_name(seed))
        row.operator("image_to_3d.throw_dice", text="", icon="FILE_REFRESH")


def draw_refining(layout: UILayout, context: Context) -> None:
    """The options of what refines a mesh, where a network does."""
    own = properties.settings(context)
    if own.refine_by == properties.OUTLINE:
        return
    method, _ = find(timer.session().methods, own.refine_by)
    group, changed = properties.of_method(own, method), properties.changed(own, method)
    draw_seed(layout, context, method)
    for option in method.options:
        if option.group == "sampling":
            if option.zero:
                layout.prop(group, properties.zero_name(option), text=f"{option.label} {option.zero}")
            if not option.zero or option.name in changed:
                layout.prop(group, properties.property_name(option))


def draw_options(layout: UILayout, context: Context, method: MethodInfo) -> None:
    """All options, by what they are about."""
    own = properties.settings(context)
    group, changed = properties.of_method(own, method), properties.changed(own, method)
    for name, title in GROUPS:
        options = [option for option in method.options if option.group == name]
        if options:
            header, body = layout.panel(f"image_to_3d_{name}", default_closed=name == "sampling")
            header.label(text=title)
            for option in options if body else ():
                _draw_option(body, group, option, option.name in changed)
    layout.prop(own, "fresh")


def _draw_option(layout: UILayout, group: bpy.types.PropertyGroup, option: Option, is_changed: bool) -> None:
    """Without Blender's column of labels, which cuts them in a narrow sidebar."""
    name = properties.property_name(option)
    if option.zero:
        row = layout.row()
        row.label(text=option.label)
        row.prop(group, properties.zero_name(option))
    if not option.zero or is_changed:
        row = layout.row(align=True)
        if option.choices:
            row = row.split(factor=LABEL_SPLIT, align=True)
            row.label(text=option.label)
            row = row.row(align=True)
        row.prop(group, name, **({"text": ""} if option.choices else {}))
        if is_changed:
            row.operator("image_to_3d.reset_option", text="", icon="LOOP_BACK").option = option.name
