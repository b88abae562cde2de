# SPDX-License-Identifier: GPL-3.0-or-later
"""Which network is taken for which pictures."""

import dataclasses

import pytest
from image_to_3d.worker.core.errors import Invalid, MethodUnavailable, Unable
from image_to_3d.worker.methods import all_methods, with_network
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import load
from image_to_3d.worker.pipeline.select import select, settings
from image_to_3d.worker.store.weights import WeightStore

BETTER = "depth-anything-v2-small"


@pytest.fixture
def chosen(tmp_path):
    """The names of the method and of the network for pictures."""

    def names(*paths, category=None, network=None, **options) -> tuple[str, str]:
        inputs = Inputs(tuple(load(path) for path in paths), False, None, ())
        choice = select(inputs, category, network, options, WeightStore(tmp_path / "weights"))
        return choice.method.name, choice.network.name

    return names


@pytest.fixture
def with_better_weights(tmp_path):
    """Files under the names of the network that is taken first where it is here."""
    _, network = with_network(BETTER)
    (tmp_path / "weights" / BETTER).mkdir(parents=True)
    for file in network.published.files:
        (tmp_path / "weights" / BETTER / file.name).write_text("")


def test_a_photo_of_a_place_gets_a_relief_and_a_cut_out_thing_gets_a_back(chosen, photo, thing):
    assert chosen(photo, category="depth") == ("depth", "included")
    assert chosen(thing, category="depth") == ("layers", "included-object")
    assert chosen(photo) == ("depth", "included") and chosen(thing) == ("layers", "included-object")


def test_the_best_network_that_is_here_is_taken(chosen, photo, with_better_weights):
    assert chosen(photo, category="depth") == ("depth", BETTER)


def test_one_photo_is_imagined_and_several_are_learned(chosen, photo, thing):
    assert chosen(thing, category="NeRF") == ("triposr", "triposr")
    assert chosen(photo, thing, category="nerf") == ("photos", "photos")
    assert chosen(photo, thing) == ("photos", "photos")


def test_what_is_asked_for_by_name_is_taken(chosen, photo, thing):
    assert chosen(thing, network="included") == ("depth", "included")
    assert chosen(photo, thing, network="neus-facto") == ("nerfstudio", "neus-facto")
    assert chosen(photo, category="depth", network=BETTER) == ("depth", BETTER)  # that it is not here is told later


def test_an_option_that_only_one_method_has_is_a_wish_for_that_method(chosen, thing):
    assert chosen(thing, category="depth", background="keep") == ("depth", "included")
    assert chosen(thing, category="depth", faces=1000) == ("layers", "included-object")


def test_what_no_method_takes_is_one_sentence(chosen, photo, thing):
    with pytest.raises(Unable, match="Depth takes one photo, not 2"):
        chosen(photo, thing, category="depth")
    with pytest.raises(Unable, match="TripoSR takes one photo, not 2"):
        chosen(photo, thing, network="triposr")
    with pytest.raises(MethodUnavailable, match="included-object"):
        chosen(photo, network="magic")
    with pytest.raises(Invalid, match="depth, nerf, diffusion"):
        chosen(photo, category="magic")
    with pytest.raises(Invalid, match="NeRF"):
        chosen(photo, category="depth", network="triposr")


def test_names_of_networks_and_methods_are_there_once():
    methods = all_methods()
    assert len({method.name for method in methods}) == len(methods)
    rows = [network.name for method in methods for network in method.networks]
    assert len(set(rows)) == len(rows) and not set(rows) & {method.category.lower() for method in methods}


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.name)
def test_the_users_choice_wins_over_the_preset_and_the_preset_over_the_default(method):
    preset = next(iter(method.presets))
    name, value = next(iter(method.presets[preset].items()))

    def found(chosen: dict) -> object:
        both = settings(method, preset, chosen)
        return (dataclasses.asdict(both.method) | dataclasses.asdict(both.finish))[name]

    other = next(p[name] for p in method.presets.values() if p.get(name, value) != value)
    assert found({}) == value and found({name: other}) == other
    with pytest.raises(Invalid, match="balanced"):
        settings(method, "ultra", {})
