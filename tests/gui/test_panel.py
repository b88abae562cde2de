# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel as a user works with it, by mouse, in a real Blender: a queue, the history, several photos, and how all of
it looks at the sidebar's usual width and at double size."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import HEADER, choose_model, choose_picture, generate, let_it_be_selected, open_the_tab

pytestmark = pytest.mark.timeout(900)

DRAW_LIMIT = 0.002
"""Seconds that all our panels together may take to be drawn."""
JOBS_LIMIT = 300.0
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"
LEFT = (0.1, 0.3, 0.5, 0.7)


@pytest.fixture
def panel(start, user, tmp_path, workers_python) -> Blender:
    """A Blender with our tab open, whose panels are watched."""
    screen = start(user, tmp_path / "home", python=workers_python)
    screen.until("environment()")
    open_the_tab(screen)
    screen.ask("watch_panels()")
    return screen


def test_a_queue_and_the_history_by_mouse(panel, shot, record_testsuite_property):
    shot(panel, "panel-01-empty")
    choose_picture(panel, EXAMPLES / "robot.png")
    shot(panel, "panel-02-chosen")
    preset(panel, 0.15, "fast")
    generate(panel)
    panel.until("history()", lambda keys: len(keys) == 1)
    assert panel.ask("why_not()") == ""
    shot(panel, "panel-03-result")
    begin_two_more(panel, shot)
    panel.until("state()", lambda now: now["state"] in ("READY", "IDLE") and not now["queue"], JOBS_LIMIT)
    panel.until("history()", lambda keys: len(keys) == 2)
    made = len(panel.ask("objects()"))
    open_last(panel, "IMAGE_TO_3D_PT_history")
    shot(panel, "panel-06-history")
    panel.click(panel.find("image_to_3d.place_again", columns=LEFT))
    panel.until("objects()", lambda found: len(found) == made + 1)
    panel.click(panel.find("clay", columns=LEFT))
    panel.until("settings().clay")
    shot(panel, "panel-07-clay")
    panel.click(panel.find("image_to_3d.load_kept_settings", columns=LEFT))
    panel.until("settings().category_Depth.network", lambda now: now != "AUTOMATIC")
    panel.click(panel.find("image_to_3d.forget", columns=LEFT[::-1]))
    panel.until("history()", lambda keys: len(keys) == 1)
    drawn = panel.ask("drawing_times()")
    record_testsuite_property("seconds to draw all panels", str(drawn))
    assert drawn["median"] < DRAW_LIMIT
    panel.ask("scaled(2.0)")
    shot(panel, "panel-08-double")


def begin_two_more(panel: Blender, shot) -> None:
    """A long one runs and two wait, of which one is taken out; then the first is cancelled."""
    choose_picture(panel, EXAMPLES / "room.jpg")
    for name, value in (("detail", 2.0), ("grid", 2048), ("faces", 2_000_000)):
        panel.ask(f"setattr(bpy.context.window_manager.image_to_3d.method_depth, 'option_{name}', {value})")
    panel.click(panel.find("image_to_3d.generate"))
    panel.until("state()", lambda now: now["state"] == "BUSY")
    choose_picture(panel, EXAMPLES / "robot.png")
    for column, name in ((0.5, "balanced"), (0.85, "high")):
        preset(panel, column, name)
        panel.click(panel.find("image_to_3d.generate"))
    panel.until("state()", lambda now: len(now["queue"]) == 2)
    shot(panel, "panel-04-queue")
    panel.click(panel.find("image_to_3d.unqueue", columns=(0.9, 0.88)))
    panel.until("state()", lambda now: len(now["queue"]) == 1)
    panel.click(panel.find("image_to_3d.cancel"))
    panel.until("state()", lambda now: now["cancelled"])
    shot(panel, "panel-05-cancelled")


def preset(panel: Blender, column: float, name: str) -> None:
    panel.click(panel.find("preset", columns=(column,)))
    panel.until("settings().category_Depth.preset", lambda now: now == name)
    let_it_be_selected(panel)


def open_last(panel: Blender, name: str) -> None:
    """Opens the lowest panel of the tab, which has that name."""
    place = panel.region("VIEW_3D", "UI")
    for y in range(place["top"] + place["height"] - HEADER, place["top"], -HEADER):
        panel.click((place["left"] + place["width"] // 2, y))
        if panel.ask(f"is_drawn({name!r})"):
            return
    raise AssertionError(f"{name} cannot be opened")


def test_all_that_the_panel_can_show(panel, shot, photos):
    choose_picture(panel, EXAMPLES / "robot.png")
    choose_model(panel, "NeRF")
    shot(panel, "panel-10-to-download")
    choose_model(panel, "Diffusion")
    open_fits(panel)
    shot(panel, "panel-11-fits")
    panel.click(panel.find("image_to_3d.throw_dice", columns=(0.9, 0.85)))
    panel.until("settings().method_generator.option_seed")
