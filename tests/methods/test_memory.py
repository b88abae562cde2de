# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks in memory: one at a time unless both fit, each loaded once, until its weights change."""

import gc
import sys
import types
import weakref

import pytest
from image_to_3d.worker.core.errors import Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import method as methods
from image_to_3d.worker.methods.method import ACTIVATIONS, LoadedNetworks, Method, Network
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.store.weights import HubFile, HubModel, WeightStore


class Loaded:
    """What a network is once it is loaded."""


class Loader:
    """Loads, and notes for each load which of those that it loaded before are still in memory."""

    def __init__(self) -> None:
        self.alive: list[weakref.ref] = []
        self.beside: list[list[int]] = []

    def __call__(self, network, folder, device) -> Loaded:
        gc.collect()
        self.beside.append([number for number, held in enumerate(self.alive) if held() is not None])
        made = Loaded()
        self.alive.append(weakref.ref(made))
        return made


@pytest.fixture
def load() -> Loader:
    return Loader()


@pytest.fixture
def weights(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "weights")


def room(monkeypatch, *answers: bool) -> list[int]:
    """What `memory.fits` says by turns, and then always; returns the list of what it is asked."""
    asked, left = [], list(answers)

    def fits(device, needed: int) -> bool:
        asked.append(needed)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(memory, "fits", fits)
    return asked


def shipped(tmp_path, name: str, bytes: int = 10) -> Network:
    """A network whose file is part of the product."""
    file = tmp_path / f"{name}.safetensors"
    file.write_bytes(b"x" * bytes)
    return Network(name, name, "MIT", "", file=file)


def test_where_only_one_fits_the_older_one_is_let_go_before_the_next_is_loaded(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, False)
    held = LoadedNetworks()
    for name in ("first", "second", "third"):
        held.get(shipped(tmp_path, name), weights, "cpu", load)
    assert load.beside == [[], [], []]
    assert [network() is not None for network in load.alive] == [False, False, True]


def test_where_both_fit_both_are_kept(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True)
    held, networks = LoadedNetworks(), [shipped(tmp_path, name) for name in ("first", "second")]
    made = [held.get(network, weights, "cpu", load) for network in networks]
    assert load.beside == [[], [0]]
    assert [held.get(network, weights, "cpu", load) for network in networks] == made and len(load.alive) == 2


def test_the_one_that_was_not_used_for_longest_goes_first_and_no_more_than_needed(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True, True, False, True)
    held, networks = LoadedNetworks(), [shipped(tmp_path, name) for name in ("first", "second", "third", "fourth")]
    for network in networks[:3]:
        held.get(network, weights, "cpu", load)
    held.get(networks[0], weights, "cpu", load)  # so that the second is the one that was not used for longest
    held.get(networks[3], weights, "cpu", load)
    assert load.beside[3] == [0, 2]


def test_the_same_network_is_loaded_once_even_where_nothing_else_fits(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, False)
    held, network = LoadedNetworks(), shipped(tmp_path, "first")
    assert held.get(network, weights, "cpu", load) is held.get(network, weights, "cpu", load)
    assert len(load.alive) == 1


def test_on_another_device_it_is_another_one(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True)
    held, network = LoadedNetworks(), shipped(tmp_path, "first")
    assert held.get(network, weights, "cpu", load) is not held.get(network, weights, "auto", load)


def test_other_weights_under_the_same_name_are_loaded_anew_and_the_old_ones_go(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True)
    held = LoadedNetworks()
    before = held.get(shipped(tmp_path, "first"), weights, "cpu", load)
    after = held.get(shipped(tmp_path, "first", bytes=11), weights, "cpu", load)
    assert after is not before
    del before
    gc.collect()
    assert load.alive[0]() is None, "nobody will ever ask for the old ones again"


def test_other_files_in_the_folder_of_downloaded_weights_are_other_weights(monkeypatch, weights, load):
    room(monkeypatch, True)
    network = Network("hub", "", "MIT", "", HubModel("a/b", "0" * 40, (HubFile("config.json", None, None),)))
    (weights.root / "hub").mkdir(parents=True)
    held, file = LoadedNetworks(), weights.root / "hub" / "config.json"
    file.write_text("{}")
    before = held.get(network, weights, "cpu", load)
    assert held.get(network, weights, "cpu", load) is before
    file.write_text("{ }")
    assert held.get(network, weights, "cpu", load) is not before


def test_room_is_made_for_the_weights_and_for_what_they_take_while_they_run(tmp_path, monkeypatch, weights, load):
    asked, held = room(monkeypatch, True), LoadedNetworks()
    held.get(shipped(tmp_path, "first"), weights, "cpu", load)
    held.get(shipped(tmp_path, "second", bytes=1000), weights, "cpu", load)
    assert asked == [1000 * ACTIVATIONS]


def test_all_of_them_are_let_go_when_asked(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True)
    held = LoadedNetworks()
    for name in ("first", "second"):
        held.get(shipped(tmp_path, name), weights, "cpu", load)
    held.unload()
    assert all(network() is None for network in load.alive)


def test_a_method_that_loads_nothing_has_the_memory_for_itself(tmp_path, monkeypatch, weights, load):
    held, seen = LoadedNetworks(), []
    monkeypatch.setattr(methods, "LOADED", held)
    held.get(shipped(tmp_path, "first"), weights, "cpu", load)
    runner = types.SimpleNamespace(run=lambda task, loaded, job: seen.append(load.alive[0]()))
    monkeypatch.setitem(sys.modules, "a_runner_that_loads_nothing", runner)
    method = Method("m", "", "", "", "several", False, "Field", (), "a_runner_that_loads_nothing", {})
    method.run(types.SimpleNamespace(device="cpu"), Job(lambda *_: None))
    assert seen == [None]


def test_what_is_not_here_is_told_and_lets_nothing_go(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, False)
    held, here = LoadedNetworks(), shipped(tmp_path, "first")
    made = held.get(here, weights, "cpu", load)
    absent = Network("hub", "Hub", "MIT", "", HubModel("a/b", "0" * 40, (HubFile("config.json", 2, None),)))
    with pytest.raises(WeightsMissing):
        held.get(absent, weights, "cpu", load)
    with pytest.raises(Unable, match="install the product again"):
        held.get(Network("gone", "", "MIT", "", file=tmp_path / "gone"), weights, "cpu", load)
    assert held.get(here, weights, "cpu", load) is made


def test_a_network_that_cannot_be_loaded_is_not_kept(tmp_path, monkeypatch, weights, load):
    room(monkeypatch, True)

    def broken(*_: object) -> None:
        raise Unable("damaged")

    held, network = LoadedNetworks(), shipped(tmp_path, "first")
    with pytest.raises(Unable):
        held.get(network, weights, "cpu", broken)
    assert held.get(network, weights, "cpu", load) is load.alive[0]()
