# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user does, with mouse and keyboard in a real Blender: from the zip to the object."""

import os
import struct
import time
import zlib
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender

pytestmark = pytest.mark.timeout(600)

CANCEL_LIMIT = 2.0
LONGEST_TICK = 0.030
JOB_LIMIT = 240.0
EDIT_MENU = (86, 14)  # in the top bar, which is outside all areas


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of our own: IMAGE_TO_3D_PICTURE, or a plain gradient."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    if given := os.environ.get("IMAGE_TO_3D_PICTURE"):
        copy = folder / Path(given).name
        copy.write_bytes(Path(given).read_bytes())
        return copy
    path = folder / "gradient.png"
    path.write_bytes(_gradient(640, 480))
    return path


def _gradient(width: int, height: int) -> bytes:
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 90)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def clear_the_scene(screen: Blender) -> None:
    """As everybody begins: all of it selected and deleted."""
    over_the_view(screen)
    screen.press("a", "Delete")
    screen.until("objects()", lambda found: not found)


def open_the_tab(screen: Blender) -> None:
    """N over the viewport, then a click on the tab."""
    over_the_view(screen)
    screen.press("n")
    screen.until("tab()", lambda tab: tab not in ("", "UNSUPPORTED"))
    sidebar = screen.region("VIEW_3D", "UI")
    for y in range(sidebar["top"] + 10, sidebar["top"] + sidebar["height"], 20):
        screen.click((sidebar["left"] + sidebar["width"] - 10, y))
        if screen.ask("tab()") == "Image to 3D":
            return
    raise AssertionError("there is no tab called Image to 3D")


def choose(screen: Blender, path: Path) -> None:
    """Types folder and name into the open file browser and presses its button."""
    for field, region, text in (("directory", "UI", path.parent), ("filename", "EXECUTE", path.name)):
        screen.click(screen.find(field, "FILE_BROWSER", region, (0.15, 0.3, 0.75)), times=2)
        screen.press("ctrl+a")
        screen.type(str(text))
        screen.press("Return")
    screen.click(screen.find("file.execute", "FILE_BROWSER", "EXECUTE", (0.9,)))


def choose_picture(screen: Blender, path: Path) -> None:
    screen.click(screen.find("image_to_3d.choose_picture"))
    screen.until("shows('FILE_BROWSER')")
    choose(screen, path)
    screen.until("settings().picture", lambda found: found == str(path))


def test_from_the_zip_to_the_object_with_a_cancel_between(
    screen, shot, archive, picture, gone, record_testsuite_property
):
    install(screen, archive)
    shot("installed")
    screen.put_away("Preferences")
    clear_the_scene(screen)
    open_the_tab(screen)
    shot("empty")
    choose_picture(screen, picture)
    shot("idle")

    generate = screen.find("image_to_3d.generate")
    screen.click(generate)
    first = screen.until("state()", lambda now: now["state"] == "BUSY", JOB_LIMIT)
    screen.until("state()", lambda now: now["fraction"] > first["fraction"] and now["state"] == "BUSY", JOB_LIMIT)
    shot("busy")
    screen.find("image_to_3d.cancel", below=generate[1] - 20)
    began = time.monotonic()
    screen.press_button()
    screen.until("state()", lambda now: now["state"] in ("READY", "IDLE"))
    record_testsuite_property("seconds from cancel to ready", time.monotonic() - began)
    assert time.monotonic() - began < CANCEL_LIMIT
    shot("cancelled")
    assert not screen.ask("state()")["problem"] and not screen.ask("objects()")

    screen.click(screen.find("image_to_3d.generate"))
    done = screen.until("state()", lambda now: now["last"] or now["problem"], JOB_LIMIT)
    assert done["problem"] is None
    found = screen.ask("objects()")
    made = found[picture.stem]
    assert made["type"] == "MESH" and made["selected"] and made["active"] and max(made["size"]) == pytest.approx(2.0)
    assert set(found) == {picture.stem}
    look_at(screen)
    shot("result")
    record_testsuite_property("longest timer callback in seconds", done["longest_tick"])
    assert done["longest_tick"] < LONGEST_TICK

    screen.press("ctrl+z")
    screen.until("objects()", lambda found: not found)
    worker = screen.ask("state()")["pid"]
    screen.close()
    gone(worker, 5.0)


def over_the_view(screen: Blender) -> None:
    """Moves the mouse into the viewport, left of the sidebar."""
    view = screen.region("VIEW_3D", "WINDOW")
    screen.move(view["left"] + view["width"] // 3, view["top"] + view["height"] // 2)


def look_at(screen: Blender) -> None:
    """The front view, all of it, then a little to the side and up."""
    over_the_view(screen)
    for key in ("KP_1", "Home", "KP_4", "KP_8"):
        before = screen.ask("view()")
        screen.press(key)
        screen.until("view()", lambda now, before=before: now != before)
        screen.until("still()")


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
