# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's hand does again and again in the tests: keys and clicks, each until Blender has followed."""

from pathlib import Path

from image_to_3d.tests.gui.driver import Blender

CLICK_PATIENCE = 8.0


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


def press(screen: Blender, button: str, effect: str) -> None:
    """Clicks on a button, once more if nothing comes of it: a machine that is busy with other things loses clicks."""
    screen.click(screen.find(button))
    try:
        screen.until(effect, patience=CLICK_PATIENCE)
    except AssertionError:
        screen.click(screen.find(button))
        screen.until(effect)


def choose_picture(screen: Blender, path: Path) -> None:
    press(screen, "image_to_3d.choose_picture", "shows('FILE_BROWSER')")
    choose(screen, path)
    screen.until("settings().picture", lambda found: found == str(path))


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
