# SPDX-License-Identifier: GPL-3.0-or-later
"""The first minutes of a user in a real Blender: nothing is installed, a button installs it, and it generates.

Then what goes wrong: a file is lost, the folder cannot be written, there is no network.
"""

import os
import re
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import (
    CHECK_LIMIT,
    SET_UP_LIMIT,
    begin,
    carry_out,
    choose_picture,
    generate,
    look_at,
    over_the_view,
)

LONGEST_TICK = 0.200  # seconds; far more than a tick takes, far less than a wait for a process would

pytestmark = pytest.mark.timeout(2 * SET_UP_LIMIT)


def test_from_an_empty_folder_to_the_object_and_from_a_lost_file_back(
    start, shot, user, picture, tmp_path, record_testsuite_property
):
    if not os.environ.get("IMAGE_TO_3D_SET_UP"):
        pytest.skip("IMAGE_TO_3D_SET_UP does not ask to set up an environment from PyPI")
    home = tmp_path / "home"
    screen = begin(start(user, home, "--online-mode"))
    assert screen.ask("environment()['standing']") == "absent" and not home.exists()
    choose_picture(screen, picture)
    shot(screen, "environment-1-absent")
    screen.click(screen.find("image_to_3d.generate"))  # no dead end: it asks whether to set up
    shot(screen, "environment-2-generate-asks")
    screen.press("Escape")
    carry_out(screen, shot, "environment-3-setting-up")
    shot(screen, "environment-4-ready")
    done = generate(screen)
    assert set(screen.ask("objects()")) == {picture.stem}
    look_at(screen)
    shot(screen, "environment-5-result")
    record_testsuite_property("longest timer callback in seconds, setting up", done["longest_tick"])
    assert done["longest_tick"] < LONGEST_TICK

    [lost] = (home / "environments").glob("core@*/lib/python3*/site-packages/skimage/transform/pyramids.py")
    lost.unlink()
    screen = begin(start(user, home, "--online-mode"))
    assert screen.ask("environment()['standing']") == "broken"
    assert lost.name in screen.ask("environment()['reason']")
    choose_picture(screen, picture)
    shot(screen, "environment-6-broken")
    carry_out(screen, shot, "environment-7-repairing")
    assert lost.exists() or list((home / "environments").glob("core@*/**/skimage/transform/pyramids.py"))
    generate(screen)
    shot(screen, "environment-8-repaired")
    screen.click(show_preferences(screen))
    over_the_view(screen)
    screen.until("environment()['checked']", lambda now: not now)
    screen.until("environment()['checked']", patience=CHECK_LIMIT)
    assert screen.ask("environment()['standing']") == "ready"
    shot(screen, "environment-9-preferences")


def test_a_folder_that_cannot_be_written_is_explained_and_the_report_is_without_names(start, shot, user, tmp_path):
    (tmp_path / "file").touch()
    screen = begin(start(user, tmp_path / "file" / "home", "--online-mode"))
    shot(screen, "environment-folder")
    assert screen.ask("[each.name for each in session().environments.last_check.findings if not each.ok]") == ["folder"]
    screen.click(screen.find("image_to_3d.set_up"))
    problem = screen.until("environment()['problem']", patience=CHECK_LIMIT)
    assert re.search("cannot be written|cannot be made|choose another folder", problem)
    screen.until("environment()['checked']", patience=CHECK_LIMIT)
    shot(screen, "environment-failed")
    screen.click(screen.find("image_to_3d.copy_report", columns=(0.75,)))
    screen.until("environment()['report']", lambda now: now == "COPIED", CHECK_LIMIT)
    text = screen.ask("clipboard()")
    assert "Blender 4" in text and "absent" in text and str(Path.home()) not in text
    show_preferences(screen)
    shot(screen, "environment-failed-preferences")


def test_without_online_access_it_says_so_and_does_nothing(start, shot, user, tmp_path):
    home = tmp_path / "home"
    screen = begin(start(user, home, "--offline-mode"))
    shot(screen, "environment-offline")
    screen.click(screen.find("image_to_3d.set_up"))
    screen.click(screen.find("image_to_3d.generate"))
    assert screen.ask("state()['state']") == "ABSENT" and not home.exists()


def show_preferences(screen: Blender) -> tuple[int, int]:
    """The gear in the panel's header opens the add-on's entry; returns where its button is that checks."""
    screen.click(screen.find("image_to_3d.preferences", columns=(0.78, 0.82, 0.86)))
    screen.until("shows('PREFERENCES')")
    screen.raise_window("Preferences", 300, 60)
    found = screen.find("image_to_3d.check", "PREFERENCES", "WINDOW", (0.7,))
    over_the_view(screen)
    return found
