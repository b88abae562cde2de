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
from typing import Literal

from . import host, nvidia, radeon

LIMIT = 10.0  # seconds for NVIDIA's driver to answer; a card that sleeps needs one or two to wake up
_HIDING = {  # variables that hide cards, and whose; AMD's software follows NVIDIA's, too
    "CUDA_VISIBLE_DEVICES": ("nvidia", "amd"),
    "HIP_VISIBLE_DEVICES": ("amd",),
    "ROCR_VISIBLE_DEVICES": ("amd",),
}
_EVERYTHING = ("", "-1")  # such values hide every card
_NVIDIA, _MICROSOFT = "0x10de", "0x1414"  # as vendors are numbered by pcisig.com; the second is WSL's stand-in
_SYSTEM_FILES = Path("/")


@dataclass(frozen=True)
class Gpu:
    """One card. ``capability``: of NVIDIA's, its compute capability; ``architecture``: of AMD's, for example gfx1100.

    ``memory_bytes`` is all its memory, which on Apple's is the machine's; None where the driver does not say.
    """

    name: str
    kind: Literal["nvidia", "amd", "apple"]
    memory_bytes: int | None = None
    capability: tuple[int, int] | None = None
    architecture: str | None = None

    def __str__(self) -> str:
        details = [f"{self.memory_bytes / 2**30:.0f} GiB"] if self.memory_bytes else []
        details += [f"compute capability {self.capability[0]}.{self.capability[1]}"] if self.capability else []
        details += [self.architecture] if self.architecture and self.architecture not in self.name else []
        return f"{self.name} ({', '.join(details)})" if details else self.name


@dataclass(frozen=True)
class Hardware:
    """A machine. ``system``, ``machine``: as for people ("Ubuntu 24.04 (Linux 6.8.0)", "x86_64").

    ``gpus``: those that a driver answers for. ``driver``: version of NVIDIA's driver; ``cuda``: the newest CUDA that it
    can run, None where CUDA does not work; ``metal``: whether torch can use Apple's graphics; ``notes``: sentences on
    what is there and does not work, each with what to do.
    """

    system: str
    machine: str
    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    metal: bool = False
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for people."""
        memory = f"{self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else "unknown memory"
        cards = "; ".join(str(gpu) for gpu in self.gpus) or "no graphics card that torch can use"
        driver = f"; NVIDIA driver {self.driver}" if self.driver else ""
        cuda = f" (CUDA {self.cuda[0]}.{self.cuda[1]})" if self.driver and self.cuda else ""
        return f"{self.system}, {self.machine}, {self.cores} cores, {memory}; {cards}{driver}{cuda}"


@dataclass
class _Graphics:
    """What is gathered of the cards, card by card."""

    gpus: list[Gpu] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    driver: str | None = None
    cuda: tuple[int, int] | None = None


def find(limit: float = LIMIT, filesystem: Path = _SYSTEM_FILES) -> Hardware:
    """This machine. Never raises; takes ``limit`` seconds at most, plus some milliseconds.

    ``filesystem`` stands for the machine's root folder, whose files are read on Linux.
    """
    memory, graphics = host.memory_bytes(), _Graphics()
    metal = sys.platform == "darwin" and platform.machine() == "arm64"
    if metal:
        name = host.sysctl("machdep.cpu.brand_string").rstrip(b"\0").decode(errors="replace")
        graphics.gpus.append(Gpu(name or "Apple silicon", "apple", memory))
    elif sys.platform != "darwin":
        _add_nvidia(graphics, limit, filesystem)
        if sys.platform == "linux":
            _add_radeon(graphics, filesystem)
    _follow_hiding(graphics)
    return Hardware(
        host.description(),
        platform.machine(),
        os.cpu_count() or 1,
        memory,
        tuple(graphics.gpus),
        graphics.driver,
        graphics.cuda,
        metal,
        tuple(graphics.notes),
    )


def _add_nvidia(graphics: _Graphics, limit: float, filesystem: Path) -> None:
    found = _ask_nvidia(limit)
    graphics.driver = found["driver"] or _driver_in_proc(filesystem)
    graphics.cuda = (found["cuda"][0], found["cuda"][1]) if found["cuda"] else None
    for card in found["gpus"]:
        capability = (card["capability"][0], card["capability"][1]) if card["capability"] else None
        graphics.gpus.append(Gpu(card["name"], "nvidia", card["memory_bytes"], capability))
    vendors = _vendors(filesystem)
    if not vendors or vendors & {_NVIDIA, _MICROSOFT} or found["gpus"]:
        graphics.notes += found["notes"]  # else: a driver that waits for a card that is not there troubles nobody
    if _NVIDIA in vendors and not graphics.driver and not found["notes"]:
        graphics.notes.append(
            "an NVIDIA card is in this machine, but not its driver: install NVIDIA's driver to use the card"
        )


def _add_radeon(graphics: _Graphics, filesystem: Path) -> None:
    cards = radeon.cards(filesystem)
    trouble = radeon.trouble(filesystem) if cards else None
    if trouble:
        graphics.notes.append(trouble)
        return
    graphics.gpus += [Gpu(card.name, "amd", card.memory_bytes, None, card.architecture) for card in cards]


def _follow_hiding(graphics: _Graphics) -> None:
    for name, kinds in _HIDING.items():
        value = os.environ.get(name)
        if value is None or not any(gpu.kind in kinds for gpu in graphics.gpus):
            continue
        which = "some" if value.strip() not in _EVERYTHING else "all"
        graphics.notes.append(
            f"{name} is set to {value!r}, which hides {which} graphics cards from what is started here: "
            "remove this variable to use them"
        )
        if which == "all":
            graphics.gpus = [gpu for gpu in graphics.gpus if gpu.kind not in kinds]
            graphics.cuda = None if "nvidia" in kinds else graphics.cuda


def _ask_nvidia(limit: float) -> nvidia.Found:
    """What nvidia.py prints, from a process that may hang or crash instead of ours."""
    nothing: nvidia.Found = {"driver": None, "cuda": None, "gpus": [], "notes": []}
    variables = {name: value for name, value in os.environ.items() if name not in _HIDING}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("nvidia.py"))],
            env=variables,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            **pipes,
        )
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
    except ValueError:
        note = f"NVIDIA's driver is there, but does not work ({how}): restart the machine, or install the driver again"
        return {**nothing, "notes": [note]}


def _driver_in_proc(filesystem: Path) -> str | None:
    try:
        return nvidia.version_in_proc((filesystem / "proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        return None


def _vendors(filesystem: Path) -> set[str]:
    """Who made the graphics cards on the PCI bus, as numbers in text; empty where the system does not say."""
    found: set[str] = set()
    for device in (filesystem / "sys/bus/pci/devices").glob("*"):
        try:
            kind, vendor = ((device / name).read_text(encoding="utf-8").strip() for name in ("class", "vendor"))
        except OSError:
            continue
        if kind.startswith("0x03"):  # display controllers
            found.add(vendor)
    return found
