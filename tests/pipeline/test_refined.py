# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture through the whole way of Hybrid's large tiers, with tiny networks: first coarse, then fine."""

import dataclasses

import pytest
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg import refiner
from image_to_3d.worker.store.weights import WeightStore

SMALL = {"steps": 4, "grid": 48}


@pytest.fixture
def machine(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)
    monkeypatch.setattr(triposg, "POINTS", 500)
    monkeypatch.setattr(refiner.detail, "POINTS", 400)
    tiny.write(tmp_path / "weights" / "triposg")
    tiny.write(tmp_path / "weights" / "detailgen3d", tiny.TINY_DETAIL)
    return dataclasses.replace(machine, weights=WeightStore(tmp_path / "weights"))


@pytest.mark.parametrize("network", ["hybrid-triposg", "hybrid-detailgen3d"])
def test_a_coarse_mesh_is_there_before_the_fine_one_and_outlives_a_cancel(make, machine, thing, tmp_path, network):
    shown = []
    (tmp_path / "previews").mkdir()
    wanted = {"network": network, "previews": str(tmp_path / "previews"), "options": SMALL}
    made = make(thing, Job(lambda *_: None, shown.append), machine, **wanted)
    assert made.network == network and made.faces > 100
    coarse = shown[0]
    assert coarse.suffix == ".glb" and shown[-1] is None
    coarse.unlink()
    job = Job(lambda progress, stage, message, _: stage == "guiding" and job.cancel())
    with pytest.raises(Cancelled):
        make(thing, job, machine, **{**wanted, "options": {**SMALL, "seed": 1}})
    assert coarse.stat().st_size > 10_000


def test_a_result_comes_again_from_the_cache_and_changed_weights_make_it_anew(make, machine, thing, tmp_path):
    wanted = {"network": "hybrid-triposg", "options": SMALL}
    assert not make(thing, None, machine, **wanted).from_cache
    assert make(thing, None, machine, **wanted).from_cache
    tiny.write(tmp_path / "weights" / "triposg", seed=1)
    assert not make(thing, None, machine, **wanted).from_cache
