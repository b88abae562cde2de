# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pictures come from, by mouse and keyboard in a fresh scene: dropped from a file browser onto the viewport and
onto the panel, the clipboard, an image in Blender, the last render."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import open_the_tab, over_the_view

pytestmark = pytest.mark.timeout(600)

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"
ON_THE_FILE = 60  # pixels from the browser's corner to the middle of its first thumbnail
RENDER_LIMIT = 120.0
BEGINS, ENDS = 0.833, 0.737
"""Of the sidebar's width, where the menu of other pictures is: while none is chosen, and afterwards."""


@pytest.fixture
def screen(start, user, tmp_path, workers_python) -> Blender:
    """A fresh scene with our tab open, and a picture that is called a.png."""
    found = start(user, tmp_path / "home", python=workers_python)
    found.until("environment()")
    open_the_tab(found)
    (tmp_path / "drop").mkdir()
    shutil.copy(EXAMPLES / "robot.png", tmp_path / "drop" / "a.png")
    return found


@pytest.mark.parametrize(("target", "name"), [("WINDOW", "view"), ("UI", "panel")])
def test_a_file_dropped_from_the_file_browser(screen, tmp_path, shot, target, name):
    screen.ask(f"browse({str(tmp_path / 'drop')!r})")
    screen.until("browsed() == ['a.png']")
    files, place = screen.region("FILE_BROWSER", "WINDOW"), screen.region("VIEW_3D", target)
    end = place["left"] + place["width"] // 3, place["top"] + place["height"] // 3
    begin = files["left"] + ON_THE_FILE, files["top"] + ON_THE_FILE
    screen.drag(begin, end, before=lambda: shot(screen, f"sources-drag-{name}"))
    screen.press("i")  # Blender has a way of its own, and asks which: of ours that letter is underlined
    screen.until("pictures()", lambda now: now == [str(tmp_path / "drop" / "a.png")])
    shot(screen, f"sources-dropped-{name}")
    assert set(screen.ask("objects()")) == {"Cube", "Light", "Camera"}, "and nothing is added to the scene by Blender"


def test_a_path_an_image_and_a_render(screen, tmp_path, shot):
    path = tmp_path / "drop" / "a.png"
    choose_from_the_menu(screen, BEGINS, "f", copy=lambda: screen.ask(f"copy({str(path)!r})"))
    screen.until("pictures()", lambda now: now == [str(path)])
    screen.ask("paint('Painted')")
    choose_from_the_menu(screen, ENDS, "p")
    shot(screen, "sources-image")
    screen.until("pictures()", lambda now: now[0].endswith("Painted.png") and Path(now[0]).is_file())

    screen.ask("quick_render()")
    over_the_view(screen)
    screen.press("F12")
    screen.until("shows('IMAGE_EDITOR')")
    screen.until("not bpy.app.is_job_running('RENDER')", patience=RENDER_LIMIT)
    screen.press("Escape")
    screen.until("shows('VIEW_3D')")
    choose_from_the_menu(screen, ENDS, "t")
    screen.until("pictures()", lambda now: now[0].endswith("Render_Result.png") and Path(now[0]).is_file())
    shot(screen, "sources-render")


def test_a_picture_itself_in_the_clipboard(screen, tmp_path, shot, display):
    """Copied by another program, as from a browser."""
    if not shutil.which("xclip"):
        pytest.skip("needs xclip, also where Blender runs")
    path = tmp_path / "drop" / "a.png"

    def copy() -> None:
        command = ["xclip", "-selection", "clipboard", "-target", "image/png", "-in", str(path)]
        subprocess.run(command, env={**os.environ, "DISPLAY": display}, check=True, timeout=10)

    choose_from_the_menu(screen, BEGINS, "f", copy=copy)
    screen.until("pictures()", lambda now: now and now[0].endswith("Clipboard.png"))
    [pasted] = screen.ask("pictures()")
    assert Path(pasted).read_bytes() == path.read_bytes()
    shot(screen, "sources-pasted")


def choose_from_the_menu(screen: Blender, column: float, *keys: str, copy: Callable[[], object] = lambda: None) -> None:
    """Opens the menu beside the button that chooses a picture and presses what is underlined in it. `copy` puts
    something into the clipboard then, in which finding a button leaves something else."""
    place = screen.region("VIEW_3D", "UI")
    _, y = screen.find("image_to_3d.choose_picture", columns=(0.5, 0.7, 0.67, 0.73))
    screen.click((int(place["left"] + column * place["width"]), y))
    time.sleep(0.5)
    copy()
    screen.press(*keys)
