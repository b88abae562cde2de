# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats of several photos in a real Blender: what is offered."""

import pytest
from image_to_3d.tests.gui.hand import choose_all, clear_the_scene, open_the_tab

pytestmark = pytest.mark.timeout(900)

NAME = "splats"


def test_they_are_offered_with_what_becomes_of_them_here(start, user, workers_python, tmp_path, photos, shot):
    screen = start(user, tmp_path / "home", python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_all(screen, photos)
    screen.ask("setattr(settings(), 'category', 'NeRF')")
    for setting, value in (("network", NAME), ("preset", "fast")):
        screen.ask(f"setattr(settings().category_NeRF, {setting!r}, {value!r})")
    screen.until("why_not()", lambda reason: not reason)
    shot(screen, "splats-offered")
