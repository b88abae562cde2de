# SPDX-License-Identifier: GPL-3.0-or-later
"""Hybrid and then Improve in a real Blender, by mouse: rounds are seen one after another, and the third is stopped.

The painter that ships has nothing to add after its first round, and none that draws can be had here: in its place one
paints spots where no photo looks, in each round other ones. The three rounds of High are as small as those of Fast.
"""

import re
from pathlib import Path

import pytest
from image_to_3d.tests.gui.hand import (
    choose_model,
    choose_picture,
    clear_the_scene,
    generate,
    open_the_tab,
    over_the_view,
    scrolled_to,
    stop_and_mesh,
)

pytestmark = pytest.mark.timeout(1500)

ROBOT = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"
JOB_LIMIT = 600.0

PAINTING = """
import os, runpy, sys
import numpy as np
sys.path.insert(0, os.getcwd())
from worker.finish import improved, repainted

improved.PRESETS["high"] = improved.PRESETS["fast"]

def repaint(self, picture, unknown, references, strength, seed, job):
    job.report(0.0, "painting")
    rows, columns = np.indices(picture.shape[:2])
    spots = np.sin(0.3 * rows + 1.7 * strength * 10.0) * np.sin(0.3 * columns + seed) > 0.3
    share = np.asarray(unknown, np.float32) * repainted._thing(picture) * spots
    colour = np.array([[220, 60, 60], [60, 200, 60], [60, 60, 220]][round(10 * strength) % 3])
    return np.uint8(np.rint(picture + share[..., None] * (colour - picture)))

repainted.Patches.repaint = repaint
sys.argv = ["worker"]
runpy.run_module("worker", run_name="__main__")
"""


@pytest.fixture
def painters_python(workers_python: str, tmp_path: Path) -> str:
    """A Python that runs the worker with another painter."""
    script, python = tmp_path / "painting.py", tmp_path / "python"
    script.write_text(PAINTING)
    python.write_text(f'#!/bin/sh\n[ "$*" = "-m worker" ] && set -- "{script}"\nexec "{workers_python}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_rounds_are_seen_one_after_another_and_the_third_is_stopped(start, user, painters_python, tmp_path, shot):
    screen = start(user, tmp_path / "home", python=painters_python)
    screen.until("environment()")
    screen.ask("opens('work_on')")
    clear_the_scene(screen)
    open_the_tab(screen)
    screen.ask("watch_panels()")
    choose_picture(screen, ROBOT)
    choose_model(screen, "NeRF", "Diffusion", "Hybrid")
    generate(screen, JOB_LIMIT)
    screen.until("'robot' in objects() and not session().results.waiting")
    hybrid = screen.ask("meshes()")["robot"]
    over_the_view(screen)
    for key in ("KP_3", "KP_Delete"):  # from the right, and near
        before = screen.ask("view()")
        screen.press(key)
        screen.until("view()", lambda now, before=before: now != before)
        screen.until("still()")
    shot(screen, "improve-hybrid")

    scrolled_to(screen, "rounds", (0.75,))
    screen.next_choice()
    screen.until("settings().rounds == 'high'")
    screen.click(scrolled_to(screen, "image_to_3d.improve", (0.3,)))
    seen = [hybrid]
    for number in (1, 2):
        screen.until(f"session().shown.rounds >= {number}", patience=JOB_LIMIT)
        seen.append(screen.until("meshes()", lambda now: now["robot"] != seen[-1])["robot"])
        assert "robot before" in screen.ask("objects()") and not screen.ask("objects()")["robot before"]["visible"]
        shot(screen, f"improve-round-{number}")
    screen.turn_wheel("4", 30)
    stop_and_mesh(screen)
    shot(screen, "improve-stopping")
    screen.until("state()", lambda now: now["state"] != "BUSY", JOB_LIMIT)
    assert screen.ask("state()")["problem"] is None
    said = " ".join(screen.ask("session().results.last.warnings"))
    assert re.search("ended early", said)
    screen.until("session().results.last and not session().results.waiting")
    shot(screen, "improve-kept")
    assert screen.ask("meshes()")["robot"] not in (hybrid, seen[1])
    over_the_view(screen)
    screen.press("ctrl+z")
    screen.until("objects()", lambda found: "robot before" not in found)
    assert screen.ask("meshes()")["robot"] == hybrid
    shot(screen, "improve-undone")
