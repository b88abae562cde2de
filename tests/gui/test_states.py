# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state of the panel in a sidebar of 220 pixels, and twice as large: looked at by people, and each is drawn."""

import shutil
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import TALL, Blender
from image_to_3d.tests.gui.hand import (
    double,
    let_it_be_selected,
    open_fits,
    open_panel,
    open_the_tab,
    over_the_tab,
    over_the_view,
)

pytestmark = pytest.mark.timeout(900)

CHECKOUT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = CHECKOUT / "docs" / "examples"
WIDTH = 220
PATIENCE = 60.0


@pytest.fixture
def look(screenshots):
    """Takes a picture of the sidebar, and one of it twice as large."""

    def picture(panel: Blender, name: str) -> None:
        over_the_view(panel)  # no tooltip lies over it then
        panel.picture_of(screenshots / f"{name}.png")

    def both_ends(panel: Blender, name: str) -> None:
        picture(panel, name)
        scrolled(panel, "5")
        picture(panel, f"{name}-below")
        scrolled(panel, "4")

    def take(panel: Blender, name: str, is_long: bool = False) -> None:
        picture(panel, f"state-{name}")
        double(panel, both_ends if is_long else picture, f"state-{name}-double")

    return take


def scrolled(panel: Blender, wheel: str) -> None:
    """To the end of the tab, down ("5") or up ("4")."""
    over_the_tab(panel)
    panel.turn_wheel(wheel, 60)


def made_narrow(panel: Blender) -> Blender:
    """Drags the sidebar's left edge until it is as wide as many have it; where the edge takes the mouse is not told."""
    place = panel.region("VIEW_3D", "UI")
    for beside in (0, 2, -2, 4, -4, 7, 10):
        begin = place["left"] + beside, place["top"] + 60
        panel.drag(begin, (begin[0] + place["width"] - WIDTH, begin[1]))
        if abs(panel.region("VIEW_3D", "UI")["width"] - WIDTH) < 25:
            break
    over_the_view(panel)
    panel.press("Escape")
    print("a sidebar of", panel.region("VIEW_3D", "UI")["width"])
    return panel


def chosen(panel: Blender, *paths: Path) -> None:
    panel.ask(f"choose({[str(path) for path in paths]!r})")
    let_it_be_selected(panel)


def test_states_with_a_worker(scripted, look, tmp_path, result_file):
    running = [{"progress": [0.35, "estimating depth", "tile 3 of 8", 40.0]}, {"wait_for": "go"}]
    error = [{"error": [-32004, "the picture holds nothing that could be made: it is of one colour", {"log": "a\nb"}]}]
    panel = made_narrow(scripted({"generate": [*running, {"copy": result_file}], "history/fetch": error}, TALL))
    look(panel, "empty")
    chosen(panel, EXAMPLES / "robot.png")
    look(panel, "chosen")
    chosen(panel, EXAMPLES / "robot.png", *[EXAMPLES / "room.jpg"] * 5)
    look(panel, "photos")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(7):
        shutil.copy(EXAMPLES / "robot.png", photos / f"side {number}.png")
    chosen(panel, photos)
    panel.until("settings().picture")
    look(panel, "folder")
    film = tmp_path / "around the mug.mp4"
    panel.ask(f"film({str(film)!r}, 90)", PATIENCE)
    chosen(panel, film)
    look(panel, "video")

    chosen(panel, EXAMPLES / "robot.png")
    panel.ask("press('generate')")
    panel.until("state()", lambda now: now["message"] == "tile 3 of 8", PATIENCE)
    look(panel, "running")
    chosen(panel, EXAMPLES / "room.jpg")
    panel.ask("press('generate')")
    look(panel, "queued")
    (tmp_path / "go").touch()
    panel.until("state()", lambda now: now["state"] in ("READY", "IDLE") and now["last"] and not now["queue"], PATIENCE)
    look(panel, "done")
    panel.ask("watch_panels()")
    open_panel(panel, "IMAGE_TO_3D_PT_history")
    look(panel, "history", is_long=True)
    panel.ask("press('place_again', key=history()[0])")
    panel.until("state()", lambda now: now["problem"], PATIENCE)
    scrolled(panel, "4")
    look(panel, "error")
    panel.ask("press('dismiss')")
    panel.ask("take('Diffusion', 'triposg')")
    look(panel, "offline")


def test_what_can_be_opened(scripted, look, result_file):
    script = {"generate": [{"copy": result_file}, {"as_asked": True}]}
    panel = made_narrow(scripted(script, TALL, ("options", "frames", "scene", "work_on")))
    chosen(panel, EXAMPLES / "robot.png")
    panel.ask("take('Diffusion', 'included-generator')")
    panel.ask("press('generate')")
    done = panel.until("state()", lambda now: now["last"] or now["problem"], PATIENCE)
    assert done["problem"] is None
    look(panel, "opened", is_long=True)
    panel.ask("take('Depth', 'AUTOMATIC')")
    look(panel, "opened-depth", is_long=True)
    chosen(panel, EXAMPLES)
    look(panel, "opened-several", is_long=True)


def test_what_fits(scripted, look):
    panel = made_narrow(scripted({}, TALL))
    chosen(panel, EXAMPLES / "robot.png")
    open_fits(panel)
    look(panel, "fits", is_long=True)


def test_states_without_an_environment(start, user, tmp_path, look):
    panel = start(user, tmp_path / "home", "--online-mode", size=TALL)
    panel.until("environment()")
    open_the_tab(panel)
    made_narrow(panel)
    chosen(panel, EXAMPLES / "robot.png")
    panel.until("environment()['checked']", patience=180.0)
    look(panel, "not-set-up")
    panel.ask("pretend_to_set_up()")
    look(panel, "setting-up")
