# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures from the panel, and their asset library as another Blender file finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import glb, png, run_until, work_until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "addon" / "in_background.py"
PROVENANCE = {
    "pictures": ["/pictures/a.png"],
    "digests": ["0" * 64],
    "category": "Depth",
    "method": "depth",
    "network": "included",
    "label": "Included",
    "licence": "GPL-3.0-or-later",
    "revision": "1",
    "preset": "fast",
    "options": {},
    "version": "1.0.0",
    "date": "2026-01-01T00:00:00+00:00",
}
PYTHON = os.environ.get("IMAGE_TO_3D_WORKER", "")


@pytest.fixture
def results(tmp_path) -> Path:
    """Twelve results in two folders, one that failed, and one whose file is gone."""
    folder, entries = tmp_path / "results", []
    for number in range(12):
        name = f"left: one/{number}" if number % 3 else f"{number}"
        for path, content in ((f"{name}.glb", glb()), (f"thumbnails/{name}.png", png(32, 32))):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        own = {"name": name, "status": "done", "glb": f"{name}.glb", "thumbnail": f"thumbnails/{name}.png"}
        entries.append({**own, "provenance": PROVENANCE})
    entries += [{"name": "bad", "status": "failed", "error": "e"}, {**entries[0], "name": "gone", "glb": "gone.glb"}]
    (folder / "results.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\nhalf a li")
    return folder


def made(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), "--", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=folder)


def test_the_library_has_marked_assets_with_catalogues_and_previews(bpy, addon, results):
    for _ in range(2):  # the second one replaces the first
        done = made(results)
        assert done.returncode == 0 and "library: 12 of 12" in done.stdout, done.stderr
    [file] = (results / "assets").glob("*.blend")
    with bpy.data.libraries.load(str(file), assets_only=True) as (there, here):
        assert sorted(there.objects) == sorted(map(str, range(12)))
        here.objects = there.objects
    catalogues = (results / "assets" / "blender_assets.cats.txt").read_text("utf-8").splitlines()
    names = dict(line.split(":")[:2] for line in catalogues if line.count(":") == 2)
    assert set(names.values()) == {"Image to 3D", "Image to 3D/left- one"}
    for thing in here.objects:
        inner = "Image to 3D/left- one" if int(thing.name) % 3 else "Image to 3D"
        data = thing.asset_data
        assert names[data.catalog_id] == inner and data.license == PROVENANCE["licence"]
        assert {tag.name for tag in data.tags} == {"Image to 3D", "Depth", "Included"}
        assert tuple(thing.preview.image_size) == (32, 32)
        red = [thing.preview.image_pixels_float[4 * place] for place in range(32)]
        assert red[0] < 0.1 and red[-1] > 0.9  # the picture that it was given
        assert thing.data.materials[0].node_tree.nodes["Image Texture"].image.packed_file
        assert json.loads(thing["image_to_3d"])["network"] == "included"
    places = {tuple(thing.location) for thing in here.objects}
    assert len(places) == 12


def test_many_things_come_in_several_files_and_those_of_before_go(bpy, addon, results, monkeypatch, tmp_path):
    library = addon("ui.library")
    monkeypatch.setattr(library, "TOGETHER", 5)
    (results / "assets").mkdir()
    (results / "assets" / "things-009.blend").write_bytes(b"old")
    assert [*library.build(results)] == ["5 of 12", "10 of 12", "12 of 12"]
    assert sorted(path.name for path in (results / "assets").glob("*.blend")) == [
        f"things-{number:03d}.blend" for number in (1, 2, 3)
    ]


def test_the_panel_asks_for_what_it_shows_and_tells_how_it_went(bpy, addon, fake_worker, tmp_path):
    answer = {"folder": "f", "results": "r", "sheet": str(tmp_path / "s.html"), "made": 11, "kept": 0, "failed": 1}
    answer |= {"seconds": 2.0, "failures": [{"name": "x", "message": "why"}], "library": str(tmp_path)}
    fake_worker({"batch": [{"progress": [0.5, "making", "6 of 12"]}, {"result": answer}]})
    own = bpy.context.window_manager.image_to_3d
    assert not bpy.ops.image_to_3d.batch.poll()
    own.batch_source, own.batch_sets, own.category_Depth.preset = str(tmp_path / "photos"), True, "fast"
    bpy.ops.image_to_3d.batch()
    run_until(addon, lambda session: session.results.batch)
    [request] = fake_worker.requests("batch")
    asked = request["params"]
    assert asked["source"] == str(tmp_path / "photos") and asked["folder"] == str(tmp_path / "photos 3D")
    assert asked["sets"] and asked["preset"] == "fast" and asked["network"] is None and asked["blender"]
    session = addon("ui.timer").session()
    assert addon("ui.wording").made_of_many(session.results.batch) == "11 made in 2.0 s, 1 failed"
    before = len(bpy.context.preferences.filepaths.asset_libraries)
    bpy.ops.image_to_3d.add_library(path=session.results.batch.library)
    libraries = bpy.context.preferences.filepaths.asset_libraries
    assert len(libraries) == before + 1 and Path(libraries[-1].path) == tmp_path


@pytest.mark.skipif(not PYTHON, reason="IMAGE_TO_3D_WORKER names no Python with the worker's packages")
@pytest.mark.timeout(1200)
def test_twelve_pictures_from_the_panel_become_an_asset_library(bpy, addon, monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGE_TO_3D_PYTHON", PYTHON)
    addon("ui.timer").session().look()
    (tmp_path / "in").mkdir()
    script = "import sys\nfrom PIL import Image\nfor n in range(12):\n"
    script += " i = Image.open(sys.argv[1]).resize((160, 120)); i.rotate(n).save(f'{sys.argv[2]}/{n}.png')"
    photo = ROOT / "docs" / "examples" / "room.jpg"
    subprocess.run([PYTHON, "-c", script, str(photo), str(tmp_path / "in")], check=True)
    own = bpy.context.window_manager.image_to_3d
    own.batch_source, own.batch_sets = str(tmp_path / "in"), False
    own.category, own.category_Depth.preset, own.fresh = "Depth", "fast", True
    bpy.ops.image_to_3d.batch()
    work_until(addon, lambda session: session.results.batch)
    result = addon("ui.timer").session().results.batch
    assert (result.made, result.failed, result.notes) == (12, 0, ()) and result.library
    [file] = Path(result.library).glob("*.blend")
    with bpy.data.libraries.load(str(file), assets_only=True) as (there, here):
        here.objects = there.objects
    assert len(here.objects) == 12
    assert all(tuple(thing.preview.image_size) == (256, 256) for thing in here.objects)
    assert all(thing.asset_data.license for thing in here.objects)
