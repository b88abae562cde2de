# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory is free, and what is said where it is too little."""

import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from image_to_3d.worker.core.errors import OutOfMemory
from image_to_3d.worker.methods import method
from image_to_3d.worker.methods.runtime import memory

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]


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


FULL = [
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5 GB, max allowed: 9 GB)."),
    RuntimeError("Invalid buffer size: 20.00 GB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    torch.OutOfMemoryError("whatever"),
    MemoryError(),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:20])
def test_full_memory_is_told_on_every_device_with_advice_that_helps(error):
    for advice in (memory.SMALLER, memory.FASTER):
        with pytest.raises(OutOfMemory, match="memory is too small") as caught, memory.guard(CPU, advice):
            raise error
        assert str(caught.value).endswith(advice) and caught.value.free > 0
        assert ("preset" in str(caught.value)) is (advice == memory.FASTER)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory.guard(CPU):
        raise RuntimeError("shapes do not fit")


def test_what_a_runner_raises_where_memory_is_full_is_told_by_the_method(monkeypatch):
    for error in FULL:
        with pytest.raises(OutOfMemory), method._memory_told("cpu"):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), method._memory_told("cpu"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing, or cannot be asked")
def test_what_was_freed_between_arrays_that_are_used_goes_back_to_the_system():
    """In a process of its own, where nothing else allocates."""
    code = """
        import numpy as np
        from worker.methods.runtime import memory

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096

        np.ones(8 << 20, np.uint8)  # glibc takes blocks of such a size from the heap from then on
        kept = []
        for _ in range(20):
            large = np.ones(5 << 20, np.uint8)
            kept.append(np.ones(1 << 16, np.uint8))
            kept.append(large)
        del kept[1::2], large
        before = resident()
        memory.release()
        print(before - resident())
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    assert int(done.stdout) > 60 << 20
