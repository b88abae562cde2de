# SPDX-License-Identifier: GPL-3.0-or-later
"""A result in the asset browser, with what it looks like and what is known of it, from a fresh scene by mouse."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.hand import choose_picture, generate, open_panel, open_the_tab, scrolled_to

pytestmark = pytest.mark.timeout(900)

ROBOT = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"
PREVIEW_LIMIT = 120.0
COLOURS = 100
"""A preview of a grey or an empty thing has fewer."""


def test_a_result_in_the_asset_browser_with_its_preview(start, user, workers_python, tmp_path, shot):
    screen = start(user, tmp_path / "home", python=workers_python)
    open_the_tab(screen)
    screen.ask("watch_panels()")
    choose_picture(screen, ROBOT)
    screen.click(screen.find("preset", columns=(0.2,)))
    generate(screen)
    screen.until("'robot' in objects()")
    open_panel(screen, "IMAGE_TO_3D_PT_work_on")
    screen.click(scrolled_to(screen, "image_to_3d.mark_asset"))
    screen.ask("show_assets()")
    screen.until("asset('robot')['catalogue']")
    shot(screen, "assets-marked")
    found = screen.until("asset('robot')", lambda now: now["colours"] > COLOURS, PREVIEW_LIMIT)
    shot(screen, "assets")
    screen.ask("show_assets_of('ALL')")
    shot(screen, "assets-of-all")
    assert found["licence"] and "Image to 3D" in found["tags"] and found["catalogue"].count("-") == 4
