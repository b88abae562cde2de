# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's hand does again and again in the tests: keys and clicks, each until Blender has followed."""

import time
from pathlib import Path

from image_to_3d.tests.gui.driver import START_PATIENCE, Blender

CLICK_PATIENCE = 8.0
SET_UP_LIMIT = 1500.0  # seconds; a slow line
CHECK_LIMIT = 180.0
JOB_LIMIT = 240.0
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


def press(screen: Blender, button: str, effect: str, columns: tuple[float, ...] = (0.5,)) -> None:
    """Clicks on a button, once more if nothing comes of it: a machine that is busy with other things loses clicks."""
    screen.click(screen.find(button, columns=columns))
    try:
        screen.until(effect, patience=CLICK_PATIENCE)
    except AssertionError:
        screen.click(screen.find(button, columns=columns))
        screen.until(effect)


def choose_picture(screen: Blender, path: Path) -> None:
    columns = (0.7, 0.67, 0.73) if screen.ask("settings().picture") else (0.5,)
    press(screen, "image_to_3d.choose_picture", "shows('FILE_BROWSER')", columns)
    choose(screen, path)
    screen.until("settings().picture", lambda found: found == str(path))
    let_it_be_selected(screen)


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
    let_it_be_selected(screen)


def choose_model(screen: Blender, *names: str) -> None:
    """Goes down the list of models, by these names, to the last one."""
    for name in names:
        screen.find("category", columns=(0.7, 0.5))
        screen.next_choice()
        screen.until("settings().category", lambda found, name=name: found == name)
    let_it_be_selected(screen)


def choose_network(screen: Blender, category: str, name: str) -> None:
    """Goes down the list of networks to that one."""
    setting = f"settings().category_{category}.network"
    networks = screen.ask(f"networks({category!r})")
    screen.find("network", columns=(0.5, 0.7))
    for expected in networks[networks.index(screen.ask(setting)) + 1 : networks.index(name) + 1]:
        screen.next_choice()
        screen.until(setting, lambda found, expected=expected: found == expected)
    let_it_be_selected(screen)


def let_it_be_selected(screen: Blender) -> None:
    """Waits until the panel shows which network is taken, where somebody can tell: it may become higher by that."""
    screen.until("selects()", lambda selects: not selects, START_PATIENCE)


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


def open_panel(screen: Blender, name: str) -> None:
    """Opens the closed panel of the tab that has that name, further down if it is not in sight; others, which a click
    opens or closes too, stay as they are."""
    for _ in range(4):
        if _opened_in_sight(screen, name):
            return
        screen.turn_wheel("5", 8)
    raise AssertionError(f"{name} cannot be opened")


def _opened_in_sight(screen: Blender, name: str) -> bool:
    place = screen.region("VIEW_3D", "UI")
    for y in range(place["top"] + HEADER // 2, place["top"] + place["height"], HEADER // 2):
        screen.move(place["left"] + place["width"] // 2, y)
        if screen.ask("hovered('VIEW_3D', 'UI')"):
            continue  # a button
        for _ in range(2):
            screen.press_button()
            time.sleep(0.3)
            if screen.ask(f"is_drawn({name!r})"):
                return True
    return False


def open_fits(panel: Blender) -> None:
    """Opens the part that says what fits, above Generate."""
    x, below = panel.find("image_to_3d.generate")
    for y in range(below - 50, below - 120, -10):
        panel.click((x, y))
        try:
            panel.find("image_to_3d.take_network", below=y)
        except AssertionError:
            continue
        return
    raise AssertionError("what fits cannot be opened")


def scrolled_to(screen: Blender, what: str, columns: tuple[float, ...] = (0.5,), wheel: str = "5") -> tuple[int, int]:
    """Turns the wheel over the tab, down or with "4" up, until that button is to be seen; returns where it is."""
    for _ in range(6):
        try:
            return screen.find(what, columns=columns)
        except AssertionError:
            screen.turn_wheel(wheel, 6)
    return screen.find(what, columns=columns)


def over_the_view(screen: Blender) -> None:
    """Moves the mouse into the viewport, left of the sidebar."""
    view = screen.region("VIEW_3D", "WINDOW")
    screen.move(view["left"] + view["width"] // 3, view["top"] + view["height"] // 2)


def over_the_tab(screen: Blender) -> None:
    """Moves the mouse into the sidebar, near its top."""
    place = screen.region("VIEW_3D", "UI")
    screen.move(place["left"] + place["width"] // 2, place["top"] + 10)


def look_at(screen: Blender) -> None:
    """The front view, all of it, then a little to the side and up."""
    over_the_view(screen)
    for key in ("KP_1", "Home", "KP_4", "KP_8"):
        before = screen.ask("view()")
        screen.press(key)
        screen.until("view()", lambda now, before=before: now != before)
        screen.until("still()")


def begin(screen: Blender) -> Blender:
    """An empty scene with our tab, once the automatic check is over."""
    screen.until("environment()")
    clear_the_scene(screen)
    open_the_tab(screen)
    screen.until("environment()['checked']", patience=CHECK_LIMIT)
    return screen


def generate(screen: Blender, limit: float = JOB_LIMIT) -> dict:
    """Presses Generate and waits for the end; what the session says of itself then."""
    screen.click(screen.find("image_to_3d.generate"))
    screen.until("state()", lambda now: now["state"] not in ("IDLE", "ABSENT", "READY") or now["last"])
    done = screen.until("state()", lambda now: now["last"] or now["problem"], limit)
    assert done["problem"] is None
    return done


def stop_and_mesh(screen: Blender) -> None:
    """Presses the button below the bar, once more if a busy machine has lost the click."""
    for _ in range(3):
        screen.click(screen.find("image_to_3d.enough"))
        if screen.ask("state()")["enough"]:
            return
    raise AssertionError("Stop and Mesh Now has no effect")


def carry_out(screen: Blender, shot, name: str) -> None:
    """Presses the box's button and waits for the end; one screenshot on the way, of bytes that come where some do."""
    press(screen, "image_to_3d.set_up", "state()['state'] == 'SETTING_UP' or environment()['done']")
    screen.until("environment()", lambda now: now["bytes"] or now["done"] or now["problem"], SET_UP_LIMIT)
    shot(screen, name)
    done = screen.until("environment()", lambda now: now["done"] or now["problem"], SET_UP_LIMIT)
    assert done["problem"] is None and done["standing"] == "ready"
    screen.until("environment()['checked']", patience=CHECK_LIMIT)


def double(panel: Blender, shot, name: str) -> None:
    """A screenshot with an interface of double size; panels find their places as the mouse comes by."""
    for factor in (2.0, 1.0):
        panel.ask(f"scaled({factor})")
        place = panel.region("VIEW_3D", "UI")
        for step in range(8):
            panel.move(place["left"] + place["width"] // 2, place["top"] + 60 + step * place["height"] // 12)
        if factor > 1.0:
            shot(panel, name)
