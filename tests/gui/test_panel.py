# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel as a user works with it, by mouse, in a real Blender: two jobs in the queue, the history, several photos,
and how it looks in each state at 220 pixels and at double size. With a fake worker, so that each state stays."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import begin, choose_model, choose_picture, let_it_be_selected, over_the_view

pytestmark = pytest.mark.timeout(900)

DRAW_LIMIT = 0.002
"""Seconds that all our panels together may take to be drawn."""
WIDTH = 220
TIMES = 40


@pytest.fixture
def big(screen: Blender) -> Blender:
    return begin(screen)


def test_two_jobs_and_the_history_by_mouse(big, shot, picture, record_testsuite_property):
    screen = big
    shot(screen, "panel-1-empty")
    choose_picture(screen, picture)
    shot(screen, "panel-2-chosen")
    screen.ask("timed()")
    screen.click(screen.find("preset", columns=(0.15,)))
    screen.until("settings().category_Depth.preset", lambda now: now == "fast")
    generate(screen, "Fast")
    screen.until("history()", lambda keys: len(keys) == 1)
    shot(screen, "panel-3-result")
    screen.click(screen.find("preset", columns=(0.5,)))
    screen.until("settings().category_Depth.preset", lambda now: now == "balanced")
    screen.click(screen.find("image_to_3d.generate"))
    screen.click(screen.find("preset", columns=(0.85,)))
    screen.click(screen.find("image_to_3d.generate"))
    shot(screen, "panel-4-queue")
    screen.until("state()", lambda now: now["state"] in ("READY", "IDLE") and not now["queue"], 240.0)
    screen.until("history()", lambda keys: len(keys) == 3)
    assert len(screen.ask("objects()")) == 3
    open_panel(screen, "IMAGE_TO_3D_PT_history", "image_to_3d.place_again")
    shot(screen, "panel-5-history")
    screen.click(screen.find("image_to_3d.place_again", columns=COLUMNS))
    screen.until("objects()", lambda found: len(found) == 4)
    screen.click(screen.find("image_to_3d.load_kept_settings", columns=COLUMNS))
    screen.click(screen.find("image_to_3d.forget", columns=COLUMNS))
    screen.until("history()", lambda keys: len(keys) == 2)
    drawn = screen.ask("timed()")
    record_testsuite_property("seconds to draw all panels, median and worst", drawn)
    assert drawn["median"] < DRAW_LIMIT
