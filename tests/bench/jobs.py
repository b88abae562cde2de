# SPDX-License-Identifier: GPL-3.0-or-later
"""Many jobs of mixed kinds in one worker, a tenth of them bad: does its memory stay flat, and do all get their answer?

    python tests/bench/jobs.py [--count 500] [--seed 0]

Prints one line of JSON: answers by what came of them, memory (MB) after the first fifth and at the end, open files at
both, files left in the folders. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import checkout
import numpy as np
from image_to_3d.worker.wire import protocol
from PIL import Image

LIMIT = 300.0


class Worker:
    """A worker, and what it has answered."""

    def __init__(self, folder: Path) -> None:
        variables = {**os.environ, "IMAGE_TO_3D_HOME": str(folder / "home")}
        self.log = (folder / "stderr").open("wb")
        command, pipe = [sys.executable, "-m", "worker"], subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=checkout.ROOT, env=variables, stdin=pipe, stdout=pipe, stderr=self.log
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=lambda: [self._lines.put(line) for line in self.process.stdout], daemon=True).start()

    def send(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        """The next one; raises queue.Empty where none comes."""
        while "method" in (message := json.loads(self._lines.get(timeout=LIMIT))):
            pass
        return message

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(30.0)
        self.log.close()
        return code


def run(count: int, seed: int, folder: Path) -> dict:
    _write_pictures(folder)
    worker, dice, came = Worker(folder), np.random.default_rng(seed), Counter()
    early: tuple[int, int] = 0, 0
    worker.send(_line(0, "initialize", {"version": protocol.VERSION, "device": "cpu"}))
    assert "result" in worker.answer()
    for number in range(1, count + 1):
        bad = number % 10 == 0
        line, cancel = _bad(number, dice, folder) if bad else (_good(number, dice, folder), False)
        worker.send(line)
        if cancel:
            worker.send(
                json.dumps({"jsonrpc": "2.0", "method": protocol.CANCELLED, "params": {"requestId": number}}).encode()
            )
        answer = worker.answer()
        code = answer.get("error", {}).get("code", 0)
        came["good" if code == 0 else protocol.ErrorCode(code).name.lower()] += 1
        assert bad or code == 0, answer
        assert answer.get("id") in (number, None), answer
        if number == max(count // 5, 1):
            early = worker.memory, worker.open_files
    late = worker.memory, worker.open_files
    code = worker.end()
    left = sorted(path.name for path in folder.rglob(".new-*"))
    megabytes = [round(early[0] / 1e6), round(late[0] / 1e6)]
    return {"came": dict(came), "memory": megabytes, "files": [early[1], late[1]], "left": left, "exit": code}


def _line(id: int, method: str, params: dict) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


def _good(number: int, dice: np.random.Generator, folder: Path) -> bytes:
    kind = int(dice.integers(8))
    made = {"output": str(folder / "out.glb"), "preset": "fast", "cached": bool(dice.integers(2))}
    options = {"texture": 64 * int(dice.integers(1, 4))}
    picture = str(folder / f"{int(dice.integers(4))}.png")
    if kind <= 1:
        options = {**options, "faces": int(dice.integers(200, 900))}
        return _line(number, "generate", {**made, "pictures": [picture], "network": "included", "options": options})
    if kind == 2:
        return _line(number, "generate", {**made, "pictures": [picture], "network": "included-object"})
    if kind == 3:
        steps = {"steps": 2, "seed": int(dice.integers(100))}
        asked = {**made, "pictures": [picture], "network": "included-generator", "options": steps}
        return _line(number, "generate", asked)
    if kind == 4:
        return _line(number, "select", {"pictures": [picture], "category": "Depth"})
    if kind == 5:
        return _line(number, "history", {})
    if kind == 6:
        return _line(number, "estimate", {"network": "included", "pictures": [picture]})
    return _line(number, "catalogue" if number % 2 else "networks/unload", {})


def _bad(number: int, dice: np.random.Generator, folder: Path) -> tuple[bytes, bool]:
    """A line that asks for what cannot be, and whether it is to be cancelled."""
    made = {"output": str(folder / "out.glb"), "preset": "fast", "cached": False, "network": "included"}
    kind = int(dice.integers(7))
    if kind == 0:
        return _line(number, "generate", {**made, "pictures": [str(folder / "none.png")]}), False
    if kind == 1:
        return _line(number, "generate", {**made, "pictures": [str(folder / "damaged.png")]}), False
    if kind == 2:
        return b'{"jsonrpc":"2.0","id":%d,"method":"generate","params":{"pictures":7}}' % number, False
    if kind == 3:
        return b"nonsense", False
    if kind == 4:
        return _line(number, "generate", {**made, "pictures": [str(folder / "0.png")], "options": {"faces": -5}}), False
    if kind == 5:
        return _line(number, "networks/download", {"network": "triposr"}), False
    return _line(number, "generate", {**made, "pictures": [str(folder / "0.png")]}), True


def _write_pictures(folder: Path) -> None:
    rows, columns = np.mgrid[:96, :128]
    inside = (rows - 48) ** 2 + (columns - 64) ** 2 < 30**2
    for number in range(4):
        rgb = np.stack([rows * 2, columns + 20 * number, (rows * columns) % 256], -1).astype(np.uint8)
        Image.fromarray(np.dstack([rgb, np.uint8(255) * inside])).save(folder / f"{number}.png")
    whole = (folder / "0.png").read_bytes()
    (folder / "damaged.png").write_bytes(whole[: len(whole) // 2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(arguments.count, arguments.seed, Path(folder))))


if __name__ == "__main__":
    main()
