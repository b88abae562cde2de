# SPDX-License-Identifier: GPL-3.0-or-later
"""The first result in Blender's own default scene, as everybody meets it: nothing is prepared."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.hand import choose_picture, let_it_be_selected, open_the_tab

pytestmark = pytest.mark.timeout(600)

ROBOT = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"
JOB_LIMIT = 240.0


def test_the_first_result_is_to_be_seen_textured_beside_the_cube(start, user, workers_python, tmp_path, shot):
    screen = start(user, tmp_path / "home", python=workers_python)
    assert set(screen.ask("objects()")) == {"Cube", "Light", "Camera"} and screen.ask("shading()") == "MATERIAL"
    render = screen.ask("[bpy.context.scene.render.resolution_x, bpy.context.scene.camera.name]")
    open_the_tab(screen)
    choose_picture(screen, ROBOT)
    let_it_be_selected(screen)
    screen.click(screen.find("image_to_3d.generate"))
    done = screen.until("state()", lambda now: now["last"] or now["problem"], JOB_LIMIT)
    assert done["problem"] is None
    screen.until("still()")
    shot(screen, "fresh-scene")
    assert screen.ask("shading()") == "TEXTURE"
    boxes = screen.ask("boxes()")
    assert boxes["robot"][0][0] > boxes["Cube"][1][0], "beside it, not inside"
    x, y = screen.ask("seen('robot')")
    assert 0.25 < x < 0.75 and 0.25 < y < 0.75
    assert screen.ask("[bpy.context.scene.render.resolution_x, bpy.context.scene.camera.name]") == render
