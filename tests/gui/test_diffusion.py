# SPDX-License-Identifier: GPL-3.0-or-later
"""Diffusion in a real Blender: chosen in the panel, with the generator that ships with the product."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import choose_picture, clear_the_scene, look_at, open_the_tab

pytestmark = pytest.mark.timeout(600)

JOB_LIMIT = 240.0
PICTURE = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"


def test_one_photo_becomes_a_thing_with_a_back_and_the_same_again_comes_from_the_cache(
    start, user, workers_python, tmp_path, shot
):
    screen = start(user, tmp_path / "home", python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_picture(screen, PICTURE)
    for expected in ("nerf", "diffusion"):
        screen.find("backend", columns=(0.7, 0.5))
        screen.next_choice()
        screen.until("settings().backend", lambda found, expected=expected: found == expected)
    shot(screen, "diffusion-idle")
    stages = generate(screen, 1)
    assert "denoising" in " ".join(stages)
    made = screen.ask("objects()")[PICTURE.stem]
    assert made["type"] == "MESH" and max(made["size"]) == pytest.approx(2.0)
    again = generate(screen, 2)
    assert "denoising" not in " ".join(again)
    look_at(screen)
    shot(screen, "diffusion-result")


def generate(screen: Blender, objects: int) -> set[str]:
    """Presses Generate and waits until there are so many objects; the stages that were shown on the way."""
    screen.click(screen.find("image_to_3d.generate"))
    stages = set()

    def done(now: dict) -> bool:
        stages.add(str(now["stage"]))
        return bool(now["problem"]) or len(screen.ask("objects()")) >= objects

    ended = screen.until("state()", done, JOB_LIMIT)
    assert ended["problem"] is None
    return stages
