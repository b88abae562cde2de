# SPDX-License-Identifier: GPL-3.0-or-later
"""Results by content, so that nothing is computed twice: representations (a network's run) and finished GLB files.

A key is a digest of everything that the result depends on. Must not know what the values mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .files import WholeFile
from .folders import LIMIT, TIMINGS

FORMAT = 3
"""Raised by one whenever what is written into the folder changes, so that what was written before is not found."""


def key(**parts: Any) -> str:
    """The digest of `parts`, which must be JSON."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Cache:
    """The folder `root` with results. A damaged or missing entry is simply not found; a full disk keeps nothing."""

    root: Path

    def load_arrays(self, key: str) -> dict[str, np.ndarray] | None:
        try:
            with np.load(self._use(key, ".npz"), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save_arrays(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        with suppress(OSError), self._new(key, ".npz") as file:
            np.savez(file, **arrays)

    def load_glb(self, key: str, target: Path) -> dict[str, Any] | None:
        """Copies the GLB to `target` and returns what was kept with it."""
        try:
            facts = json.loads(self._use(key, ".json").read_text("utf-8"))
            _copy(self._use(key, ".glb"), target)
        except (OSError, ValueError):
            return None
        return facts

    def save_glb(self, key: str, glb: Path, facts: Mapping[str, Any]) -> None:
        with suppress(OSError):
            with self._new(key, ".glb") as file, glb.open("rb") as source:
                shutil.copyfileobj(source, file)
            with self._new(key, ".json") as file:
                file.write(json.dumps(facts, allow_nan=False).encode())
            self._forget_oldest()

    def _use(self, key: str, ending: str) -> Path:
        path = self.root / (key + ending)
        os.utime(path)
        return path

    def _new(self, key: str, ending: str) -> WholeFile:
        self.root.mkdir(parents=True, exist_ok=True)
        return WholeFile(self.root / (key + ending))

    def _forget_oldest(self) -> None:
        files = (entry for entry in os.scandir(self.root) if entry.is_file() and entry.name != TIMINGS)
        entries = sorted((file.stat().st_mtime, file.stat().st_size, file.path) for file in files)
        excess = sum(size for _, size, _ in entries) - LIMIT
        for used, size, path in entries:
            if excess <= 0 or time.time() - used < 60:
                return
            os.unlink(path)
            excess -= size


def _copy(source: Path, target: Path) -> None:
    with WholeFile(target) as file, source.open("rb") as content:
        shutil.copyfileobj(content, file)
