# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures from the panel of a real Blender, which starts itself once more, without a window, for the assets."""

import json
from pathlib import Path

import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import open_the_tab, scrolled_to

pytestmark = pytest.mark.timeout(900)

ROOM = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "room.jpg"
JOB_LIMIT = 400.0


@pytest.fixture
def screen(start, user, tmp_path, workers_python) -> Blender:
    found = start(user, tmp_path / "home", python=workers_python)
    found.until("environment()")
    found.ask("opens('batch')")
    open_the_tab(found)
    return found


def test_a_folder_becomes_files_and_an_asset_library_that_blender_knows(screen, tmp_path, shot):
    image = pytest.importorskip("PIL.Image")
    source = tmp_path / "shoes"
    source.mkdir()
    with image.open(ROOM) as room:
        for turn in range(4):
            room.resize((160, 120)).rotate(turn).save(source / f"{turn}.png")
    (source / "bad.jpg").write_bytes(b"no picture")
    shot(screen, "batch-empty")
    screen.ask(f"setattr(settings(), 'batch_source', {str(source)!r})")
    screen.ask("setattr(settings().category_Depth, 'preset', 'fast')")
    screen.click(scrolled_to(screen, "image_to_3d.batch"))
    screen.until("state()['state'] == 'BUSY'")
    shot(screen, "batch-running")
    screen.until("state()['state']", lambda now: now == "READY", JOB_LIMIT)
    shot(screen, "batch-done")
    results = tmp_path / "shoes 3D"
    entries = [json.loads(line) for line in (results / "results.jsonl").read_text().splitlines()]
    assert [entry["status"] for entry in entries] == ["done"] * 4 + ["failed"]
    assert [path.name for path in (results / "assets").glob("*.blend")] == ["things-001.blend"]
    screen.click(scrolled_to(screen, "image_to_3d.add_library"))
    libraries = "[each.path for each in bpy.context.preferences.filepaths.asset_libraries]"
    screen.until(libraries, lambda now: str(results / "assets") in [path.rstrip("/") for path in now])
    shot(screen, "batch-added")
