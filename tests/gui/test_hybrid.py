# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid and Refine Selected in a real Blender, by mouse."""

import re
import time
from pathlib import Path

import pytest
from image_to_3d.tests.gui.hand import (
    choose_model,
    choose_picture,
    clear_the_scene,
    open_panel,
    open_the_tab,
    over_the_view,
    scrolled_to,
)

pytestmark = pytest.mark.timeout(900)

JOB_LIMIT = 300.0
ROBOT = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"
STRETCH = 1.2


def test_a_coarse_mesh_is_replaced_and_a_stretched_one_gets_the_pictures_outline(
    start, user, workers_python, tmp_path, shot, record_testsuite_property
):
    screen = start(user, tmp_path / "home", python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    screen.ask("watch_panels()")
    choose_picture(screen, ROBOT)
    choose_model(screen, "NeRF", "Diffusion", "Hybrid")
    shot(screen, "hybrid-idle")
    screen.click(screen.find("image_to_3d.generate"))
    began = time.monotonic()
    screen.until("objects()", patience=JOB_LIMIT)
    assert screen.ask("state()")["state"] == "BUSY", "the first guess comes before the result"
    record_testsuite_property("seconds to the coarse mesh", time.monotonic() - began)
    coarse = screen.ask("shape('robot')")
    shot(screen, "hybrid-coarse")
    done = screen.until("state()", lambda now: now["last"] or now["problem"], JOB_LIMIT)
    assert done["problem"] is None and list(screen.ask("objects()")) == ["robot"]
    assert screen.ask("shape('robot')") != coarse
    shot(screen, "hybrid-result")

    screen.ask(f"setattr(bpy.data.objects['robot'], 'scale', ({STRETCH}, 1.0, 1.0))")
    open_panel(screen, "IMAGE_TO_3D_PT_work_on")
    screen.click(scrolled_to(screen, "image_to_3d.refine_selected", (0.3,)))
    now = screen.until("objects()", lambda found: "robot before" in found, JOB_LIMIT)
    shot(screen, "refined")
    assert now["robot"]["selected"] and not now["robot before"]["selected"]
    [said] = [each for each in screen.ask("session().results.last.warnings") if "the outline fits" in each]
    after, before = map(float, re.findall(r"by ([\d.]+) %", said))
    record_testsuite_property("outline before and after, %", (before, after))
    assert after > 95.0 and after > before + 3.0
    over_the_view(screen)
    screen.press("ctrl+z")
    screen.until("objects()", lambda found: list(found) == ["robot"])
