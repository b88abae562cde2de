# SPDX-License-Identifier: GPL-3.0-or-later
"""NeRF in a real Blender: chosen in the panel, with a tiny network of random weights in the place of the large one."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.hand import choose_model, choose_picture, clear_the_scene, look_at, open_the_tab

pytestmark = pytest.mark.timeout(600)

JOB_LIMIT = 240.0
PICTURE = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "robot.png"


def test_one_photo_through_a_network_in_a_folder_of_the_users_own(start, user, workers_python, tmp_path, shot):
    tiny = pytest.importorskip("image_to_3d.tests.methods.triposr.tiny", reason="needs torch", exc_type=ImportError)
    home = tmp_path / "home"
    folder = home / "weights" / "triposr"
    folder.mkdir(parents=True)
    tiny.write(folder)
    screen = start(user, home, python=workers_python)
    clear_the_scene(screen)
    open_the_tab(screen)
    choose_picture(screen, PICTURE)
    choose_model(screen, "NeRF")
    shot(screen, "nerf-idle")
    screen.click(screen.find("image_to_3d.generate"))
    screen.until("state()", lambda now: now["state"] == "BUSY", JOB_LIMIT)
    stages = set()

    def done(now: dict) -> bool:
        stages.add(now["stage"])
        return bool(now["last"] or now["problem"])

    ended = screen.until("state()", done, JOB_LIMIT)
    assert ended["problem"] is None
    assert len(stages) >= 3
    made = screen.ask("objects()")[PICTURE.stem]
    assert made["type"] == "MESH" and max(made["size"]) == pytest.approx(2.0)
    look_at(screen)
    shot(screen, "nerf-result")
