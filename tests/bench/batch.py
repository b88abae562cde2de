# SPDX-License-Identifier: GPL-3.0-or-later
"""Many mixed pictures, some bad: what a batch costs beside a loop of `generate`, and whether it survives kill -9.

    OMP_NUM_THREADS=1 python tests/bench/batch.py FOLDER PICTURES ... [--count 200] [--bad 10] [--side 640]
                                                  [--steps compare kill] [--kills 10]

PICTURES: files and folders; where there are fewer than `count`, mirrored and cropped ones follow. All are made no
larger than `side`. FOLDER keeps what is made; steps may be run one after the other. Half of the loop is run before the
batch and half after it, since other work on the machine makes all slower. Nothing is taken from a cache but Python's
compiled modules, which are there from a first call on, as for whoever uses it. Prints one line of JSON for each step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import checkout
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.geometry.glb_reading import read_glb
from PIL import Image, ImageOps

KINDS = (".jpg", ".jpeg", ".png", ".webp")
LIMIT = 3600.0
"""Seconds that a run may take."""


def written(folder: Path, sources: list[Path], count: int, bad: int, side: int) -> None:
    """The pictures, `bad` of them such that nothing can be made of them, evenly among the others."""
    folder.mkdir(parents=True, exist_ok=True)
    places = _places(count, bad)
    for number in range(count):
        source = sources[number % len(sources)]
        with Image.open(source) as opened:
            picture = opened.convert("RGBA" if "A" in opened.getbands() else "RGB")
        picture = _varied(picture, number // len(sources))
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        path = folder / f"{number:03} {source.stem}{'.png' if picture.mode == 'RGBA' else '.jpg'}"
        picture.save(path, quality=92)
        if number in places:
            _spoilt(path, places[number])


def _places(count: int, bad: int) -> dict[int, int]:
    """Of so many pictures, the numbers of those that are bad, each with what is wrong with it."""
    return {round((number + 0.5) * count / bad): number for number in range(bad)} if bad else {}


def _varied(picture: Image.Image, round: int) -> Image.Image:
    """Another picture of the same: mirrored in odd rounds, cropped a little more every second."""
    picture = ImageOps.mirror(picture) if round % 2 else picture
    cut = 0.03 * ((round + 1) // 2)
    width, height = picture.size
    return picture.crop((int(cut * width), int(cut * height), width - int(cut * width), height - int(cut * height)))


def _spoilt(path: Path, kind: int) -> None:
    content = path.read_bytes()
    spoilt = (b"", b"no picture at all\n" * 20, content[: len(content) // 3], content[:9], b"\0" * len(content))
    path.write_bytes(spoilt[kind % len(spoilt)])


def spent() -> float:
    """CPU seconds of all programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def worker(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "worker", *map(str, arguments)]


def batch_command(folder: Path, output: str) -> list[str]:
    how = ("--preset", "fast", "--included", "--no-cache", "--device", "cpu", "--json")
    return worker("batch", folder / "pictures", "-o", folder / output, *how)


def compared(folder: Path) -> dict:
    """A program for each picture, and one batch of all between the halves of these."""
    pictures = sorted((folder / "pictures").iterdir())
    looped(folder, pictures[:1])
    middle = len(pictures) // 2
    first, one, second = looped(folder, pictures[:middle]), batched(folder), looped(folder, pictures[middle:])
    loop = first["cpu_s"] + second["cpu_s"]
    told = {"loop_cpu_s": round(loop, 1), "loop_failed": first["failed"] + second["failed"]}
    return {**told, **one, "times": round(loop / one["batch_cpu_s"], 2)}


def batched(folder: Path) -> dict:
    before = spent()
    done = subprocess.run(batch_command(folder, "through"), cwd=checkout.ROOT, capture_output=True, timeout=LIMIT)
    answer = json.loads(done.stdout)
    return {"batch_cpu_s": round(spent() - before, 1), **{name: answer[name] for name in ("made", "kept", "failed")}}


def looped(folder: Path, pictures: list[Path]) -> dict:
    before, failed = spent(), 0
    for picture in pictures:
        command = worker("generate", picture, "-o", folder / "loop.glb", "--preset", "fast", "--included")
        command += ["--no-cache", "--device", "cpu"]
        failed += subprocess.run(command, cwd=checkout.ROOT, capture_output=True, timeout=LIMIT).returncode == 1
    return {"cpu_s": spent() - before, "failed": failed}


def killed(folder: Path, kills: int) -> dict:
    """A batch that is killed so many times, and the last call that goes through, beside the one that was not killed."""
    whole, output = _rows(folder / "through"), folder / "killed"
    written, again, halves = {}, 0, 0
    for number in range(kills + 1):
        process = subprocess.Popen(
            batch_command(folder, "killed"), cwd=checkout.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if number < kills:
            _wait(output, (number + 1) * len(whole) // (kills + 1), 0.037 * number, process)
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=LIMIT)
        found = {path: path.stat().st_ino for path in output.rglob("*.glb")}
        again += sum(path in written and written[path] != inode for path, inode in found.items())
        halves += sum(not _is_whole(path) for path in found)
        written = found
    rows = _rows(output)
    same = sum(_same(folder, name, rows.get(name, {}), row) for name, row in whole.items())
    left = [path.name for path in output.rglob("*") if path.name.startswith(".new-")]
    told = {"results": len(rows), "same": same, "of": len(whole), "made_twice": again, "half_files": halves}
    return {"kills": kills, **told, "left_behind": left}


def _wait(output: Path, lines: int, more: float, process: subprocess.Popen) -> None:
    """Until so many results are told, and a little more: at another place of the work each time."""
    end = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < end:
        with_lines = output / "results.jsonl"
        if with_lines.is_file() and with_lines.read_bytes().count(b"\n") >= lines:
            time.sleep(more)
            return
        time.sleep(0.02)


def _rows(folder: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return {row["name"]: row for row in rows}


def _same(folder: Path, name: str, found: dict, wanted: dict) -> bool:
    """Whether a thing has the same file, and the same is told of it, or it failed for the same reason."""
    if any(found.get(key) != wanted.get(key) for key in ("status", "error", "faces", "warnings", "network")):
        return False
    if wanted["status"] != "done":
        return True
    files = [(folder / output / f"{name}.glb").read_bytes() for output in ("through", "killed")]
    return hashlib.sha256(files[0]).digest() == hashlib.sha256(files[1]).digest()


def _is_whole(path: Path) -> bool:
    try:
        return len(read_glb(path).corners) > 0
    except Unable:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    for name, value in (("count", 200), ("bad", 10), ("side", 640), ("kills", 10)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", nargs="+", default=("compare", "kill"), choices=("compare", "kill"))
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    os.environ |= {"IMAGE_TO_3D_HOME": str(folder / "home"), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not (folder / "pictures").is_dir():
        sources = [each for path in asked.pictures for each in (sorted(path.iterdir()) if path.is_dir() else [path])]
        sources = [path for path in sources if path.suffix.lower() in KINDS]
        written(folder / "pictures", sources, asked.count, asked.bad, asked.side)
    for step in asked.steps:
        found = compared(folder) if step == "compare" else killed(folder, asked.kills)
        print(json.dumps({"step": step, **found}), flush=True)


if __name__ == "__main__":
    main()
