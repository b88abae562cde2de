# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of results: how they were made, pictures of them, and that they can be had again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker import __version__
from image_to_3d.worker.app import App
from image_to_3d.worker.core import refining
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pipeline.select import kind_of
from image_to_3d.worker.store.timings import Timings
from image_to_3d.worker.wire import making, offers, protocol
from PIL import Image


@pytest.fixture
def app(machine) -> App:
    app = App()
    settings = {"weights": str(machine.weights.root), "cache": str(machine.results), "device": "cpu"}
    app.initialize(offers.InitializeParams(protocol.VERSION, **settings), silent())
    return app


def silent() -> Job:
    return Job(lambda *_: None)


def history(app) -> making.History:
    return app.history(offers.Empty(), silent())


def test_a_result_says_how_it_was_made_also_when_it_comes_from_the_cache(make, photo):
    made, again = make(photo), make(photo)
    assert again.from_cache and again.provenance == made.provenance and again.key == made.key != ""
    provenance = made.provenance
    assert provenance.pictures == (str(photo),) and len(provenance.digests[0]) == 64
    assert (provenance.category, provenance.method, provenance.network) == ("Depth", "depth", "included")
    assert provenance.preset == "fast" and provenance.options["faces"] == 500 and provenance.options["detail"] == 0.75
    assert provenance.version == __version__ and provenance.revision and provenance.licence == "GPL-3.0-or-later"
    assert provenance.date.endswith("+00:00")


def test_what_is_not_kept_has_no_key(make, photo, app):
    assert make(photo, cached=False).key == "" and history(app).entries == ()


def test_results_are_told_the_newest_first_with_pictures_where_somebody_looks(make, photo, thing, app, tmp_path):
    first = make(photo)
    second = make(thing, previews=str(tmp_path))
    newest, oldest = history(app).entries
    assert (newest.key, oldest.key) == (second.key, first.key)
    assert newest.provenance == second.provenance and newest.faces == second.faces and newest.seconds > 0
    assert oldest.thumbnail == oldest.clay == "" and newest.bytes > 1000
    for path in (newest.thumbnail, newest.clay):
        picture = np.asarray(Image.open(path))
        assert picture.shape == (256, 256, 4) and 0.1 < (picture[..., 3] > 0).mean() < 0.9
    colour, clay = (np.asarray(Image.open(path))[128, 128, :3].astype(int) for path in (newest.thumbnail, newest.clay))
    assert np.ptp(clay) == 0 and colour[0] > colour[2] + 50  # the thing is red


def test_a_result_comes_again_as_it_was_although_its_picture_is_gone(make, photo, app, tmp_path):
    made = make(photo)
    content = Path(made.glb).read_bytes()
    photo.unlink()
    again = app.fetch(making.FetchParams(made.key, str(tmp_path / "again.glb")), silent())
    assert (tmp_path / "again.glb").read_bytes() == content
    assert again.from_cache and again.seconds == {} and again.provenance == made.provenance


@pytest.mark.parametrize("key", ["0" * 40, "..", "*", ""])
def test_what_is_not_kept_any_more_is_one_sentence(app, tmp_path, key):
    with pytest.raises(Unable, match="not kept any more"):
        app.fetch(making.FetchParams(key, str(tmp_path / "again.glb")), silent())
    assert not (tmp_path / "again.glb").exists()


def test_results_are_removed_one_by_one_or_all_with_what_they_were_made_of(make, photo, thing, app, machine, tmp_path):
    first, second = make(photo, previews=str(tmp_path)), make(thing)
    left = app.remove(making.RemoveParams((first.key, "*")), silent())
    assert [entry.key for entry in left.entries] == [second.key]
    assert not list(machine.results.glob(f"{first.key}*")) and list(machine.results.glob("*.npz"))
    left = app.remove(making.RemoveParams(everything=True), silent())
    assert left.entries == () and [path.name for path in machine.results.iterdir()] == ["timings.json"]
    assert not make(thing).from_cache


def test_damaged_entries_are_left_out(make, photo, thing, app, machine):
    good, bad = make(photo), make(thing)
    for content in ("", "{", "[]", json.dumps({"name": 1})):
        (machine.results / f"{bad.key}.json").write_text(content)
        assert [entry.key for entry in history(app).entries] == [good.key]


def test_what_presets_take_is_known_after_a_run(make, photo, app, tmp_path):
    def estimates(*pictures) -> dict[str, float | None]:
        found = app.estimate(offers.EstimateParams("included", tuple(map(str, pictures))), silent())
        assert found.memory > 0
        return {each.preset: each.seconds for each in found.presets}

    assert estimates() == {"fast": None, "balanced": None, "high": None}
    make(photo)
    assert estimates()["fast"] > 0 and estimates()["high"] is None and estimates(photo)["fast"] > 0
    assert estimates(*[photo] * 30)["fast"] is None
    for number in range(30):
        shutil.copy(photo, tmp_path / f"{number}.png")
    assert estimates(tmp_path)["fast"] is None, "a folder is as many as lie in it"
    (tmp_path.parent / "a.mp4").touch()
    assert estimates(tmp_path.parent / "a.mp4")["fast"] is None, "and a video as many as are taken of it"


def test_what_improving_takes_is_a_guess_until_it_was_done_here(app, photo, machine):
    def told(*pictures) -> dict[str, offers.Estimate]:
        found = app.estimate(offers.EstimateParams(refining.IMPROVE, tuple(map(str, pictures))), silent())
        return {each.preset: each for each in found.presets}

    first = told(photo)
    assert [*first] == ["fast", "balanced", "high"] and all(each.guessed for each in first.values())
    assert 0 < first["fast"].seconds < first["high"].seconds and 1e8 < first["fast"].memory < first["high"].memory
    assert told(*[photo] * 8)["fast"].seconds > first["fast"].seconds
    kind = kind_of(refining.work_of("Included"), "fast", "cpu", 1)
    Timings(machine.results / "timings.json").add(kind, {"begin": 3.0, "round 1": 4.0})
    fast = told(photo)["fast"]
    assert (fast.seconds, fast.guessed) == (7.0, False) and told(photo)["high"].guessed


def test_what_is_slow_is_guessed_before_its_first_run(app):
    found = app.estimate(offers.EstimateParams("views-included"), silent())
    assert all(each.guessed and each.seconds > 5 for each in found.presets) and found.memory > 1e9


def test_what_was_ended_early_has_no_key_and_leaves_no_pictures(make, photo, machine, tmp_path):
    job = Job(lambda *_: None)
    job.end_early()
    made = make(photo, job, previews=str(tmp_path))
    assert made.key == "" and any("ended early" in said for said in made.warnings)
    kept = [path for path in machine.results.glob("*") if path.suffix != ".npz"]  # what the photo is of may stay
    assert kept == []
