# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a range of a video's frames, and maps of a photo, by mouse and keyboard in Blender's default scene."""

from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import (
    choose_picture,
    fill_in,
    generate,
    open_panel,
    open_the_tab,
    over_the_view,
    scrolled_to,
)

pytestmark = pytest.mark.timeout(900)

ROOM = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "room.jpg"
JOB_LIMIT = 400.0
FRAMES, WIDTH, HEIGHT = 24, 640, 480


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A video of a second, across the picture of a room."""
    av = pytest.importorskip("av", reason="needs the worker's packages", exc_type=ImportError)
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "film" / "walk.mp4"
    path.parent.mkdir()
    with image.open(ROOM) as room, av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for number in range(FRAMES):
            left = (room.width - WIDTH) * number // (FRAMES - 1)
            seen = room.convert("RGB").crop((left, 200, left + WIDTH, 200 + HEIGHT))
            container.mux(stream.encode(av.VideoFrame.from_image(seen)))
        container.mux(stream.encode())
    return path


@pytest.fixture
def screen(start, user, tmp_path, workers_python) -> Blender:
    found = start(user, tmp_path / "home", python=workers_python)
    found.until("environment()")
    open_the_tab(found)
    found.ask("watch_panels()")
    return found


def test_frames_of_a_video_become_a_grid_that_moves_with_the_scenes_frame(screen, film, shot):
    choose_picture(screen, film)
    shot(screen, "frames-chosen")
    open_panel(screen, "IMAGE_TO_3D_PT_frames")
    for setting, value in (("frames_first", 3), ("frames_last", 21), ("frames_step", 6)):
        fill_in(screen, scrolled_to(screen, setting), str(value))
        screen.until(f"settings().{setting} == {value}")
    shot(screen, "frames-panel")
    screen.click(scrolled_to(screen, "image_to_3d.sequence"))
    screen.until("state()['state'] == 'BUSY'")
    shot(screen, "frames-running")
    screen.until("objects()", lambda now: "walk depth" in now, JOB_LIMIT)
    folder = film.with_name("walk depth")
    assert len(list(folder.glob("depth_*.exr"))) == len(list(folder.glob("colour_*.jpg"))) == 4
    screen.until("still()")
    shot(screen, "frames-done")
    assert screen.ask("shading()") == "TEXTURE", "of the first result"
    x, y = screen.ask("seen('walk depth')")
    assert 0.1 < x < 0.9 and 0.1 < y < 0.9
    over_the_view(screen)
    shapes = [screen.ask("shape('walk depth')")]
    for number in range(3):
        screen.press("Right")
        screen.until("bpy.context.scene.frame_current", lambda now, number=number: now == number + 2)
        shapes.append(screen.ask("shape('walk depth')"))
        shot(screen, f"frames-{number + 2}")
    assert len(set(shapes)) == 4
    screen.press("ctrl+z", "ctrl+z")  # the frames, which Blender takes together, and the grid
    screen.until("objects()", lambda now: "walk depth" not in now)


def test_maps_of_a_photo_are_saved_where_the_panel_says(screen, tmp_path, shot):
    folder = tmp_path / "my maps"
    folder.mkdir()
    choose_picture(screen, ROOM)
    open_panel(screen, "IMAGE_TO_3D_PT_scene")
    fill_in(screen, scrolled_to(screen, "maps", (0.5, 0.7)), f"{folder}/")
    screen.until("settings().maps", lambda found: Path(found) == folder)
    shot(screen, "maps-panel")
    screen.turn_wheel("4", 30)
    generate(screen, JOB_LIMIT)
    assert {path.name for path in folder.iterdir()} == {f"{name}_room.exr" for name in ("depth", "mask", "normals")}
    shot(screen, "maps-done")
