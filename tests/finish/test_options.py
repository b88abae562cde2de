# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of methods and of what becomes of their representations: one list for the user, two owners."""

import dataclasses
from importlib import import_module

import pytest
from image_to_3d.worker.core import representations
from image_to_3d.worker.core.errors import Invalid
from image_to_3d.worker.core.options import checked, described
from image_to_3d.worker.finish.options import TABLE, DepthMapOptions
from image_to_3d.worker.methods import all_methods, with_network
from image_to_3d.worker.pipeline.select import all_options, settings

METHODS = {method.name: method for method in all_methods()}
METHODS_AND_PRESETS = [(method.name, preset) for method in all_methods() for preset in method.presets]


@pytest.mark.parametrize("name", METHODS)
def test_no_option_of_a_method_is_also_one_of_its_finish(name):
    method = METHODS[name]
    own, finish = (
        {option.name for option in described(kind)} for kind in (method.options, TABLE[method.makes].options)
    )
    assert not own & finish and len(all_options(method)) == len(own) + len(finish)


@pytest.mark.parametrize("name, preset", METHODS_AND_PRESETS)
def test_every_preset_resolves_into_the_two_dataclasses(name, preset):
    method = METHODS[name]
    found = settings(method, preset, {})
    assert type(found.method) is method.options and type(found.finish) is TABLE[method.makes].options
    values = {**dataclasses.asdict(found.method), **dataclasses.asdict(found.finish)}
    assert values.keys() == {option.name for option in all_options(method)}
    assert {option: values[option] for option in method.presets[preset]} == method.presets[preset]


@pytest.mark.parametrize("name, preset", METHODS_AND_PRESETS)
def test_every_value_of_a_preset_is_of_an_option_that_there_is(name, preset):
    assert METHODS[name].presets[preset].keys() <= {option.name for option in all_options(METHODS[name])}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_only_applied_late_is_an_option_of_the_method_itself(name):
    assert set(METHODS[name].late) <= {option.name for option in described(METHODS[name].options)}


@pytest.mark.parametrize("name", METHODS)
def test_defaults_lie_within_their_limits_and_every_option_is_explained(name):
    for option in all_options(METHODS[name]):
        assert checked(option, option.default) == option.default
        assert option.label and option.help[0].isupper() | (option.kind == "choice") and option.help.endswith(".")


def test_every_representation_has_options_and_a_finish():
    assert set(TABLE) >= {method.makes for method in all_methods()}
    for name, row in TABLE.items():
        assert dataclasses.is_dataclass(getattr(representations, name)) and dataclasses.is_dataclass(row.options)
        assert callable(import_module(f"image_to_3d.worker.finish{row.module}").finished)


@pytest.mark.parametrize("near, far", [(4.0, 4.0), (4.0, 3.0), (float("nan"), 4.0)])
def test_a_depth_range_that_makes_no_sense_is_refused_before_any_work(near, far):
    with pytest.raises(Invalid, match="the nearest distance"):
        DepthMapOptions(near=near, far=far)
    with pytest.raises(Invalid):
        settings(with_network("included")[0], "fast", {"near": near, "far": far})
    assert DepthMapOptions(near=3.0, far=4.0).far == 4.0
