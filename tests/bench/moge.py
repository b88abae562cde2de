# SPDX-License-Identifier: GPL-3.0-or-later
"""MoGe-2 at full size on this machine: seconds per stage and memory, with random weights in the published layout.

    python tests/bench/moge.py [--size small base large] [--threads 2] [--preset balanced] [--photo FILE] [--cpu-time]

Sizes are those of the published files (keys/moge.json in the folder that IMAGE_TO_3D_SHARED names, else in `shared`
beside the checkout). Weights are written to a temporary folder and loaded from there as downloaded ones would be. They
say nothing about quality, but the number of multiplications is that of the real ones. Each size runs in a process of
its own, whose largest memory is told; beside it that of Python with torch and no network, the lower bar.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
import torch
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.depth import Options, estimator, moge
from image_to_3d.worker.pictures.load import Picture, load

VARIANTS = {"small": ("moge-2", "vits"), "base": ("moge-2-base", "vitb"), "large": ("moge-2-large", "vitl")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", default=["small"], choices=VARIANTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--photo", type=Path, help="else a made-up one of 1024 x 768 pixels")
    parser.add_argument("--cpu-time", action="store_true", help="count the processes' work, for a busy machine")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.inner:
        print(json.dumps(measured(wishes.size[0], wishes)))
        return
    print(json.dumps({"torch alone": {"memory_mb": memory()}}))
    for size in wishes.size:
        command = [sys.executable, __file__, *sys.argv[1:], "--inner", "--size", size]
        subprocess.run(command, check=True)


def measured(size: str, wishes: argparse.Namespace) -> dict:
    """Seconds of each stage, and the process' largest memory in MB."""
    torch.set_num_threads(wishes.threads)
    name, backbone = VARIANTS[size]
    method, network = with_network(name)
    picture = load(wishes.photo) if wishes.photo else made_up()
    values = method.presets[wishes.preset]
    options = Options(values["detail"], values.get("mirror", False))
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", _WRITING, __file__, backbone, folder], check=True)
        clock = time.process_time if wishes.cpu_time else time.perf_counter
        loaded = _timed(seconds, "load", clock, lambda: estimator.load(network, Path(folder), "cpu"))
        found = _timed(seconds, "first", clock, lambda: loaded(picture, options, lambda: None))
        _timed(seconds, "again", clock, lambda: loaded(picture, options, lambda: None))
        bytes = (Path(folder) / moge.FILE).stat().st_size
    shape = "x".join(map(str, reversed(found.inverse_depth.shape)))
    facts = {"threads": wishes.threads, "preset": wishes.preset, "map": shape, "file_mb": round(bytes / 1e6)}
    return {name: {**facts, "published_mb": round(network.bytes / 1e6), "seconds": seconds, "memory_mb": memory()}}


_WRITING = "import sys, pathlib; sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent)); import moge; moge.write()"
"""In a process of its own: what it takes to make the weights is not what it takes to run them."""


def write() -> None:
    """Random weights of the backbone argv[2] into the folder argv[3], that see a surface everywhere."""
    backbone, folder = sys.argv[2:4]
    shared = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    variants = json.loads((shared / "fixtures" / "keys" / "moge.json").read_text())["variants"]
    [variant] = [each for name, each in variants.items() if backbone in name]
    generator = torch.Generator().manual_seed(5)
    state = {
        name: torch.randn(shape, generator=generator) / max(1.0, np.prod(shape[1:])) ** 0.5
        for name, shape in variant["tensors"].items()
    }
    state["mask_head.output_blocks.4.bias"] += 20.0
    state["encoder.image_std"] = torch.full((1, 3, 1, 1), 0.25)
    torch.save({"model_config": variant["model_config"], "model": state}, Path(folder) / moge.FILE)


def made_up() -> Picture:
    rows, columns = np.mgrid[:768, :1024]
    rgb = np.stack([rows // 4, columns // 5, (rows * columns) // 997 % 256], -1).astype(np.uint8)
    return Picture(rgb, None, None, "", "made up")


def memory() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def _timed(seconds: dict[str, float], name: str, clock: Callable[[], float], work: Callable[[], object]) -> object:
    start = clock()
    result = work()
    seconds[name] = round(clock() - start, 2)
    return result


if __name__ == "__main__":
    main()
