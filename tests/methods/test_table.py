# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of methods: what every line must tell, whatever it does."""

import dataclasses
import json
from importlib.util import find_spec

import pytest
from image_to_3d.worker import app, methods
from image_to_3d.worker.core import representations
from image_to_3d.worker.core.errors import Invalid, MethodUnavailable
from image_to_3d.worker.core.options import resolved
from image_to_3d.worker.methods import all_methods, of_category, with_network
from image_to_3d.worker.pipeline.select import all_options, settings
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import offers, protocol


@pytest.fixture(params=[method.name for method in all_methods()])
def method(request) -> methods.Method:
    return next(method for method in all_methods() if method.name == request.param)


def test_a_description_survives_the_wire(method, tmp_path):
    info = app._method_info(method, WeightStore(tmp_path))
    assert protocol.read(offers.MethodInfo, json.loads(json.dumps(dataclasses.asdict(info)))) == info


def test_its_runner_and_its_representation_are_there(method):
    assert find_spec(method.runner) is not None
    assert hasattr(getattr(representations, method.makes), "to_arrays")


def test_every_preset_is_there_and_resolves_within_the_limits(method):
    assert set(method.presets) == {"fast", "balanced", "high"}
    for preset in method.presets.values():
        assert resolved(all_options(method), preset, {}).keys() == {option.name for option in all_options(method)}


def test_the_users_choice_wins_over_the_preset_and_the_preset_over_the_default(method):
    def value(preset: str, chosen: dict) -> object:
        found = settings(method, preset, chosen)
        return {**dataclasses.asdict(found.method), **dataclasses.asdict(found.finish)}[name]

    name, fast = next(iter(method.presets["fast"].items()))
    assert value("fast", {}) == fast
    other = next(preset[name] for preset in method.presets.values() if preset.get(name, fast) != fast)
    assert value("fast", {name: other}) == other


@pytest.mark.parametrize(
    "chosen", [{"unknown": 1}, {"faces": 1}, {"faces": 10**9}, {"faces": 2.5}, {"faces": True}, {"background": "maybe"}]
)
def test_options_that_make_no_sense_are_refused(chosen):
    with pytest.raises(Invalid, match=next(iter(chosen))):
        settings(with_network("included")[0], "fast", chosen)


def test_not_a_number_is_outside_of_every_limit():
    with pytest.raises(Invalid):
        settings(with_network("included")[0], "fast", {"near": float("nan")})


def test_unknown_names_are_refused_with_what_there_is(method):
    with pytest.raises(MethodUnavailable, match=method.networks[0].name):
        with_network("gpt")
    with pytest.raises(Invalid, match=method.category.lower()):
        of_category("magic")
    with pytest.raises(Invalid, match="balanced"):
        settings(method, "ultra", {})


def test_names_of_methods_and_of_networks_are_unique():
    for names in (
        [method.name for method in all_methods()],
        [network.name for method in all_methods() for network in method.networks],
    ):
        assert len(names) == len(set(names))


def test_every_network_tells_its_licence_which_allows_commercial_use(method):
    for network in method.networks:
        free = network.licence in ("MIT", "Apache-2.0", "GPL-3.0-or-later")
        assert free or (network.by_hand and not network.automatic and not network.bytes)
        assert network.label and network.help and not network.label.startswith(" ")


def test_methods_come_by_category_in_the_order_of_the_panel():
    categories = list(dict.fromkeys(method.category for method in all_methods()))
    assert categories == ["Depth", "NeRF", "Diffusion", "Hybrid"]
    assert [method.category for method in all_methods()] == sorted(
        (method.category for method in all_methods()), key=categories.index
    )
