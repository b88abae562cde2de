# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's hand does again and again in the tests: keys and clicks, each until Blender has followed."""

from pathlib import Path

from image_to_3d.tests.gui.driver import Blender

CLICK_PATIENCE = 8.0
HEADER = 18  # pixels: less than a panel's header is high


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


def choose_all(screen: Blender, folder: Path) -> None:
    """All files of a folder: its name typed into the file browser, then A over the files."""
    press(screen, "image_to_3d.choose_picture", "shows('FILE_BROWSER')")
    screen.click(screen.find("directory", "FILE_BROWSER", "UI", (0.15, 0.3, 0.75)), times=2)
    screen.press("ctrl+a")
    screen.type(str(folder))
    screen.press("Return")
    files = screen.region("FILE_BROWSER", "WINDOW")
    screen.move(files["left"] + files["width"] // 2, files["top"] + files["height"] - 20)
    screen.press("a")
    screen.click(screen.find("file.execute", "FILE_BROWSER", "EXECUTE", (0.9,)))
    screen.until("settings().others")


def choose_model(screen: Blender, *names: str) -> None:
    """Goes down the list of models, by these names, to the last one."""
    for name in names:
        screen.find("backend", columns=(0.7, 0.5))
        screen.next_choice()
        screen.until("settings().backend", lambda found, name=name: found == name)


def tick(screen: Blender, setting: str) -> None:
    """Switches a setting on that is the first of a panel in the tab, which is closed."""
    screen.click(opened(screen, setting))
    screen.until(f"settings().{setting}")


def fill_in(screen: Blender, place: tuple[int, int], text: str) -> None:
    """Types a number into the field at that place."""
    screen.click(place, times=2)
    screen.press("ctrl+a")
    screen.type(text)
    screen.press("Return")


def opened(screen: Blender, setting: str) -> tuple[int, int]:
    """Opens the lowest panels of the tab until the first thing in one is that setting; returns where it is."""
    place = screen.region("VIEW_3D", "UI")
    x = place["left"] + place["width"] * 2 // 3
    for y in range(place["top"] + place["height"] - HEADER, place["top"], -HEADER):
        screen.click((x, y))
        for below in range(y, y + 3 * HEADER, HEADER // 3):
            screen.move(x, below)
            if screen.ask("hovered('VIEW_3D', 'UI')") == setting:
                return x, below
    raise AssertionError(f"there is no panel with {setting}")


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
