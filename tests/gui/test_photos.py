# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos in a real Blender: chosen in the panel, learned before the user's eyes, ended early, with cameras."""

import pytest
from image_to_3d.tests.gui.conftest import PHOTOS as COUNT
from image_to_3d.tests.gui.hand import (
    choose_all,
    choose_model,
    clear_the_scene,
    look_at,
    open_the_tab,
    over_the_view,
    stop_and_mesh,
    tick,
)

pytestmark = pytest.mark.timeout(1200)

LEARNING_LIMIT = 600.0
"""Seconds until something is to be seen: a busy machine looks for cameras for minutes."""


def test_eight_photos_are_learned_before_ones_eyes_stopped_early_and_come_with_their_cameras(
    start, user, workers_python, tmp_path, photos, shot, record_testsuite_property
):
    screen = start(user, tmp_path / "home", python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_all(screen, photos)
    assert screen.ask("pictures()") == [str(photos / f"side {number + 1}.png") for number in range(COUNT)]
    shot(screen, "photos-chosen")
    assert "NeRF" in screen.ask("why_not()")
    choose_model(screen, "NeRF")
    screen.until("why_not()", lambda reason: not reason)
    screen.click(screen.find("preset", columns=(0.2,)))
    tick(screen, "camera")
    shot(screen, "photos-idle")

    screen.click(screen.find("image_to_3d.generate"))
    learning = screen.until("state()", lambda now: now["preview"] or now["problem"], LEARNING_LIMIT)
    assert learning["problem"] is None
    shot(screen, "photos-learning")
    stop_and_mesh(screen)
    shot(screen, "photos-finishing")
    done = screen.until("state()", lambda now: now["last"] or now["problem"], LEARNING_LIMIT)
    assert done["problem"] is None
    record_testsuite_property("longest timer callback in seconds, with previews", done["longest_tick"])

    made = screen.ask("objects()")
    assert made[photos.name]["type"] == "MESH" and max(made[photos.name]["size"]) == pytest.approx(2.0)
    assert made[photos.name]["active"] and [name for name, thing in made.items() if thing["selected"]] == [photos.name]
    cameras = screen.ask("cameras()")
    assert set(made) == {photos.name, *cameras}
    assert cameras == {f"side {n + 1}": [f"{photos.name} Cameras", f"side {n + 1}"] for n in range(COUNT)}
    look_at(screen)
    shot(screen, "photos-result")
    over_the_view(screen)
    screen.press("KP_0")
    screen.until("is_through_camera()")
    shot(screen, "photos-camera")
    screen.press("ctrl+z")
    screen.until("objects()", lambda found: not found)
