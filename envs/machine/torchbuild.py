# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of torch this machine gets: the one package that is not in the locks, as it depends on the hardware.

Never imports torch and asks no hardware itself. A build for the wrong driver or card is found out here, before it is
downloaded: such a build brings gigabytes of libraries.
"""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import EnvironmentProblem
from ..network.pipconfig import PipConfig
from ..specs import PYTHONS, TORCH
from .builds import CUDA_BUILDS, ROCM, ROCM_ARCHITECTURES, CudaBuild, Gpu
from .hardware import Hardware
from .platforms import platform_name

Device = Literal["cuda", "rocm", "mps", "cpu"]

_WHEEL_TAGS = {"linux-x86_64": "linux.*x86_64", "linux-arm64": "linux.*aarch64"}
_WHEEL_TAGS |= {"windows-x86_64": "win.*amd64", "macos-arm64": "macosx.*arm64"}


@dataclass(frozen=True)
class TorchBuild:
    """``key``: its name in the table of sizes ("cpu", "cu126", "pypi" ...); ``device``: what it computes on.

    ``reason``: why it was chosen; ``warning``: a sentence for the user where graphics cards are not used, or not as
    well as they could be; ``pythons``: those that it exists for; ``local``: whether the user has its wheel.
    """

    key: str
    device: Device
    reason: str
    warning: str | None = None
    pythons: tuple[str, ...] = PYTHONS
    local: bool = False

    @property
    def requirement(self) -> str:
        """For uv."""
        return f"torch=={TORCH}" if self.key == "pypi" else f"torch=={TORCH}+{self.key}"

    @property
    def index(self) -> str | None:
        """An index to ask in addition."""
        return None if self.local or self.key == "pypi" else f"https://download.pytorch.org/whl/{self.key}"


def choose(config: PipConfig, hardware: Hardware, platform: str | None = None, device: str = "auto") -> TorchBuild:
    """A wheel that the user provides; else for NVIDIA, for AMD or for Apple where they can be used; else without.

    Where a card cannot be used, the build without is chosen and ``warning`` says what to do about it. ``device``: what
    the user wants torch to compute on; raises EnvironmentProblem where no build does that here.
    """
    if device == "cpu":
        hardware = dataclasses.replace(hardware, gpus=(), cuda=None, metal=False, notes=())
    build = _choose(config, hardware, platform or platform_name())
    if device not in ("auto", build.device):
        why = build.warning or build.reason
        raise EnvironmentProblem(
            f"torch cannot compute on {device} here ({why}): choose another device", "architecture"
        )
    return build


def _choose(config: PipConfig, hardware: Hardware, platform: str) -> TorchBuild:
    provided = _provided(config, hardware, platform)
    if provided:
        return provided
    if platform == "macos-arm64":
        return TorchBuild("pypi", "mps" if hardware.metal else "cpu", "PyPI has the build for Apple silicon")
    nvidia = [gpu for gpu in hardware.gpus if gpu.kind == "nvidia"]
    amd = [gpu for gpu in hardware.gpus if gpu.kind == "amd"]
    build = _best(nvidia, hardware, platform)
    if build:
        return _with_cuda(build, nvidia, hardware, platform)
    trouble = [_why_not_nvidia(nvidia, hardware, platform)] if nvidia else []
    supported = [gpu for gpu in amd if gpu.architecture in ROCM_ARCHITECTURES]
    if supported and platform == "linux-x86_64":
        reason = f"{supported[0].name} can run ROCm {ROCM}"
        return TorchBuild(f"rocm{ROCM}", "rocm", reason, "; ".join(trouble) or None)
    trouble += [_why_not_amd(amd, platform)] if amd else []
    warning = "; ".join(trouble or hardware.notes) or None
    reason = "the graphics card cannot be used" if warning else "no graphics card that torch can use was found"
    return TorchBuild("cpu" if platform.startswith("linux") else "pypi", "cpu", reason, warning)  # PyPI's brings CUDA


def _best(gpus: list[Gpu], hardware: Hardware, platform: str) -> CudaBuild | None:
    """The build that runs on most cards, the newest of them among these: CUDA offers the fastest card first."""
    if not gpus:
        return None
    newest = max(gpus, key=lambda gpu: gpu.capability or (0, 0))
    able = [build for build in CUDA_BUILDS if build.runs_with(hardware.cuda) and build.runs_on(newest, platform)]
    return max(able, key=lambda build: sum(build.runs_on(gpu, platform) for gpu in gpus), default=None)


def _with_cuda(build: CudaBuild, gpus: list[Gpu], hardware: Hardware, platform: str) -> TorchBuild:
    used, usual = [gpu for gpu in gpus if build.runs_on(gpu, platform)], CUDA_BUILDS[0]
    needs = f"torch for CUDA {_dotted(build.cuda)}, which {used[0].name} needs"
    warnings = [f"{gpu.name} will not be used: {needs}, is not for it" for gpu in gpus if gpu not in used]
    if build is not usual and all(usual.runs_on(gpu, platform) for gpu in gpus):
        warnings.append(
            f"{_driver(hardware)} is older than torch's usual build wants: the build for CUDA "
            f"{_dotted(build.cuda)} is used, which works; for the usual one, install driver {usual.driver} or newer, "
            "then set up again"
        )
    from_pypi = build is usual and platform.startswith("linux")  # PyPI's wheels for Windows have no CUDA
    reason = f"{used[0].name} can run CUDA {_dotted(build.cuda)} with {_driver(hardware)}"
    return TorchBuild("pypi" if from_pypi else build.key, "cuda", reason, "; ".join(warnings) or None)


def _why_not_nvidia(gpus: list[Gpu], hardware: Hardware, platform: str) -> str:
    """A sentence for the card that would be used."""
    newest = max(gpus, key=lambda gpu: gpu.capability or (0, 0))
    fitting = [build for build in CUDA_BUILDS if build.runs_on(newest, platform)]
    if fitting and hardware.cuda is None:
        return "; ".join(hardware.notes) or f"CUDA does not work on {newest.name}: install NVIDIA's driver again"
    if fitting:
        least = min(build.driver for build in fitting)
        advice = f"install driver {least} or newer, then set up again"
        return f"{_driver(hardware)} is too old for {newest.name}, so the processor is used: {advice}"
    every = {each for build in CUDA_BUILDS for each in build.compiled.get(platform, ())}
    age = f"there is none for such cards on {platform}"
    if newest.capability and every and newest.capability < min(every):
        age = f"the card is too old, {_dotted(min(every))} is the least"
    elif newest.capability and every and newest.capability > max(every):
        age = "the card is newer than this version of Image to 3D: look for a newer one"
    return f"torch {TORCH} has no build for {newest}, so the processor is used: {age}"


def _why_not_amd(gpus: list[Gpu], platform: str) -> str:
    if platform != "linux-x86_64":
        return f"torch has no build for AMD's cards on {platform}, so the processor is used"
    cards, architectures = " and ".join(map(str, gpus)), ", ".join(sorted(ROCM_ARCHITECTURES))
    return f"torch's build for ROCm {ROCM} is not for {cards}, so the processor is used: it is for {architectures}"


def _provided(config: PipConfig, hardware: Hardware, platform: str) -> TorchBuild | None:
    """A wheel in one of the folders that the user's pip looks into: it goes first, whatever the hardware is."""
    for python, folder in ((python, folder) for python in PYTHONS for folder in config.folders):
        version = _version_in(folder, platform, python)
        if version:
            key = version.partition("+")[2] or "pypi"
            device, reason = _device_of(key, hardware, platform), f"torch {version} lies in {folder}"
            return TorchBuild(key, device, reason, pythons=(python,), local=True)
    return None


def _device_of(key: str, hardware: Hardware, platform: str) -> Device:
    """What a build computes on here, from the local part of its version."""
    if platform == "macos-arm64":
        return "mps" if hardware.metal else "cpu"
    if key.startswith("rocm") and any(gpu.kind == "amd" for gpu in hardware.gpus):
        return "rocm"
    with_cuda = key.startswith("cu") or (key == "pypi" and platform.startswith("linux"))
    return "cuda" if with_cuda and hardware.cuda is not None else "cpu"


def _version_in(folder: Path, platform: str, python: str) -> str | None:
    """For example 2.13.0+cpu, from the name of a wheel (packaging.python.org, "Binary distribution format")."""
    tag, where = f"cp{python.replace('.', '')}", _WHEEL_TAGS.get(platform, "no wheel")
    pattern = re.compile(rf"torch-({re.escape(TORCH)}(?:\+[\w.]+)?)-{tag}-{tag}-.*{where}\.whl")
    return min((match[1] for match in map(pattern.fullmatch, os.listdir(folder)) if match), default=None)


def _driver(hardware: Hardware) -> str:
    version = hardware.driver or (f"for CUDA {_dotted(hardware.cuda)}" if hardware.cuda else "")
    return f"NVIDIA's driver {version}".rstrip()


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
