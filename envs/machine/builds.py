# SPDX-License-Identifier: GPL-3.0-or-later
"""Which builds of torch there are for graphics cards, and on which cards and drivers each of them runs.

Where the table is from (torch 2.13.0):

* which builds there are: pytorch/pytorch, RELEASE.md, "Release Compatibility Matrix" and pull request 187075: CUDA
  12.6; 13.0, which PyPI's wheels for Linux are; ROCm 7.2; also CUDA 13.2, as an experiment, and ROCm 7.1.
* which cards they were compiled for: for CUDA 13.0 read from PyPI's wheels, in libtorch_python.so, where
  torch.cuda.get_arch_list() has it from; they hold no PTX, so nothing runs on a card that is not listed. For CUDA 12.6
  and for Windows from RELEASE.md, "PyTorch CUDA Support Matrix", which says the same of CUDA 13.0, and issue 182250.
* which card can run what was compiled for another one: docs.nvidia.com/cuda/cuda-c-programming-guide, "Binary
  Compatibility": the same major number and the same or a higher minor one, except on the small Tegra computers.
* drivers: docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility": 525 for every CUDA 12, 580 for
  every CUDA 13; with exact numbers in the CUDA toolkit's release notes (525.60.13, on Windows 528.33; 580.65.06).
* AMD's: the list of the ROCm 7.2 wheels (astral-sh/uv pull request 18730) without gfx900 and gfx906, for which ROCm's
  libraries hold nothing any more (ROCm/TheRock issue 1844). An architecture runs only what was compiled for it.
"""

from dataclasses import dataclass
from typing import Literal

Capability = tuple[int, int]

_TEGRA = {(5, 3), (6, 2), (7, 2), (8, 7)}  # Jetson computers before Thor, for which torch's wheels are not made


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
class CudaBuild:
    """``cuda``: what it was made with; ``driver``: the first to run it; ``compiled``: for what cards, by platform."""

    cuda: tuple[int, int]
    driver: int
    compiled: dict[str, frozenset[Capability]]

    @property
    def key(self) -> str:
        return f"cu{self.cuda[0]}{self.cuda[1]}"

    def runs_with(self, newest: tuple[int, int] | None) -> bool:
        """Whether a driver that can run CUDA up to ``newest`` runs it: the same major number is enough."""
        return newest is not None and newest[0] >= self.cuda[0]

    def runs_on(self, gpu: Gpu, platform: str) -> bool:
        """Whether it was compiled for ``gpu``. A card that does not tell its capability is taken for one that can."""
        if gpu.capability is None:
            return True
        major, minor = gpu.capability
        fits = any(major == each[0] and minor >= each[1] for each in self.compiled.get(platform, ()))
        return fits and gpu.capability not in _TEGRA


_OLD_X86 = frozenset({(5, 0), (6, 0), (7, 0), (7, 5), (8, 0), (8, 6), (9, 0)})
_NEW_X86 = frozenset({(7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0)})
_ARM = {(8, 0), (9, 0), (10, 0), (11, 0), (12, 0)}
CUDA_BUILDS = (  # the newest first: it is preferred
    CudaBuild((13, 0), 580, {"linux-x86_64": _NEW_X86, "windows-x86_64": _NEW_X86, "linux-arm64": frozenset(_ARM)}),
    CudaBuild(
        (12, 6), 525, {"linux-x86_64": _OLD_X86, "windows-x86_64": _OLD_X86, "linux-arm64": frozenset({(8, 0), (9, 0)})}
    ),
)
ROCM = "7.2"
ROCM_ARCHITECTURES = frozenset(
    ["gfx908", "gfx90a", "gfx942", "gfx950"]  # Instinct MI100 to MI350
    + ["gfx1030", "gfx1100", "gfx1101", "gfx1102"]  # Radeon RX 6800 to 6950, RX 7600 to 7900
    + ["gfx1150", "gfx1151", "gfx1200", "gfx1201"]  # Ryzen AI 300, Radeon RX 9060 and 9070
)
