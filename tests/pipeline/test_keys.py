# SPDX-License-Identifier: GPL-3.0-or-later
"""What is served from the cache was made of the same, by the same code and weights: everything else is made anew."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
from image_to_3d.tests.methods.triposr import tiny
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import method as methods
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.pipeline import code
from image_to_3d.worker.store.timings import Timings


def network_ran(result) -> bool:
    return "network" in result.seconds


def test_the_same_comes_from_the_cache_and_another_mesh_of_the_same_depth_runs_no_network(make, photo):
    assert network_ran(make(photo))
    assert make(photo).from_cache
    other = make(photo, options={"faces": 300})
    assert not other.from_cache and not network_ran(other)


def test_nothing_is_taken_and_nothing_kept_where_that_is_asked_for(make, photo, machine):
    assert network_ran(make(photo, cached=False)) and network_ran(make(photo, cached=False))
    assert not [path for path in machine.results.iterdir() if path.name != "timings.json"]


@pytest.mark.parametrize("changed", ["picture", "option", "preset", "network"])
def test_whatever_is_asked_for_otherwise_runs_the_network(make, photo, thing, changed):
    make(photo)
    match changed:
        case "picture":
            photo.write_bytes(photo.read_bytes() + b"\0")  # another file, if with the same pixels
            assert network_ran(make(photo))
        case "option":
            assert network_ran(make(photo, options={"detail": 1.5}))
        case "preset":
            assert make(photo, options={"detail": 0.75}).from_cache  # what matters are its values
        case "network":
            assert network_ran(make(thing)) and network_ran(make(thing, network="included"))


def test_what_counts_is_the_device_that_ran_and_not_the_word_for_it(make, photo, machine, monkeypatch):
    """A card that somebody puts in must make "auto" run again, and "auto" without one is the processor."""
    make(photo)
    automatic = dataclasses.replace(machine, device="auto")
    assert make(photo, machine=automatic).from_cache
    monkeypatch.setattr(methods.Task, "place", "cuda")
    assert network_ran(make(photo, machine=automatic))


def test_other_weights_under_the_same_name_run_the_network_again(make, photo, tmp_path, monkeypatch):
    """Taking the weights' revision out of the key must fail here."""
    make(photo)
    method, network = with_network("included")
    shutil.copy(network.file, tmp_path / "other.safetensors")
    with open(tmp_path / "other.safetensors", "r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\1")
    rows = {"included": (method, dataclasses.replace(network, file=tmp_path / "other.safetensors"))}
    from image_to_3d.worker.pipeline import select

    monkeypatch.setattr(select, "with_network", rows.__getitem__)
    methods.LOADED.unload()
    assert network_ran(make(photo, network="included"))
    assert make(photo, network="included").from_cache


@pytest.mark.parametrize("room", ["methods", "finish"])
def test_other_code_runs_again_what_it_may_change(make, photo, monkeypatch, room):
    make(photo)
    if room == "methods":
        monkeypatch.setattr(code, "of_method", lambda method: "other")
        assert network_ran(make(photo))
    else:
        monkeypatch.setattr(code, "of_finish", lambda: "other")
        again = make(photo)
        assert not again.from_cache and not network_ran(again)


def test_a_changed_file_of_code_makes_anew_what_it_may_change_and_nothing_else(copy_of_the_worker, photo, tmp_path):
    folder = copy_of_the_worker()

    def made() -> str:
        variables = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", "worker", "generate", photo, "-o", tmp_path / "out.glb", "--preset", "fast"]
        command += ["--json"]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=100)
        answer = json.loads(done.stdout)
        return "cache" if answer["from_cache"] else "network" if "network" in answer["seconds"] else "mesh"

    assert made() == "network" and made() == "cache"
    expected = {
        "geometry/relief/lattice.py": "mesh",
        "pipeline/work.py": "mesh",
        "methods/depth/estimator.py": "network",
        "methods/layers/regression.py": "cache",
        "methods/runtime/devices.py": "network",
        "wire/server.py": "cache",
    }
    for file, found in expected.items():
        path = folder / "worker" / file
        path.write_text(path.read_text("utf-8") + "\n# another version\n", "utf-8")
        assert made() == found, file


def test_what_steps_took_is_remembered_and_tells_the_time_that_remains(make, photo, machine):
    told = []
    make(photo, Job(lambda progress, stage, message, remaining: told.append(remaining)), cached=False)
    assert told and all(remaining is None for remaining in told)
    for _ in range(2):
        make(photo, cached=False)
    [(kind, steps)] = json.loads((machine.results / "timings.json").read_text()).items()
    assert "included" in kind and all(len(times) == 3 for times in steps.values())


def test_timings_that_are_damaged_know_nothing_and_are_written_anew(tmp_path):
    for content in ("{", "[]", '{"a": 1}', '{"a": {"b": "c"}}', "\0"):
        (tmp_path / "timings.json").write_text(content)
        timings = Timings(tmp_path / "timings.json")
        assert timings.of("a") == {}
        timings.add("a", {"b": 1.0})
        assert timings.of("a") == {"b": [1.0]}


def test_only_the_last_times_of_a_step_are_remembered(tmp_path):
    timings = Timings(tmp_path / "timings.json")
    for seconds in range(9):
        timings.add("a", {"b": float(seconds)})
    assert timings.of("a") == {"b": [4.0, 5.0, 6.0, 7.0, 8.0]}


def test_an_option_that_is_applied_late_runs_no_network_again(make, thing, machine):
    tiny.write(machine.weights.root / "triposr")
    sizes = {"grid": 32, "faces": 500}
    assert network_ran(make(thing, network="triposr", options={**sizes, "threshold": 25.0}))
    other = make(thing, network="triposr", options={**sizes, "threshold": 20.0})
    assert not other.from_cache and not network_ran(other)
    assert network_ran(make(thing, network="triposr", options={**sizes, "fill": 0.7}))
