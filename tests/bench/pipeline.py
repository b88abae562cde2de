# SPDX-License-Identifier: GPL-3.0-or-later
"""What one photo costs: seconds and peak memory per stage, and the whole from process start to GLB.

    python tests/bench/pipeline.py [--size 1024] [--runs 3]

Each run is a process of its own that keeps nothing and takes nothing that was kept; the median is printed.
`initialize` is the time from process start to the worker's first answer over the pipe.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
from image_to_3d.worker.wire import protocol
from PIL import Image

REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"version": protocol.VERSION}}


def photo(path: Path, size: int) -> Path:
    """The project's own example picture at that size: real edges and texture, square."""
    example = Image.open(checkout.ROOT / "docs" / "examples" / "room.jpg")
    example.resize((size, size), Image.Resampling.LANCZOS).save(path, quality=92)
    return path


def generate(picture: Path, preset: str, home: Path) -> dict[str, float]:
    """Seconds per stage, of the whole process, and peak memory in MB, of one run."""
    command = [sys.executable, "-m", "worker", "generate", picture, "-o", home / "out.glb", "--preset", preset]
    command += ["--model", "included", "--no-cache", "--cache", home / "cache", "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=checkout.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(answer.decode())
    seconds = json.loads(answer)["seconds"]
    rest = {"all but network": sum(seconds.values()) - seconds["network"], "process": time.perf_counter() - start}
    return seconds | rest | {"peak MB": usage.ru_maxrss / 1024}


def initialize() -> float:
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "worker"], cwd=checkout.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(json.dumps(REQUEST).encode() + b"\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    seconds = time.perf_counter() - start
    process.stdin.close()
    process.wait(10)
    if "result" not in json.loads(answer):
        raise SystemExit(answer.decode())
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    initialize()  # compiled files and the disk's cache, which a second start has
    print(f"initialize: {statistics.median(initialize() for _ in range(options.runs)):.3f} s")
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        picture = photo(Path(folder) / "photo.jpg", options.size)
        for preset in ("fast", "balanced", "high"):
            runs = []
            for run in range(options.runs):
                home = Path(folder) / f"{preset}{run}"
                home.mkdir()
                runs.append(generate(picture, preset, home))
            rows[preset] = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    print(f"{'':16}" + "".join(f"{preset:>10}" for preset in rows))
    for name in rows["fast"]:
        print(f"{name:16}" + "".join(f"{row[name]:10.2f}" for row in rows.values()))


if __name__ == "__main__":
    main()
