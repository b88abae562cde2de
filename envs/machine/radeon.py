# SPDX-License-Identifier: GPL-3.0-or-later
"""AMD's cards on Linux, from the files of the system's core. Reads files; needs no ROCm and loads no library.

What torch computes with is the core's KFD driver, which describes each of its nodes in a folder of its own. Source:
docs.kernel.org (amdgpu: "AMDGPU driver information") and the core's drivers/gpu/drm/amd/amdkfd/kfd_topology.c, which
writes ``gfx_target_version`` as major * 10000 + minor * 100 + stepping; LLVM writes the same version as gfx90a, in
hexadecimal digits (llvm.org/docs/AMDGPUUsage.html, "Processors").
"""

import os
from pathlib import Path

from .builds import Gpu

_NAMES = Path("usr/share/libdrm/amdgpu.ids")  # "device id,\trevision,\tname", hexadecimal; comes with libdrm


def cards(filesystem: Path = Path("/")) -> list[Gpu]:
    """Every card that KFD drives; the folder ``filesystem`` stands for the machine's root."""
    nodes = sorted((filesystem / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"))
    return list(filter(None, (_card(filesystem, _properties(node)) for node in nodes)))


def trouble(filesystem: Path = Path("/")) -> str | None:
    """Why the cards cannot be used although they are there, and what to do."""
    device = filesystem / "dev/kfd"
    if not device.exists():
        return (
            "an AMD card is there, but /dev/kfd is not: in a container, start it with "
            "--device /dev/kfd --device /dev/dri"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        return (
            "an AMD card is there, but this user may not use it: "
            "run `sudo usermod -aG render,video $USER`, then log out and in again"
        )
    return None


def _properties(path: Path) -> dict[str, int]:
    """Lines of a name and a number. Empty for a node that this process may not see (another container's)."""
    lines = [line.split() for line in _text(path).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def _card(filesystem: Path, node: dict[str, int]) -> Gpu | None:
    target = node.get("gfx_target_version", 0)
    if not target:  # the processor is a node, too
        return None
    architecture = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
    device = filesystem / f"sys/class/drm/renderD{node.get('drm_render_minor', 0)}/device"
    name = _name(filesystem, node.get("device_id", 0), _text(device / "revision"))
    memory = _text(device / "mem_info_vram_total")
    size = int(memory) if memory.isdigit() else None
    return Gpu(name or f"AMD graphics ({architecture})", "amd", size, None, architecture)


def _name(filesystem: Path, device_id: int, revision: str) -> str:
    """What the card is sold as, from libdrm's table; empty if it is not in there."""
    wanted = (f"{device_id:x}", revision.removeprefix("0x").lstrip("0").lower() or "0")
    for line in _text(filesystem / _NAMES).splitlines():
        fields = [field.strip() for field in line.split(",", 2)]
        if len(fields) == 3 and (fields[0].lower(), fields[1].lstrip("0").lower() or "0") == wanted:
            return fields[2]
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
