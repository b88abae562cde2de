# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks NVIDIA's driver what there is, and prints it as one JSON object. Run as a file, in a process of its own.

A driver may hang or crash, so nothing here is called in a process that matters (see hardware.py). Standard library
only, and no module of ours: it is started with -I -S, which is quick and sees nothing of the user's.

Two libraries are asked. NVML (``nvidia-smi`` is made of it) knows the driver's version and needs no CUDA; libcuda is
what torch uses, so only what it says counts as usable. Signatures and codes: docs.nvidia.com/deploy/nvml-api (nvml.h)
and docs.nvidia.com/cuda/cuda-driver-api (cuda.h).
"""

import ctypes
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Found = dict[str, Any]
Load = Callable[[str], Any]

_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_NAME = 96  # bytes; NVML_DEVICE_NAME_V2_BUFFER_SIZE
_VERSION = 80  # bytes; NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE

# What the codes mean for the user; every other one is named by its number.
_NVML = {
    4: "this user may not use it: ask the administrator of this machine",
    9: "its part in the system's core is not loaded: restart the machine, or install the driver again",
    12: "a part of it is missing: install the driver again",
    15: "the card does not answer: restart the machine",
    16: "the card must be reset: restart the machine",
    18: "it was updated and the old one is still loaded: restart the machine",
}
_CUDA = {
    34: "only a stand-in of it is installed, as for compiling: install the driver itself",
    100: "it offers no card: in a container, start it with access to the card (docker run --gpus all)",
    101: "the card cannot be used: restart the machine",
    802: "the card is not ready yet: try again in some minutes, and start the fabric manager if the machine has one",
    803: "it was updated and the old one is still loaded: restart the machine",
    804: "the installed forward compatibility package does not fit this card: remove it",
    999: "it fails without saying why, as it may after sleep: restart the machine",
}


class DriverProblem(Exception):
    """A library of the driver is there and does not work. The message is a sentence for the user."""


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def ask(load: Load) -> Found:
    """``driver``, ``cuda`` ([major, minor] or None where CUDA does not work), ``gpus`` and ``notes``.

    ``load`` opens a library by name, or raises OSError where there is none.
    """
    found: Found = {"driver": None, "cuda": None, "gpus": [], "notes": []}
    seen, failed = [], False
    for name, question in (("nvml", by_nvml), ("cuda", by_cuda)):
        try:
            library = load(name)
        except OSError:
            continue
        seen.append(name)
        try:
            question(library, found)
        except DriverProblem as problem:
            found["notes"] += [] if failed else [str(problem)]  # both mostly fail for the same reason
            failed = True
    if seen == ["nvml"] and found["gpus"]:
        found["notes"].append(
            "NVIDIA's driver is there without its CUDA library: install the whole driver, or in a container, "
            "allow it to compute (NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
        )
    return found


def by_nvml(library: Any, found: Found) -> None:
    """The driver's version and every card, into ``found``."""
    _check("its management library", library.nvmlInit_v2(), _NVML)
    try:
        version = ctypes.create_string_buffer(_VERSION)
        if library.nvmlSystemGetDriverVersion(version, _VERSION) == 0:
            found["driver"] = version.value.decode(errors="replace")
        count = ctypes.c_uint()
        _check("its management library", library.nvmlDeviceGetCount_v2(ctypes.byref(count)), _NVML)
        for index in range(count.value):
            _nvml_card(library, index, found)
    finally:
        library.nvmlShutdown()


def _nvml_card(library: Any, index: int, found: Found) -> None:
    card, name, memory = ctypes.c_void_p(), ctypes.create_string_buffer(_NAME), _Memory()
    major, minor = ctypes.c_int(), ctypes.c_int()
    code = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(card))
    if code:
        found["notes"].append(f"card {index} of NVIDIA's cannot be used: {_NVML.get(code, f'NVML says {code}')}")
        return
    named = library.nvmlDeviceGetName(card, name, _NAME) == 0
    # Cards that share the processor's memory do not say how much they have; drivers of 2018 do not know the third.
    sized = library.nvmlDeviceGetMemoryInfo(card, ctypes.byref(memory)) == 0
    capability = getattr(library, "nvmlDeviceGetCudaComputeCapability", None)
    able = capability is not None and capability(card, ctypes.byref(major), ctypes.byref(minor)) == 0
    found["gpus"].append(
        {
            "name": name.value.decode(errors="replace") if named else "NVIDIA graphics",
            "memory_bytes": memory.total if sized else None,
            "capability": [major.value, minor.value] if able else None,
        }
    )


def by_cuda(library: Any, found: Found) -> None:
    """The newest CUDA that the driver can run, if it runs at all, and the cards where NVML has none."""
    _check("CUDA", library.cuInit(0), _CUDA)
    version, count = ctypes.c_int(), ctypes.c_int()
    _check("CUDA", library.cuDriverGetVersion(ctypes.byref(version)), _CUDA)
    found["cuda"] = [version.value // 1000, version.value % 1000 // 10]
    if not found["gpus"]:
        _check("CUDA", library.cuDeviceGetCount(ctypes.byref(count)), _CUDA)
        found["gpus"] = [_cuda_card(library, index) for index in range(count.value)]


def _cuda_card(library: Any, index: int) -> Found:
    card, name, memory = ctypes.c_int(), ctypes.create_string_buffer(_NAME), ctypes.c_size_t()
    _check("CUDA", library.cuDeviceGet(ctypes.byref(card), index), _CUDA)
    _check("CUDA", library.cuDeviceGetName(name, _NAME, card), _CUDA)
    _check("CUDA", library.cuDeviceTotalMem_v2(ctypes.byref(memory), card), _CUDA)
    capability = []
    for attribute in _CAPABILITY:
        number = ctypes.c_int()
        _check("CUDA", library.cuDeviceGetAttribute(ctypes.byref(number), attribute, card), _CUDA)
        capability.append(number.value)
    return {"name": name.value.decode(errors="replace"), "memory_bytes": memory.value, "capability": capability}


def _check(what: str, code: int, meanings: dict[int, str]) -> None:
    if code:
        why = meanings.get(code, f"it fails with error {code}: restart the machine, or install the driver again")
        raise DriverProblem(f"NVIDIA's driver is there, but {what} does not work: {why}")


def open_library(name: str) -> ctypes.CDLL:
    """``nvml`` or ``cuda`` of the driver; OSError where there is none.

    By its plain name on Linux, as torch does: a library that the system would not find for torch must not count.
    """
    if sys.platform != "win32":
        return ctypes.CDLL({"nvml": "libnvidia-ml.so.1", "cuda": "libcuda.so.1"}[name])
    folder = os.path.join(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32")
    return ctypes.CDLL(os.path.join(folder, {"nvml": "nvml.dll", "cuda": "nvcuda.dll"}[name]))


def driver_in_proc(filesystem: Path) -> str | None:
    """The driver's version, from a file that is there when the driver is loaded; ``filesystem``: the root folder."""
    try:
        text = (filesystem / "proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"\b\d{3,}(?:\.\d+)+\b", text)
    return found[0] if found else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(open_library)))
