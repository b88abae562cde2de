# SPDX-License-Identifier: GPL-3.0-or-later
"""Many pictures: what is made of which, what is not made twice, what is bad, and what a killed one leaves."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.app import App
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.executors.here import outcome
from image_to_3d.worker.executors.workers import BESIDE, fitting
from image_to_3d.worker.finish.thumbnail import drawn_of
from image_to_3d.worker.pipeline import batch as batches
from image_to_3d.worker.pipeline.rows import rows_of
from image_to_3d.worker.pipeline.sheet import written
from image_to_3d.worker.store.ledger import Ledger
from image_to_3d.worker.wire.making import BatchParams
from image_to_3d.worker.wire.offers import InitializeParams
from image_to_3d.worker.wire.protocol import VERSION
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 100.0


def silent() -> Job:
    return Job(lambda *report: None)


def picture(path: Path, seed: int = 0) -> Path:
    """A small photo, each seed another."""
    rows, columns = np.mgrid[:60, :80]
    rgb = np.stack([rows * 3, columns * 3, np.full_like(rows, 40 + 20 * seed)], -1).astype(np.uint8)
    rgb[20:45, 20 + seed : 50] = (200, 60, 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two good pictures, one of them deeper, and a bad one."""
    picture(tmp_path / "in" / "a.png", 0)
    picture(tmp_path / "in" / "deep er" / "b.jpg", 1)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "in" / ".hidden.png").write_bytes(b"")
    return tmp_path / "in"


@pytest.fixture
def app(tmp_path) -> App:
    app = App()
    places = {"weights": str(tmp_path / "weights"), "cache": str(tmp_path / "cache")}
    app.initialize(InitializeParams(VERSION, device="cpu", **places), silent())
    return app


def ran(app: App, source: Path, out: Path, **more):
    return app.batch(BatchParams(str(source), str(out), "fast", **{"cached": False, **more}), silent())


def entries(out: Path) -> dict[str, dict]:
    """What is told of each; one that was killed or cancelled may have told of one twice."""
    lines = (out / "results.jsonl").read_text("utf-8").splitlines()
    found = {json.loads(line)["name"]: json.loads(line) for line in lines}
    assert len(found) == len(lines) or not (out / "contact_sheet.html").exists()
    return found


# ------------------------------------------------------------------------------------------------ what is made


def test_a_folder_becomes_glbs_pictures_results_and_a_sheet(app, folder, tmp_path):
    out = tmp_path / "out"
    result = ran(app, folder, out)
    assert (result.made, result.kept, result.failed) == (2, 0, 1)
    assert [failure.name for failure in result.failures] == ["bad"] and "not a picture" in result.failures[0].message
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    drawn = ["thumbnails/a.png", "thumbnails/deep er/b.png"]
    assert files == ["a.glb", "contact_sheet.html", "deep er/b.glb", "results.jsonl", *drawn]
    told = entries(out)
    assert list(told) == ["a", "bad", "deep er/b"] and told["bad"]["status"] == "failed"
    assert told["a"]["bytes"] == (out / "a.glb").stat().st_size and told["a"]["faces"] > 100
    seen = np.asarray(Image.open(out / drawn[0]))
    assert seen.shape == (256, 256, 4) and (seen[..., 3] > 0).mean() > 0.1


def test_a_batch_of_splats_is_files_of_that_kind_and_goes_on(app, folder, tmp_path):
    out = tmp_path / "out"
    result = ran(app, folder, out, format="spz")
    assert (result.made, result.failed) == (2, 1) and not list(out.rglob("*.glb"))
    assert entries(out)["a"]["glb"] == "a.spz" and entries(out)["a"]["bytes"] == (out / "a.spz").stat().st_size
    assert (out / "a.spz").read_bytes()[:2] == b"\x1f\x8b"
    assert Image.open(out / "thumbnails" / "a.png").size == (256, 256)
    assert ran(app, folder, out, format="spz").kept == 2
    assert ran(app, folder, out).made == 2  # meshes are others


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"jobs": 0}, "at least 1 worker"),
        ({"format": "obj"}, "glb, spz, ply"),
        ({"format": "ply", "blender": "blender"}, "made of meshes"),
    ],
)
def test_what_no_batch_can_be_is_refused_before_any_work(app, folder, tmp_path, wrong, message):
    with pytest.raises(Unable, match=message):
        ran(app, folder, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_the_sheet_shows_what_is_to_be_known_of_a_thing(tmp_path):
    entry = {"name": "a", "pictures": [], "status": "done", "thumbnail": "a.png", "faces": 9, "network": "n"}
    written(tmp_path / "sheet.html", [{**entry, "seconds": 1.0, "warnings": ["rough <b>"]}], lambda: None)
    assert '<small class="note">rough &lt;b&gt;</small>' in (tmp_path / "sheet.html").read_text("utf-8")


def test_the_sheet_is_one_file_that_shows_all_and_asks_for_nothing(app, folder, tmp_path):
    picture(folder / "<img>.png", 2)
    page = Path(ran(app, folder, tmp_path / "out").sheet).read_text("utf-8")
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s>)]{4})', page.replace("img-src", ""))
    assert sources.count("data") == 6 and set(sources) == {"data"}  # three photos, three results
    assert page.count("<figure") == 4 and page.count('class="failed"') == 1 and "&lt;img&gt;" in page


def test_what_is_done_is_not_done_again_and_what_changed_is(app, folder, tmp_path):
    out = tmp_path / "out"
    ran(app, folder, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.glb")}
    again = ran(app, folder, out)
    assert (again.made, again.kept, again.failed) == (0, 2, 1)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.glb")} == before
    picture(folder / "a.png", 5)
    picture(folder / "bad.jpg", 6)
    changed = ran(app, folder, out)
    assert (changed.made, changed.kept, changed.failed) == (2, 1, 0)
    (out / "a.glb").write_bytes(b"half")
    assert ran(app, folder, out).made == 1 and (out / "a.glb").stat().st_size == entries(out)["a"]["bytes"]
    assert ran(app, folder, out, options={"fov": 40.0}).made == 3
    assert ran(app, folder, out, options={"fov": 40.0}).kept == 3


def test_what_the_cache_has_is_drawn_as_what_was_just_made(app, folder, tmp_path):
    for out in ("one", "two"):
        ran(app, folder, tmp_path / out, cached=True)
    one, two = (np.asarray(Image.open(tmp_path / out / "thumbnails" / "a.png"), float) for out in ("one", "two"))
    assert np.abs(one - two).mean() < 2.0
    assert drawn_of(tmp_path / "one" / "a.glb", 64).shape == (64, 64, 4)


def test_one_that_fails_is_tried_once_more_after_all_others(folder, tmp_path):
    tried = []

    def execute(tasks, told):
        for number, asked in tasks:
            tried.append(Path(asked.output).stem)

            def make(asked=asked):
                if tried.count(Path(asked.output).stem) == 1:
                    raise MemoryError
                Path(asked.output).write_bytes(b"glb")
                return {"network": "n", "vertices": 3, "faces": 1, "warnings": [], "provenance": None, "seconds": {}}

            yield outcome(number, make)

    params = BatchParams(str(folder), str(tmp_path / "out"), "fast")
    done = batches.batch(params, execute, silent())
    assert tried == ["a", "bad", "b"] * 2 and (done["made"], done["failed"]) == (3, 0)


def test_several_workers_make_the_same(app, folder, tmp_path):
    ran(app, folder, tmp_path / "one")
    result = ran(app, folder, tmp_path / "two", jobs=2)
    assert (result.made, result.failed) == (2, 1) and not result.notes
    for name in ("a.glb", "deep er/b.glb"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_parts_are_made_apart_and_the_whole_finds_them(app, folder, tmp_path):
    out = tmp_path / "out"
    parts = [ran(app, folder, out, part=part, parts=2) for part in (1, 2)]
    assert [(part.made, part.failed, part.sheet) for part in parts] == [(2, 0, ""), (0, 1, "")]
    assert not (out / "results.jsonl").exists() and len([*out.glob("results-*")]) == 2
    assert ran(app, folder, out, part=1, parts=2).kept == 2
    whole = ran(app, folder, out)
    assert (whole.made, whole.kept, whole.failed) == (0, 2, 1) and not [*out.glob("results-*")]
    assert list(entries(out)) == ["a", "bad", "deep er/b"]
    assert ran(app, folder, out, part=1, parts=3).kept == 1  # of the whole
    with pytest.raises(Unable, match="no part 3 of 2"):
        ran(app, folder, out, part=3, parts=2)


def test_no_more_workers_than_memory_has_room_for(monkeypatch):
    monkeypatch.setattr("image_to_3d.worker.executors.workers.available", lambda: 3 * BESIDE)
    assert [fitting(8, 0), fitting(2, 0), fitting(8, 10 * BESIDE), fitting(8, BESIDE // 2)] == [3, 2, 1, 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cancel_stops_all_and_what_is_done_stays(app, folder, tmp_path, jobs):
    out = tmp_path / "out"
    job = Job(lambda progress, *_: job.cancel() if progress > 0.4 else None)
    with pytest.raises(Cancelled):
        app.batch(BatchParams(str(folder), str(out), "fast", cached=False, jobs=jobs), job)
    assert not [*out.glob(".new-*")] and not (out / "contact_sheet.html").exists()
    done = [entry for entry in entries(out).values() if entry["status"] == "done"]
    result = ran(app, folder, out)
    assert (result.made, result.kept) == (2 - len(done), len(done))


def test_time_that_remains_is_told_once_some_are_made(folder, tmp_path):
    for seed in range(8):
        picture(folder / f"{seed}.png", seed)
    told = []

    def execute(tasks, hear):
        for number, asked in tasks:
            Path(asked.output).write_bytes(b"glb")
            facts = {"network": "n", "vertices": 3, "faces": 1, "warnings": [], "provenance": None, "seconds": {}}
            yield outcome(number, lambda facts=facts: facts)

    job = Job(lambda *report: told.append(report))
    job.report(0.0, "reading")
    batches.batch(BatchParams(str(folder), str(tmp_path / "out"), "fast"), execute, job)
    assert told[1][3] is None and told[-1][0] == 1.0 and job.remaining(0.5) > 0.0 and job.remaining(1.0) == 0.0


# ------------------------------------------------------------------------------------------------ lists


def test_lists_say_what_is_made_and_how(tmp_path):
    one, two = picture(tmp_path / "p" / "one.png"), picture(tmp_path / "p" / "two.png")
    text = tmp_path / "list.txt"
    text.write_text(f"# mine\np/one.png\n\n{two}\n")
    table = tmp_path / "list.csv"
    table.write_text("picture;preset;seed;solid;name\np/one.png;high;3;true;x/y\np/two.png;;;;\np/one.png;high;4;;\n")
    lines = tmp_path / "list.jsonl"
    rows = [{"pictures": [str(one), str(two)], "model": "nerf"}, {"picture": "p/one.png", "options": {"fov": 50}}]
    lines.write_text("\n".join(map(json.dumps, rows)))
    assert [(row.name, row.pictures) for row in rows_of(text, False, tmp_path)] == [
        ("one", (str(one),)),
        ("two", (str(two),)),
    ]
    first, second, third = rows_of(table, False, tmp_path)
    assert (first.name, first.preset, dict(first.options)) == ("x/y", "high", {"seed": 3, "solid": True})
    assert (second.preset, dict(second.options), third.name, dict(third.options)) == ("", {}, "one", {"seed": 4})
    several, other = rows_of(lines, False, tmp_path)
    assert len(several.pictures) == 2 and several.model == "nerf" and dict(other.options) == {"fov": 50}
    assert len({several.name, other.name}) == 2  # both are of one.png


@pytest.mark.parametrize(
    "line, told",
    [
        ("{broken", "is not an object"),
        ("[1]", "is not an object"),
        ("{}", "names no picture"),
        ('{"picture": ["a", 3]}', "names no picture"),
        ('{"picture": "a", "preset": 3}', "preset that is no text"),
        ('{"picture": "a", "fov": 3}', "unknown key 'fov'"),
        ('{"picture": "a", "options": {"fov": [3]}}', "options that are no"),
        *(
            (json.dumps({"picture": "a", "name": name}), "no file's")
            for name in ("../a", "/a", "a//b", "-a", "a\0", "c:x")
        ),
    ],
)
def test_a_bad_row_is_told_and_stops_no_other(tmp_path, line, told):
    path = tmp_path / "list.jsonl"
    path.write_text(f'{line}\n{{"picture": "b.png"}}\n')
    bad, good = rows_of(path, False, tmp_path)
    assert told in bad.problem and bad.problem.startswith("line 1 of the list") and not good.problem


def test_a_row_with_an_unknown_model_or_option_fails_alone(app, folder, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("picture,model,fov\nin/a.png,abacus,\nin/a.png,,wide\nin/a.png,depth,50\nshort\n")
    result = ran(app, table, tmp_path / "out")
    assert (result.made, result.failed) == (1, 3)
    told = " / ".join(failure.message for failure in result.failures)
    assert "no model 'abacus'" in told and "fov must be a number, not" in told and "more or fewer cells" in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_among_the_pictures_fails_alone_and_is_not_waited_for(app, folder, tmp_path):
    os.mkfifo(folder / "p.jpg")
    told = ran(app, folder, tmp_path / "out")
    assert (told.made, told.failed) == (2, 2)
    assert "device or a pipe" in entries(tmp_path / "out")["p"]["error"]


def test_what_a_batch_made_is_no_picture_of_another(tmp_path):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "before" / "thumbnails" / "a.png")
    (tmp_path / "in" / "before" / "results.jsonl").write_text("")
    assert [row.name for row in rows_of(tmp_path / "in", False, tmp_path / "out")] == ["a"]


def test_names_differ_whatever_their_endings_and_letters(tmp_path):
    for name in ("a.png", "A.jpg", "b.png", "c/b.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "photo_mask.png").write_bytes(b"x")
    picture(tmp_path / "in" / "photo.png")
    names = [row.name for row in rows_of(tmp_path / "in", False, tmp_path / "in" / "c")]
    assert names == ["A.jpg", "a.png", "b", "photo"]
    twice = tmp_path / "in" / "list.txt"
    twice.write_text("a.png\na.png\nc/b.png\nb.png\n")
    names = [row.name for row in rows_of(twice, False, tmp_path)]
    assert len(set(names)) == 4 and names == [row.name for row in rows_of(twice, False, tmp_path)]


def test_each_folder_is_a_set_where_that_is_asked_for(tmp_path):
    for name in ("one/a.png", "one/b.png", "two/images/a.png", "loose.png"):
        picture(tmp_path / name)
    (tmp_path / "empty").mkdir()
    rows = rows_of(tmp_path, True, tmp_path / "out")
    assert [(row.name, row.pictures) for row in rows] == [(n, (str(tmp_path / n),)) for n in ("one", "two")]


@pytest.mark.parametrize("sets", [False, True])
def test_where_there_is_nothing_to_make_that_is_said(tmp_path, sets):
    with pytest.raises(Unable, match="holds no"):
        rows_of(tmp_path, sets, tmp_path / "out")
    with pytest.raises(Unable, match="itself"):
        rows_of(tmp_path, sets, tmp_path)
    with pytest.raises(Unable, match="neither a folder nor a list"):
        rows_of(picture(tmp_path / "a.png"), sets, tmp_path)


def test_a_ledger_whose_last_line_was_cut_off_is_read_and_mended(tmp_path):
    path = tmp_path / "results.jsonl"
    ledger = Ledger(path)
    for number in range(3):
        ledger.add({"name": f"{number % 2}", "number": number})
    path.write_bytes(path.read_bytes() + b'[]\n{"name": 3}\n{"name": "x", "numb')
    ledger = Ledger(path)
    assert ledger["0"]["number"] == 2 and ledger["x"] == {}
    ledger.add({"name": "y"})
    ledger.settle(["1"])
    assert [json.loads(line)["name"] for line in path.read_bytes().splitlines()] == ["1", "0", 3, "y"]


# ------------------------------------------------------------------------------------------------ killed


def test_killed_at_any_moment_it_goes_on_to_the_same(tmp_path):
    """From the terminal: each time it is killed a bit later; nothing is made twice, no file is half."""
    for seed in range(4):
        picture(tmp_path / "in" / f"{seed}.png", seed)
    command = [sys.executable, "-m", "worker", "batch", tmp_path / "in", "--preset", "fast", "--included", "--no-cache"]
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    out, whole = tmp_path / "out", tmp_path / "whole"
    subprocess.run([*command, "-o", whole], cwd=ROOT, env=variables, check=True, capture_output=True, timeout=LIMIT)
    for wanted in range(1, 4):
        running = subprocess.Popen([*command, "-o", out], cwd=ROOT, env=variables, stderr=subprocess.DEVNULL)
        until = time.monotonic() + LIMIT
        while len([*out.glob("*.glb")]) < wanted and time.monotonic() < until:
            os.sched_yield()
        running.kill()
        running.wait(LIMIT)
        for path in out.glob("*.glb"):
            assert path.read_bytes() == (whole / path.name).read_bytes()
    kept = {name: (out / entry["glb"]).stat().st_mtime_ns for name, entry in entries(out).items()}
    subprocess.run([*command, "-o", out], cwd=ROOT, env=variables, check=True, capture_output=True, timeout=LIMIT)
    told = entries(out)
    assert list(told) == list(entries(whole)) and len(kept) >= 2
    assert all((out / told[name]["glb"]).stat().st_mtime_ns == when for name, when in kept.items())
    for name, entry in entries(whole).items():
        assert (out / entry["glb"]).read_bytes() == (whole / entry["glb"]).read_bytes()
        assert told[name]["key"] == entry["key"] and told[name]["status"] == "done"
