# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user does, with mouse and keyboard in a real Blender: from the zip to the object."""

import time
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import choose, choose_picture, clear_the_scene, look_at, open_the_tab

pytestmark = pytest.mark.timeout(600)

CANCEL_LIMIT = 2.0
LONGEST_TICK = 0.030
JOB_LIMIT = 240.0
EDIT_MENU = (86, 14)  # in the top bar, which is outside all areas


def test_from_the_zip_to_the_object_with_a_cancel_between(
    screen, shot, archive, picture, gone, record_testsuite_property
):
    install(screen, archive)
    shot(screen, "installed")
    screen.put_away("Preferences")
    clear_the_scene(screen)
    open_the_tab(screen)
    shot(screen, "empty")
    choose_picture(screen, picture)
    shot(screen, "idle")

    screen.click(screen.find("preset", columns=(0.85,)))  # High, and more: so that there is time to press
    for name, value in (("detail", 2.0), ("grid", 2048), ("faces", 2_000_000)):
        screen.ask(f"setattr(bpy.context.window_manager.image_to_3d.method_depth, 'option_{name}', {value})")
    generate = screen.find("image_to_3d.generate")
    screen.click(generate)
    first = screen.until("state()", lambda now: now["state"] == "BUSY", JOB_LIMIT)
    screen.until("state()", lambda now: now["fraction"] > first["fraction"] and now["state"] == "BUSY", JOB_LIMIT)
    screen.find("image_to_3d.cancel", below=generate[1] - 20)
    began = time.monotonic()
    screen.press_button()
    screen.until("state()", lambda now: now["state"] in ("READY", "IDLE"))
    record_testsuite_property("seconds from cancel to ready", time.monotonic() - began)
    assert time.monotonic() - began < CANCEL_LIMIT
    shot(screen, "cancelled")
    assert not screen.ask("state()")["problem"] and not screen.ask("objects()")

    screen.click(screen.find("image_to_3d.generate"))
    shot(screen, "busy")
    done = screen.until("state()", lambda now: now["last"] or now["problem"], JOB_LIMIT)
    assert done["problem"] is None
    found = screen.ask("objects()")
    made = found[picture.stem]
    assert made["type"] == "MESH" and made["selected"] and made["active"] and max(made["size"]) == pytest.approx(2.0)
    assert set(found) == {picture.stem}
    look_at(screen)
    shot(screen, "result")
    record_testsuite_property("longest timer callback in seconds", done["longest_tick"])
    assert done["longest_tick"] < LONGEST_TICK

    screen.press("ctrl+z")
    screen.until("objects()", lambda found: not found)
    worker = screen.ask("state()")["pid"]
    screen.close()
    gone(worker, 5.0)


def install(screen: Blender, archive: Path) -> None:
    """Edit > Preferences > Get Extensions > Install from Disk."""
    screen.click(EDIT_MENU)
    screen.press("p")
    screen.until("shows('PREFERENCES')")
    screen.raise_window("Preferences", 300, 100)
    sections = screen.region("PREFERENCES", "NAVIGATION_BAR")
    for y in range(sections["top"] + 4, sections["top"] + sections["height"], 10):
        screen.click((sections["left"] + 60, y))
        if screen.ask("bpy.context.preferences.active_section") == "EXTENSIONS":
            break
    page = screen.region("PREFERENCES", "WINDOW")
    screen.click((page["left"] + page["width"] - 20, page["top"] + 18))  # the arrow with the menu, top right
    screen.press("f")
    screen.until("shows('FILE_BROWSER')")
    choose(screen, archive)
    screen.until("state()")


def test_enabling_disabling_and_enabling_again_gives_no_warning(command_line, archive):
    command_line("--command", "extension", "validate", str(archive))
    command_line("--command", "extension", "install-file", "--repo", "user_default", "--enable", str(archive))
    said = command_line("-b", "--python-exit-code", "3", "--python-expr", TWICE)
    assert "warning" not in said.lower() and "error" not in said.lower() and "traceback" not in said.lower()


TWICE = """
import addon_utils
for _ in range(2):
    addon_utils.disable("bl_ext.user_default.image_to_3d")
    assert addon_utils.enable("bl_ext.user_default.image_to_3d")
"""
