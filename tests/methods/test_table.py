# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import json

import pytest
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Invalid, MethodUnavailable
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import protocol


@pytest.fixture(params=sorted(backends.TABLE))
def info(request, tmp_path):
    return backends.get(request.param).describe(WeightStore(tmp_path))


def test_a_description_survives_the_wire(info):
    assert protocol.read(protocol.BackendInfo, json.loads(json.dumps(dataclasses.asdict(info)))) == info


def test_every_preset_is_there_and_settles_within_the_limits(info):
    assert set(info.presets) == {"fast", "balanced", "high"}
    for preset in info.presets:
        assert backends.settle(info, preset, {}).keys() == {option.name for option in info.options}


def test_the_users_choice_wins_over_the_preset_and_the_preset_over_the_default(info):
    name, value = next(iter(info.presets["fast"].items()))
    assert backends.settle(info, "fast", {})[name] == value
    other = next(p[name] for p in info.presets.values() if p.get(name, value) != value)
    assert backends.settle(info, "fast", {name: other})[name] == other


@pytest.mark.parametrize(
    "chosen", [{"unknown": 1}, {"faces": 1}, {"faces": 10**9}, {"faces": 2.5}, {"faces": True}, {"background": "maybe"}]
)
def test_options_that_make_no_sense_are_refused(tmp_path, chosen):
    info = backends.get("depth").describe(WeightStore(tmp_path))
    with pytest.raises(Invalid, match=next(iter(chosen))):
        backends.settle(info, "fast", chosen)


def test_not_a_number_is_outside_of_every_limit(tmp_path):
    info = backends.get("depth").describe(WeightStore(tmp_path))
    with pytest.raises(Invalid):
        backends.settle(info, "fast", {"near": float("nan")})


def test_unknown_names_are_refused_with_what_there_is(info):
    with pytest.raises(MethodUnavailable, match="depth"):
        backends.get("magic")
    with pytest.raises(Invalid, match="balanced"):
        backends.settle(info, "ultra", {})
    with pytest.raises(Invalid, match=info.models[0].name):
        backends.choose_model(info, "gpt")


def test_default_models_allow_commercial_use_and_tell_their_licence(info):
    default = next(model for model in info.models if model.name == info.default_model)
    assert default.commercial and all(model.licence for model in info.models)
