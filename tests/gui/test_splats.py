# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats of several photos in a real Blender: what is offered, and what comes of it in one that shows none."""

import pytest
from image_to_3d.tests.gui.hand import (
    choose_all,
    clear_the_scene,
    generate,
    look_at,
    open_panel,
    open_the_tab,
)

pytestmark = pytest.mark.timeout(1800)

NAME = "splats"


def test_they_are_offered_and_an_older_blender_gets_their_mesh_and_keeps_them_as_a_file(
    start, user, workers_python, tmp_path, photos, shot
):
    screen = start(user, tmp_path / "home", python=workers_python)
    shows = screen.ask("bpy.app.version >= (5, 3)")
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_all(screen, photos)
    screen.ask("setattr(settings(), 'category', 'NeRF')")
    for setting, value in (("network", NAME), ("preset", "fast")):
        screen.ask(f"setattr(settings().category_NeRF, {setting!r}, {value!r})")
    screen.until("why_not()", lambda reason: not reason)
    shot(screen, "splats-offered")
    (tmp_path / "kept").mkdir()
    screen.ask(f"setattr(settings(), 'maps', {str(tmp_path / 'kept')!r})")
    open_panel(screen, "IMAGE_TO_3D_PT_scene")
    shot(screen, "splats-scene")
    generate(screen, limit=1500.0)
    made = screen.ask("objects()")[photos.name]
    assert made["type"] == ("POINTCLOUD" if shows else "MESH")
    assert shows or [path.suffix for path in (tmp_path / "kept").iterdir()] == [".spz"]
    look_at(screen)
    shot(screen, "splats-result")
