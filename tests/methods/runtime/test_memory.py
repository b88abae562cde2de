# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory is free, and what is said where it is too little."""

import pytest
import torch
from image_to_3d.worker.core.errors import OutOfMemory
from image_to_3d.worker.methods.runtime import memory

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "free, advice", [(5, "choose the preset balanced"), (2, "choose the preset fast"), (0, "close other programs")]
)
def test_too_little_memory_names_the_best_preset_that_fits(monkeypatch, free, advice):
    monkeypatch.setattr(memory, "free", lambda device: int(free * 1e9))
    with pytest.raises(OutOfMemory, match=advice) as caught:
        memory.require(CPU, int(8e9), {"fast": int(1e9), "balanced": int(4e9), "high": int(8e9)})
    assert caught.value.needed == 8e9 and f"{free:.1f} GB are free" in str(caught.value)
    memory.require(CPU, int(free * 1e9), {})


def test_what_fits_is_no_more_than_is_free_and_nothing_where_nobody_knows(monkeypatch):
    for free, wanted in ((1000, [True, True, False]), (None, [False, False, False])):
        monkeypatch.setattr(memory, "free", lambda device, free=free: free)
        assert [memory.fits(CPU, needed) for needed in (0, 1000, 1001)] == wanted


def test_this_machine_says_how_much_memory_is_free():
    found = memory.free(CPU)
    assert found is not None and 1e6 < found < 1e14
