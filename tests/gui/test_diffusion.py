# SPDX-License-Identifier: GPL-3.0-or-later
"""Diffusion in a real Blender: chosen in the panel, with the generator that ships with the product."""

import time
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import (
    choose_model,
    choose_picture,
    clear_the_scene,
    fill_in,
    look_at,
    open_the_tab,
    opened,
)

pytestmark = pytest.mark.timeout(900)

JOB_LIMIT, CANCEL_LIMIT = 240.0, 10.0
ROBOT = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"
WALL = (226, 222, 212)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The robot before a wall: a photo with a background."""
    image = pytest.importorskip("PIL.Image")
    robot = image.open(ROBOT).convert("RGBA")
    wall = image.new("RGBA", robot.size, WALL)
    wall.alpha_composite(robot)
    path = tmp_path / "robot.jpg"
    wall.convert("RGB").save(path, quality=92)
    return path


def test_a_photo_becomes_a_thing_with_a_back_and_each_seed_another(
    start, user, workers_python, tmp_path, photo, shot, record_testsuite_property
):
    screen = start(user, tmp_path / "home", python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_picture(screen, photo)
    choose_model(screen, "NeRF", "Diffusion")
    shot(screen, "diffusion-idle")

    first, stages = generate(screen)
    assert "denoising" in stages
    assert first["type"] == "MESH" and max(first["size"]) == pytest.approx(2.0)
    look_at(screen)
    shot(screen, "diffusion-result")
    same, stages = generate(screen)
    assert "denoising" not in stages, "the same press again comes from the cache"
    assert same["size"] == first["size"]

    seed = opened(screen, "option_seed")
    choose(screen, seed, "seed", 7)
    other, stages = generate(screen)
    assert "denoising" in stages
    assert other["size"] != first["size"]
    shot(screen, "diffusion-other-seed")

    choose(screen, seed, "seed", 8)
    screen.ask("setattr(settings().method_generator, 'option_steps', 200)")  # so many that there is time to press
    before = screen.ask("objects()")
    button = screen.find("image_to_3d.generate")
    screen.click(button)
    screen.until("state()", lambda now: now["stage"].startswith("denoising"), JOB_LIMIT)
    screen.find("image_to_3d.cancel", below=button[1] - 20)
    began = time.monotonic()
    assert screen.ask("state()")["stage"].startswith("denoising")
    screen.press_button()
    screen.until("state()", lambda now: now["state"] in ("READY", "IDLE"))
    record_testsuite_property("seconds from cancel to ready", time.monotonic() - began)
    assert time.monotonic() - began < CANCEL_LIMIT
    shot(screen, "diffusion-cancelled")
    assert not screen.ask("state()")["problem"] and screen.ask("objects()") == before


def choose(screen: Blender, place: tuple[int, int], option: str, number: int) -> None:
    """Types an option's number."""
    fill_in(screen, place, str(number))
    screen.until(f"settings().method_generator.option_{option}", lambda found: found == number)


def generate(screen: Blender) -> tuple[dict, str]:
    """Presses Generate and waits for one more object; it, and the stages that were shown on the way."""
    before, stages = screen.ask("objects()"), set()
    screen.click(screen.find("image_to_3d.generate"))

    def done(now: dict) -> bool:
        stages.add(str(now["stage"]))
        return bool(now["problem"]) or len(screen.ask("objects()")) > len(before)

    ended = screen.until("state()", done, JOB_LIMIT)
    assert ended["problem"] is None
    [made] = [thing for name, thing in screen.ask("objects()").items() if name not in before]
    return made, " ".join(stages)
