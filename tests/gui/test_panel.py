# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel as a user works with it, by mouse, in a real Blender: the history of real results, and, with a worker that
does what a script says so that each state stays, a queue, several photos, and what fits."""

import shutil
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import (
    choose_all,
    choose_model,
    choose_network,
    choose_picture,
    double,
    generate,
    open_fits,
    open_panel,
    scrolled_to,
)

pytestmark = pytest.mark.timeout(900)

LONGEST_TICK = 0.030
DRAW_LIMIT = 0.002
"""Seconds that all our panels together may take to be drawn."""
CHECKOUT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = CHECKOUT / "docs" / "examples"
LEFT = (0.1, 0.3, 0.5, 0.7)
RIGHT = (0.88, 0.85, 0.9)


def test_the_history_by_mouse(watched, workers_python, shot, record_testsuite_property):
    panel = watched(workers_python)
    shot(panel, "panel-empty")
    for picture, name in (("robot.png", "robot"), ("room.jpg", "room")):
        choose_picture(panel, EXAMPLES / picture)
        shot(panel, f"panel-chosen-{name}")
        generate(panel)
        panel.until(f"{name!r} in objects()")
    panel.until("history()", lambda keys: len(keys) == 2)
    shot(panel, "panel-result")
    made = len(panel.ask("objects()"))
    open_panel(panel, "IMAGE_TO_3D_PT_history")
    scrolled_to(panel, "image_to_3d.place_again", LEFT)
    shot(panel, "panel-history")
    panel.click(scrolled_to(panel, "image_to_3d.place_again", LEFT))
    panel.until("objects()", lambda found: len(found) == made + 1)
    panel.click(panel.find("image_to_3d.load_kept_settings", columns=(0.68, 0.66, 0.7)))
    panel.until("settings().category_Depth.network", lambda now: now != "AUTOMATIC")
    panel.click(scrolled_to(panel, "clay", LEFT))
    panel.until("settings().clay")
    shot(panel, "panel-history-clay")
    panel.click(scrolled_to(panel, "image_to_3d.forget", (0.84, 0.82, 0.86), wheel="4"))
    panel.until("history()", lambda keys: len(keys) == 1)
    record_testsuite_property("longest timer callback in seconds", str(panel.ask("longest_tick()")))
    assert panel.ask("longest_tick()")[0] < LONGEST_TICK
    check_drawing(panel, record_testsuite_property)
    double(panel, shot, "panel-history-double")


def check_drawing(panel: Blender, record_testsuite_property) -> None:
    drawn = panel.ask("drawing_times()")
    record_testsuite_property("seconds to draw all panels", str(drawn))
    print(drawn)
    assert drawn["median"] < DRAW_LIMIT


def test_a_queue_by_mouse(scripted, shot, tmp_path, record_testsuite_property):
    working = [{"progress": [0.35, "estimating depth", "tile 3 of 8", 40.0]}, {"wait": "cancel"}]
    panel = scripted({"generate": working})
    for number, picture in enumerate(("robot.png", "room.jpg", "street.jpg")):
        choose_picture(panel, EXAMPLES / picture)
        panel.click(panel.find("image_to_3d.generate"))
        panel.until("state()", lambda now, number=number: now["state"] == "BUSY" and len(now["queue"]) == number)
    shot(panel, "panel-queue")
    double(panel, shot, "panel-queue-double")
    panel.click(panel.find("image_to_3d.unqueue", columns=RIGHT))
    panel.until("state()", lambda now: len(now["queue"]) == 1)
    panel.click(panel.find("image_to_3d.cancel"))
    panel.until("state()", lambda now: now["cancelled"] == "robot.png" and now["state"] == "BUSY")
    shot(panel, "panel-cancelled")
    check_drawing(panel, record_testsuite_property)


def test_what_fits_what_is_missing_and_several_photos(scripted, shot, tmp_path):
    panel = scripted({})
    choose_picture(panel, EXAMPLES / "robot.png")
    choose_model(panel, "NeRF")
    choose_network(panel, "NeRF", "triposr")
    shot(panel, "panel-missing")
    choose_model(panel, "Diffusion")
    choose_network(panel, "Diffusion", "included-generator")
    panel.click(panel.find("image_to_3d.throw_dice", columns=RIGHT))
    panel.until("settings().method_generator.option_seed")
    open_fits(panel)
    shot(panel, "panel-fits")
    panel.click(panel.find("image_to_3d.take_network"))
    panel.until("settings().category", lambda now: now == "Depth")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(6):
        shutil.copy(EXAMPLES / "robot.png", photos / f"side {number + 1}.png")
    panel.click(panel.find("image_to_3d.clear_picture", columns=RIGHT))
    choose_all(panel, photos)
    shot(panel, "panel-photos")
    panel.click(panel.find("image_to_3d.take_out", columns=LEFT))
    panel.until("pictures()", lambda now: len(now) == 5)
