# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd lines for the worker: each is answered as it must be, the reader lives, and closing stdin ends the process."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from counting import Counts, mutated
from image_to_3d.worker.wire import protocol
from odd import changed, text_of

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120.0
FIRST, LAST = 987_654_321, 987_654_322  # ids that no odd line has
BATCH = 500
"""Lines that one worker gets before it is asked something that it must answer, and ended."""


def run(count: int, seed: int, folder: Path) -> Counts:
    counts = Counts()
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        lines = [_line(np.random.default_rng([seed, number]), number) for number in numbers]
        for number, line in zip(numbers, lines):
            counts.try_one(f"line {number}", lambda line=line: protocol.decode(line), (protocol.WireError,))
        try:
            _served(lines, folder)
        except Exception as error:  # noqa: BLE001 - what is looked for
            counts.faults.append(f"lines {first} to {first + len(lines)}: {error!r}")
    return counts


def _good(number: int) -> list[dict]:
    request = {"jsonrpc": "2.0", "id": number}
    options = {"faces": 100, "solid": True, "detail": 0.5}
    asked = {"pictures": ["/none/a.jpg"], "category": "Depth", "network": None, "options": options}
    made = {"output": "/none/a.glb", "preset": "fast", "previews": "", "photos": "", "cached": True, "maps": ""}
    frames = {"pictures": ["/none/a.mp4"], "folder": "/none", "preset": "fast", "first": 1, "last": 0, "step": 1}
    told = {"progressToken": 1, "progress": 0.5, "stage": "s", "message": "m", "remaining": 1.0}
    return [
        {**request, "method": "initialize", "params": {"version": protocol.VERSION, "online": False, "device": "cpu"}},
        {**request, "method": "generate", "params": asked | made},
        {**request, "method": "select", "params": asked},
        {**request, "method": "catalogue", "params": {}},
        {**request, "method": "estimate", "params": {"network": "included", "pictures": ["/a.png"]}},
        {**request, "method": "history", "params": {}},
        {**request, "method": "history/fetch", "params": {"key": "0" * 40, "output": "/none/a.glb", "photos": ""}},
        {**request, "method": "history/remove", "params": {"keys": ["0" * 40], "everything": False}},
        {**request, "method": "networks/download", "params": {"network": "triposr"}},
        {**request, "method": "networks/download", "params": {"network": "triposr", "along": True}},
        {**request, "method": "sequence", "params": frames},
        {**request, "method": "networks/unload", "params": {}},
        {"jsonrpc": "2.0", "method": protocol.CANCELLED, "params": {"requestId": number}},
        {"jsonrpc": "2.0", "method": protocol.ENOUGH, "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "method": protocol.PROGRESS, "params": told},
        {**request, "result": {"a": [1, 2]}},
        {**request, "error": {"code": -32803, "message": "m", "data": {"log": "l"}}},
    ]


def _line(generator: np.random.Generator, number: int) -> bytes:
    good = _good(number)
    line = text_of(changed(good[int(generator.integers(len(good)))], generator), generator, generator.random() < 0.5)
    if generator.random() < 0.02:
        line = [b"", b"[" * 50_000, b"\xff\xfe" + line, b"{" * 3, bytes(100), b"1" * 5000, b"x" * 1_500_000][number % 7]
    return (
        mutated(line, [line], generator).replace(b"\n", b" ") if generator.random() < 0.1 else line.replace(b"\n", b" ")
    )


def _answers(line: bytes) -> bool:
    try:
        return isinstance(protocol.decode(line), protocol.Request)
    except protocol.WireError:
        return True


def _served(lines: list[bytes], folder: Path) -> None:
    """Raises where a worker does not answer so many lines as it must, or does not end."""
    home = {**os.environ, "IMAGE_TO_3D_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command, pipe = [sys.executable, "-m", "worker"], subprocess.PIPE
    log = (folder / "stderr").open("wb")
    worker = subprocess.Popen(command, cwd=ROOT, env=home, stdin=pipe, stdout=pipe, stderr=log)
    heard: queue.Queue[dict] = queue.Queue()
    threading.Thread(target=lambda: [heard.put(json.loads(line)) for line in worker.stdout], daemon=True).start()
    try:
        start = {"jsonrpc": "2.0", "id": FIRST, "method": "initialize", "params": {"version": protocol.VERSION}}
        last = {"jsonrpc": "2.0", "id": LAST, "method": "catalogue", "params": {}}
        for line in (json.dumps(start).encode(), *lines, json.dumps(last).encode()):
            worker.stdin.write(line + b"\n")
        worker.stdin.flush()
        wanted, answers = 2 + sum(map(_answers, lines)), []
        while len(answers) < wanted:
            message = heard.get(timeout=LIMIT)
            answers += [message] if "method" not in message else []
        ours = [answer for answer in answers if answer.get("id") == LAST]
        assert len(ours) == 1 and "result" in ours[0], "the last request was not answered"
        odd = [answer for answer in answers if answer.get("error", {}).get("code") == protocol.ErrorCode.INTERNAL_ERROR]
        assert not odd, odd[:3]
        worker.stdin.close()
        assert worker.wait(10.0) == 0, "its end was not well"
        assert heard.empty(), "more answers than requests"
    finally:
        worker.kill()
        worker.wait()
        log.close()
