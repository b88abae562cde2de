# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import os
import sys

import pytest
from image_to_3d.addon.session import catalogue as offered
from image_to_3d.addon.session import launch as environment
from image_to_3d.addon.session.client import Answered, Client
from image_to_3d.tests.addon.waiting import events_until
from image_to_3d.worker.wire import protocol


@pytest.fixture
def said(tmp_path):
    """What the real worker says that it offers."""
    command = environment.worker_command(sys.executable)
    client = Client(command, environment.PACKAGE, tmp_path / "log", {**os.environ, "IMAGE_TO_3D_HOME": str(tmp_path)})
    client.request("initialize", protocol.InitializeParams(protocol.VERSION))
    [answer] = events_until(client, Answered)
    yield answer.result.backends
    client.close()


def test_what_ships_is_what_the_worker_of_this_version_offers(said):
    how = "write it anew: python -m worker models --json > addon/session/catalogue.json"
    assert offered.shape(offered.shipped()) == offered.shape(said), how


def test_what_is_chosen_at_first_works_without_a_download():
    assert offered.model_named(offered.shipped()[0], None).here


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "own" / "offered.json"


def with_weights_here() -> offered.Offered:
    """As shipped, but all weights are here."""
    return tuple(
        dataclasses.replace(backend, models=tuple(dataclasses.replace(model, here=True) for model in backend.models))
        for backend in offered.shipped()
    )


def test_what_a_worker_said_last_is_remembered(kept):
    offered.keep(with_weights_here(), kept)
    assert offered.last_known(kept) == with_weights_here() != offered.shipped()
    assert list(kept.parent.iterdir()) == [kept]


def test_what_a_worker_of_another_version_said_is_forgotten(kept):
    [first, *rest] = with_weights_here()
    offered.keep((dataclasses.replace(first, options=first.options[1:]), *rest), kept)
    assert offered.last_known(kept) == offered.shipped()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"backends": 3}', '{"backends": [{"name": "depth"}]}', "\xff"])
def test_a_damaged_memory_is_forgotten(kept, content):
    kept.parent.mkdir()
    kept.write_text(content, encoding="latin-1")
    assert offered.last_known(kept) == offered.shipped()


def test_an_option_concerns_the_models_that_it_names_or_all():
    nerf = offered.backend_named(offered.shipped(), "nerf")
    options = {option.name: option for option in nerf.options}
    one, several = (offered.model_named(nerf, None, several=several) for several in (False, True))
    assert offered.concerns(options["fill"], one) and not offered.concerns(options["fill"], several)
    assert offered.concerns(options["training"], several) and not offered.concerns(options["training"], one)
    assert offered.concerns(options["faces"], one) and offered.concerns(options["faces"], several)
