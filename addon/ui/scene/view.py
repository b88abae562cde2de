# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewport shows: whether an object is in sight, and whether its texture is. Changes viewports, no data."""

from __future__ import annotations

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

from .place import box

SMALLEST = 0.08
"""Of the viewport's shorter side: what looks smaller is not seen."""

_SENSOR = 36.0
"""Millimetres: at a distance of a viewport's lens its longer side shows so much to each side of the middle (its sensor
of 36 mm, zoomed out by two)."""

_decided: set[int] = set()
"""Viewports whose shading we, or the user after us, have decided on."""


def largest(context: bpy.types.Context) -> tuple[bpy.types.Window, bpy.types.Area] | None:
    """The largest viewport, None where there is none."""
    found = [
        (window, area)
        for window in context.window_manager.windows
        for area in window.screen.areas
        if area.type == "VIEW_3D"
    ]
    return max(found, key=lambda each: each[1].width * each[1].height, default=None)


def bring_into_sight(context: bpy.types.Context, thing: bpy.types.Object) -> None:
    """Frames the object in the largest viewport if it is not in sight there. A camera's view stays."""
    if not (found := largest(context)):
        return
    area = found[1]
    region = next(region for region in area.regions if region.type == "WINDOW")
    view = area.spaces.active.region_3d
    if view.view_perspective == "CAMERA" or in_sight(thing, area, region, view):
        return
    own = box(thing)
    left, right = _open(area, region)
    narrowest = min(right - region.width / 2, region.width / 2 - left, region.height / 2)  # from the middle, in pixels
    share = max(narrowest / (max(region.width, region.height) / 2), SMALLEST)
    radius = (own.high - own.low).length / 2
    view.view_location = (own.low + own.high) / 2
    view.view_distance = radius * area.spaces.active.lens / (_SENSOR * share) + radius


def in_sight(
    thing: bpy.types.Object, area: bpy.types.Area, region: bpy.types.Region, view: bpy.types.RegionView3D
) -> bool:
    """Whether all of it is to be seen, large enough and not behind the sidebar."""
    own = box(thing)
    ends = [(own.low[i], own.high[i]) for i in range(3)]
    corners = [Vector((x, y, z)) for x in ends[0] for y in ends[1] for z in ends[2]]
    seen = [location_3d_to_region_2d(region, view, corner) for corner in corners]
    if None in seen:
        return False
    left, right = _open(area, region)
    x, y = ([point[i] for point in seen] for i in range(2))
    inside = left <= min(x) and max(x) <= right and min(y) >= 0 and max(y) <= region.height
    return inside and max(max(x) - min(x), max(y) - min(y)) > SMALLEST * min(right - left, region.height)


def _open(area: bpy.types.Area, region: bpy.types.Region) -> tuple[int, int]:
    """From where to where, along x, nothing lies over the region."""
    left, right = 0, region.width
    for other in area.regions:
        if other.type == "UI" and other.width > 1 and other.x + other.width > region.x:
            right = min(right, other.x - region.x)
        elif other.type == "TOOLS" and other.width > 1:
            left = max(left, other.x + other.width - region.x)
    return left, right


def can_show_textures(space: bpy.types.SpaceView3D) -> bool:
    """Whether it is Solid shading that shows materials' colours instead."""
    return space.shading.type == "SOLID" and space.shading.color_type != "TEXTURE"


def show_textures(space: bpy.types.SpaceView3D) -> None:
    """In Solid shading, for this viewport only."""
    space.shading.color_type = "TEXTURE"
    _decided.add(space.as_pointer())


def show_textures_at_first(context: bpy.types.Context) -> None:
    """The same for the largest viewport, if it is as Blender makes it and this is the first time."""
    if not (found := largest(context)):
        return
    space = found[1].spaces.active
    if space.as_pointer() in _decided:
        return
    _decided.add(space.as_pointer())
    shading = space.shading
    if (shading.type, shading.light, shading.color_type) == ("SOLID", "STUDIO", "MATERIAL"):
        shading.color_type = "TEXTURE"
