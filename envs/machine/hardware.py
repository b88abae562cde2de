# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine can compute on: its graphics cards, how new their driver is, its memory.

Asked only by the installer and by checks, which are processes of their own, never by Blender. Knows no torch and no
environment. Nothing here raises or hangs: what could not be found out is None, and why is one of the notes.

CUDA_VISIBLE_DEVICES and its like hide cards from what is started with them, the worker among it. An environment is for
the machine and not for the session in which it is made, so all cards are asked about; only where everything is hidden,
as from a user who wants no graphics card used, there are none. Either way it is one of the notes.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import host, nvidia, radeon
from .builds import Gpu

LIMIT = 10.0  # seconds for NVIDIA's driver to answer; a card that sleeps needs one or two to wake up
_HIDING = {  # variables that hide cards, and whose; AMD's software follows NVIDIA's, too
    "CUDA_VISIBLE_DEVICES": ("nvidia", "amd"),
    "HIP_VISIBLE_DEVICES": ("amd",),
    "ROCR_VISIBLE_DEVICES": ("amd",),
}
_NVIDIA, _MICROSOFT = "0x10de", "0x1414"  # as vendors are numbered by pcisig.com; the second is WSL's stand-in
_SYSTEM_FILES = Path("/")


@dataclass
class Hardware:
    """A machine.

    ``gpus``: those that a driver answers for. ``driver``: version of NVIDIA's driver; ``cuda``: the newest CUDA that it
    can run, None where CUDA does not work; ``metal``: whether torch can use Apple's graphics; ``notes``: sentences on
    what is there and does not work, each with what to do.
    """

    cores: int
    memory_bytes: int | None
    gpus: list[Gpu] = field(default_factory=list)
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    metal: bool = False
    notes: list[str] = field(default_factory=list)


def find(limit: float = LIMIT, filesystem: Path = _SYSTEM_FILES) -> Hardware:
    """This machine. Never raises; takes ``limit`` seconds at most, plus some milliseconds.

    ``filesystem`` stands for the machine's root folder, whose files are read on Linux.
    """
    found = Hardware(os.cpu_count() or 1, host.memory_bytes())
    if sys.platform != "darwin":
        _add_nvidia(found, limit, filesystem)
    elif platform.machine() == "arm64":
        found.metal = True
        found.gpus.append(Gpu(host.apple_processor() or "Apple silicon", "apple", found.memory_bytes))
    if sys.platform == "linux":
        cards = radeon.cards(filesystem)
        trouble = radeon.trouble(filesystem) if cards else None
        found.notes += [trouble] if trouble else []
        found.gpus += [] if trouble else cards
    _follow_hiding(found)
    return found


def _add_nvidia(found: Hardware, limit: float, filesystem: Path) -> None:
    answer, vendors = _ask_nvidia(limit), _vendors(filesystem)
    found.driver = answer["driver"] or nvidia.driver_in_proc(filesystem)
    found.cuda = tuple(answer["cuda"]) if answer["cuda"] else None
    for card in answer["gpus"]:
        capability = tuple(card["capability"]) if card["capability"] else None
        found.gpus.append(Gpu(card["name"], "nvidia", card["memory_bytes"], capability))
    if not vendors or vendors & {_NVIDIA, _MICROSOFT} or answer["gpus"]:
        found.notes += answer["notes"]  # else: a driver that waits for a card that is not there troubles nobody
    if _NVIDIA in vendors and not found.driver and not answer["notes"]:
        found.notes.append(
            "an NVIDIA card is in this machine, but not its driver: install NVIDIA's driver to use the card"
        )


def _follow_hiding(found: Hardware) -> None:
    for name, kinds in _HIDING.items():
        value = os.environ.get(name)
        if value is None or not any(gpu.kind in kinds for gpu in found.gpus):
            continue
        all_hidden = value.strip() in ("", "-1")
        found.notes.append(
            f"{name} is set to {value!r}, which hides {'all' if all_hidden else 'some'} graphics cards from what is "
            "started here: remove this variable to use them"
        )
        if all_hidden:
            found.gpus = [gpu for gpu in found.gpus if gpu.kind not in kinds]
            found.cuda = None if "nvidia" in kinds else found.cuda


def _ask_nvidia(limit: float) -> nvidia.Found:
    """What nvidia.py prints, from a process that may hang or crash instead of ours."""
    nothing: nvidia.Found = {"driver": None, "cuda": None, "gpus": [], "notes": []}
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("nvidia.py"))]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    variables = {name: value for name, value in os.environ.items() if name not in _HIDING}
    window = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        child = subprocess.Popen(command, env=variables, creationflags=window, **pipes)
    except OSError as error:
        return {**nothing, "notes": [f"NVIDIA's driver could not be asked ({error.strerror}): set up again later"]}
    try:
        output = child.communicate(timeout=limit)[0]
        how = f"it ended with code {child.returncode}"
    except subprocess.TimeoutExpired:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the system's core hears no signal
            child.communicate(timeout=1.0)
        output, how = b"", f"it did not answer in {limit:.0f} seconds"
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        note = f"NVIDIA's driver is there, but does not work ({how}): restart the machine, or install the driver again"
        return {**nothing, "notes": [note]}


def _vendors(filesystem: Path) -> set[str]:
    """Who made the graphics cards on the PCI bus, as numbers in text; empty where the system does not say."""
    found: set[str] = set()
    for device in (filesystem / "sys/bus/pci/devices").glob("*"):
        with contextlib.suppress(OSError):
            kind, vendor = ((device / name).read_text(encoding="utf-8").strip() for name in ("class", "vendor"))
            found |= {vendor} if kind.startswith("0x03") else set()  # display controllers
    return found
