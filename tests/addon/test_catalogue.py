# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import os
import sys

import pytest
from image_to_3d.addon.session import catalogue, launch
from image_to_3d.addon.session.client import Answered, Client
from image_to_3d.tests.addon.waiting import events_until
from image_to_3d.worker.wire import offers, protocol


@pytest.fixture
def offered(tmp_path):
    """What the real worker says that it offers."""
    command = launch.worker_command(sys.executable)
    client = Client(command, launch.PACKAGE, tmp_path / "log", {**os.environ, "IMAGE_TO_3D_HOME": str(tmp_path)})
    client.request("initialize", offers.InitializeParams(protocol.VERSION))
    [answer] = events_until(client, Answered)
    yield answer.result.methods
    client.close()


def test_what_ships_is_what_the_worker_of_this_version_offers(offered):
    how = "write it anew: python -m worker models --json > addon/session/catalogue.json"
    assert catalogue.shape(catalogue.shipped()) == catalogue.shape(offered), how


def test_something_of_the_first_category_works_without_a_download():
    first = catalogue.of_category(catalogue.shipped(), catalogue.categories(catalogue.shipped())[0])
    assert any(network.here for method in first for network in method.networks)


def test_the_names_of_networks_are_unique_so_that_a_name_tells_the_method():
    methods = catalogue.shipped()
    names = [(network.name, method) for method in methods for network in method.networks]
    assert len(dict(names)) == len(names)
    for name, method in names:
        found, network = catalogue.find(methods, name)
        assert found is method and network.name == name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "own" / "catalogue.json"


def with_weights_here() -> catalogue.Methods:
    """As shipped, but all weights are here."""
    return tuple(
        dataclasses.replace(method, networks=tuple(dataclasses.replace(each, here=True) for each in method.networks))
        for method in catalogue.shipped()
    )


def test_what_a_worker_said_last_is_remembered(path):
    catalogue.write(with_weights_here(), path)
    assert catalogue.last(path) == with_weights_here() != catalogue.shipped()
    assert list(path.parent.iterdir()) == [path]


def test_what_a_worker_of_another_version_said_is_forgotten(path):
    [first, *rest] = with_weights_here()
    catalogue.write((dataclasses.replace(first, options=first.options[1:]), *rest), path)
    assert catalogue.last(path) == catalogue.shipped()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"methods": 3}', '{"methods": [{"name": "depth"}]}', "\xff"])
def test_a_damaged_memory_is_forgotten(path, content):
    path.parent.mkdir()
    path.write_text(content, encoding="latin-1")
    assert catalogue.last(path) == catalogue.shipped()
