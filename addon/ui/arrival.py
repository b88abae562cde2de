# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when a result comes into the scene: it stands in a free place, says how it was made, and is seen."""

from __future__ import annotations

import bpy

from ...worker.core.sequence_info import SequenceResult
from ...worker.wire.making import Provenance
from ..session import provenance
from ..session.jobs import Coarse, Finished
from . import preferences, scene
from .scene import asset, coarse, place, replacing, view
from .scene import provenance as kept


def bring_in(context: bpy.types.Context, finished: Finished) -> bpy.types.Object:
    """Adds the result to the scene: one object, or a thing with the scene behind it. Returns the first. Raises
    scene.CannotAdd."""
    result = finished.result
    if not result.splats:
        scene.check(finished.file)
    stood = coarse.taken_away(context, str(finished.folder))
    things = _added(context, finished)
    largest = things[-1]  # what is behind a thing is around it
    instead = finished.instead
    if stood is not None and instead:
        replacing.standing_at(things[0], instead.name, instead.name, instead.turned, stood)
    elif stood is not None:
        largest.matrix_world = stood
    elif not (instead and replacing.replaced(context, things[0], instead.name, instead.turned)):
        neighbour = context.scene.objects.get(finished.beside)
        at = neighbour.matrix_world.translation if neighbour else context.scene.cursor.location
        place.stand(largest, at.copy(), place.in_the_way(context, things))
    for thing in things:
        thing.matrix_world = largest.matrix_world
        if result.provenance:
            kept.keep(thing, provenance.text(result), provenance.readable(result.provenance))
            if preferences.preferences().mark_assets:
                mark_as_asset(thing)
    _show(context, things[0])
    return things[0]


def _added(context: bpy.types.Context, finished: Finished) -> list[bpy.types.Object]:
    """The objects of what was made. Raises scene.CannotAdd."""
    if finished.result.splats:
        return scene.add_splats(context, finished.result.glb, finished.result.name)
    return scene.add_meshes(context, finished.file, finished.result.name)


def bring_in_coarse(context: bpy.types.Context, first: Coarse) -> bool:
    """Adds a first guess to the scene, which the result will replace; whether that could be done."""
    with context.temp_override(window=context.window_manager.windows[0]):
        try:
            [thing] = scene.add_meshes(context, first.file, "")
        except (scene.CannotAdd, ValueError):  # a look less
            return False
        stood, instead = coarse.taken_away(context, str(first.folder)), first.instead
        coarse.mark(thing, str(first.folder))
        if stood is not None and instead:
            replacing.standing_at(thing, instead.name, instead.name, instead.turned, stood)
        elif not (instead and replacing.replaced(context, thing, instead.name, instead.turned)):
            place.stand(thing, context.scene.cursor.location.copy(), place.in_the_way(context, (thing,)))
        _show(context, thing)
    return True


def bring_in_sequence(context: bpy.types.Context, found: SequenceResult) -> None:
    """Adds the depth of frames to the scene, with its camera. Raises scene.CannotAdd."""
    thing, camera = scene.add_sequence(context, found)
    context.view_layer.update()  # the box is that of the displaced grid then
    place.stand(thing, context.scene.cursor.location.copy(), place.in_the_way(context, (thing,)))
    camera.matrix_world = thing.matrix_world
    _show(context, thing)


def _show(context: bpy.types.Context, thing: bpy.types.Object) -> None:
    if preferences.preferences().show_textures:
        view.show_textures_at_first(context)
    view.bring_into_sight(context, thing)


def mark_as_asset(thing: bpy.types.Object) -> None:
    """Offers the object in the asset browser, with what is known of it."""
    made, author = provenance.parsed(kept.kept(thing)), preferences.preferences().author
    asset.mark(thing, about(made, author) if made else asset.About(author=author))


def about(made: Provenance, author: str) -> asset.About:
    """What the asset browser says of what was made so."""
    return asset.About(
        description=f"Made by {made.label} of {provenance.readable(made)['Picture']}",
        author=author,
        licence=made.licence,
        tags=("Image to 3D", made.category, made.label),
    )
