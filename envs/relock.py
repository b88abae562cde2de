# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the locks from the specs, for every platform, with uv. For developers; a user's machine only reads locks.

Locks are made from the main index alone, so that packages which only exist on one developer's machine cannot get in.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import pipconfig, uvtool
from .errors import EnvironmentProblem
from .places import Places
from .progress import Report
from .specs import PYTHONS, TORCH, input_path, lock_path
from .uvrun import Uv, uv_variables

# uv's names for our platforms. glibc 2.28 and macOS 14 are what torch's wheels want.
_UV_PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-arm64": "aarch64-manylinux_2_28",
    "windows-x86_64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
}
PLATFORMS = tuple(_UV_PLATFORMS)
_INPUTS = {"core": ("core",), "test": ("core", "test")}

# What torch wants on Linux in its CUDA build only; that build brings them itself when it is installed.
_NVIDIA = (
    "cublas",
    "cuda-cupti",
    "cuda-nvrtc",
    "cuda-runtime",
    "cudnn-cu13",
    "cufft",
    "cufile",
    "curand",
    "cusolver",
    "cusparse",
    "cusparselt-cu13",
    "nccl-cu13",
    "nvjitlink",
    "nvshmem-cu13",
    "nvtx",
)
_CUDA_PACKAGES = ("triton", "cuda-bindings", "cuda-pathfinder", "cuda-toolkit", *(f"nvidia-{each}" for each in _NVIDIA))


def relock(root: Path, platforms: Sequence[str], report: Report) -> list[Path]:
    """Writes the locks of all environments for ``platforms``; returns their paths."""
    unknown = set(platforms) - set(PLATFORMS)
    if unknown:
        raise EnvironmentProblem(f"no lock can be made for {', '.join(unknown)}: choose from {', '.join(PLATFORMS)}")
    places = Places(root)
    places.environments.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(pipconfig.read(), extra_index_urls=(), find_links=())
    variables = {**uv_variables(places, config.uv_variables()), "MACOSX_DEPLOYMENT_TARGET": "14.0"}
    places.log("lock").parent.mkdir(parents=True, exist_ok=True)
    with places.log("lock").open("w", encoding="utf-8") as log:
        uv = Uv(uvtool.find_or_fetch(places.tools, pipconfig.read()), places, variables, log)
        return [_lock(uv, name, platform, report) for platform in platforms for name in _INPUTS]


def _lock(uv: Uv, name: str, platform: str, report: Report) -> Path:
    target = lock_path(name, platform)
    with tempfile.TemporaryDirectory() as folder:
        excluded, torch, made = (Path(folder) / each for each in ("excluded.txt", "torch.in", "made.txt"))
        excluded.write_text("\n".join(_CUDA_PACKAGES), encoding="utf-8")
        torch.write_text(f"torch=={TORCH}\n", encoding="utf-8")  # resolved along, but not written
        inputs = [str(input_path(each)) for each in _INPUTS[name]]
        constraints = [] if name == "core" else ["--constraints", str(lock_path("core", platform))]
        uv.run(
            [
                "pip",
                "compile",
                *inputs,
                str(torch),
                *constraints,
                "--excludes",
                str(excluded),
                "--no-emit-package",
                "torch",
                "--python-version",
                PYTHONS[0],
                "--only-binary",
                ":all:",
                "--python-platform",
                _UV_PLATFORMS[platform],
                "--generate-hashes",
                "--no-annotate",
                "--no-header",
                "--quiet",
                "--output-file",
                str(made),
            ],
            "packages",
            f"locking {name} for {platform}",
            report,
        )
        head = f"# Made by `python3 -m envs lock` for {platform}, Python {PYTHONS[0]}, torch {TORCH}. Do not edit.\n"
        target.write_text(head + made.read_text(encoding="utf-8"), encoding="utf-8", newline="\n")
    return target
