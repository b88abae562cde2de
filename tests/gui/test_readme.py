# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the panel in README.md: of Blender's own default scene, with what ships. They are not compared: after
a change somebody takes them anew, looks, and makes them small (`convert a.png -colors 256 PNG8:b.png`, or a JPEG)."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import let_it_be_selected, open_panel, open_the_tab, over_the_view, scrolled_to

pytestmark = pytest.mark.timeout(900)

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"
SIZE = 1280, 1080
JOB_LIMIT = 400.0


def test_pictures_for_the_readme(start, user, workers_python, tmp_path, shot, screenshots):
    screen = start(user, tmp_path / "home", python=workers_python, size=SIZE)
    screen.until("environment()")
    open_the_tab(screen)
    screen.ask("watch_panels()")
    for picture in ("robot.png", "room.jpg", "table.jpg"):
        begin(screen, picture)
    screen.until("state()", lambda now: now["state"] == "BUSY" and now["fraction"] > 0.1, JOB_LIMIT)
    screen.picture_of(screenshots / "panel-jobs.png")
    screen.ask("[press('unqueue', number=job.number) for job in list(session().queue)]")
    screen.ask(f"choose({[str(EXAMPLES / 'robot.png')]!r})")
    screen.until("'robot' in objects()", patience=JOB_LIMIT)
    over_the_view(screen)
    screen.until("still()")
    shot(screen, "panel-fresh")
    before = screen.ask("view()")
    screen.press("KP_Delete")  # the decimal point of the number pad: Frame Selected
    screen.until("view()", lambda now: now != before)
    screen.until("still()")
    shot(screen, "panel-result")
    for picture in ("table.jpg", "room.jpg"):
        begin(screen, picture)
    screen.until("objects()", lambda now: "room" in now and "table" in now, JOB_LIMIT)
    screen.until("len(history()) == 3")
    open_panel(screen, "IMAGE_TO_3D_PT_history")
    scrolled_to(screen, "image_to_3d.clear_history", (0.7,))
    over_the_view(screen)
    screen.picture_of(screenshots / "panel-history.png")
    shot(screen, "panel-three")


def begin(screen: Blender, picture: str) -> None:
    screen.ask(f"choose({[str(EXAMPLES / picture)]!r})")
    let_it_be_selected(screen)
    screen.ask("press('generate')")
