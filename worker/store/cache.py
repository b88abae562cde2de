# SPDX-License-Identifier: GPL-3.0-or-later
"""Results by content, so that nothing is computed twice: representations (a network's run) and finished GLB files.

A key is a digest of everything that the result depends on. Must not know what the values mean.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..core.whole_file import WholeFile
from .files import sealed, unsealed
from .folders import LIMIT, TIMINGS

FORMAT = 4
"""Raised by one whenever what is written into the folder changes, so that what was written before is not found."""

_SEAL = hashlib.sha256().digest_size
"""Bytes at the end of a file of arrays: the digest of all before."""

_SIZE, _DIGEST = "glb_bytes", "glb_sha256"

log = logging.getLogger(__name__)


def key(**parts: Any) -> str:
    """The digest of `parts`, which must be JSON."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Cache:
    """The folder `root` with results. A missing entry is simply not found; a damaged one neither, and it is removed, so
    that it is made anew. A full disk keeps nothing."""

    root: Path

    def load_arrays(self, key: str) -> dict[str, np.ndarray] | None:
        with self._intact(key, ".npz"):
            content = self._use(key, ".npz").read_bytes()
            _check(hashlib.sha256(memoryview(content)[:-_SEAL]).digest() == content[-_SEAL:])
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return dict(file)
        return None

    def save_arrays(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        with suppress(OSError), self._new(key, ".npz") as file:
            sealing = _Sealing(file)
            np.savez(sealing, **arrays)
            file.write(sealing.digest.digest())

    def load_glb(self, key: str, target: Path) -> dict[str, Any] | None:
        """Copies the GLB to `target` and returns what was kept with it."""
        with self._intact(key, ".json", ".glb"):
            facts = unsealed(self._use(key, ".json").read_bytes())
            size, digest = facts.pop(_SIZE), facts.pop(_DIGEST)
            glb = self._use(key, ".glb")
            _check(glb.stat().st_size == size)
            with WholeFile(target) as file:
                _check(_copied(glb, _Sealing(file)) == digest)
            return facts
        return None

    def save_glb(self, key: str, glb: Path, facts: Mapping[str, Any]) -> None:
        with suppress(OSError):
            with self._new(key, ".glb") as file:
                digest = _copied(glb, _Sealing(file))
            with self._new(key, ".json") as file:
                file.write(sealed({**facts, _SIZE: glb.stat().st_size, _DIGEST: digest}))
            self._forget_oldest()

    @contextmanager
    def _intact(self, key: str, *endings: str) -> Iterator[None]:
        """Whatever is wrong with an entry that is read within ends the block; what is damaged is removed."""
        try:
            yield
        except (OSError, MemoryError):
            return  # not there, or trouble of the disk, the target or the memory: the entry may be good
        except Exception as error:  # noqa: BLE001 - what readers raise of damaged bytes has no end
            log.warning("a damaged result is removed and made anew: %s (%s)", key, error)
            for ending in endings:
                with suppress(OSError):
                    (self.root / (key + ending)).unlink()

    def _use(self, key: str, ending: str) -> Path:
        path = self.root / (key + ending)
        with suppress(OSError):  # a folder that may only be read serves as well
            os.utime(path)
        return path

    def _new(self, key: str, ending: str) -> WholeFile:
        self.root.mkdir(parents=True, exist_ok=True)
        return WholeFile(self.root / (key + ending))

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """When each file was used last, its bytes and its path."""
        now = time.time() + 60.0
        for entry in os.scandir(self.root):
            with suppress(FileNotFoundError):  # as below
                if entry.is_file() and entry.name != TIMINGS:
                    used = entry.stat().st_mtime  # the future, if the clock was set back since
                    yield used if used < now else 0.0, entry.stat().st_size, entry.path

    def _forget_oldest(self) -> None:
        entries = sorted(self._files())
        excess = sum(size for _, size, _ in entries) - LIMIT
        for used, size, path in entries:
            if excess <= 0 or time.time() - used < 60:
                return
            with suppress(FileNotFoundError):  # another worker was faster
                os.unlink(path)
            excess -= size


class _Sealing:
    """Writes into a file, which it cannot go back in, and knows the digest of all that it wrote."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()
        self.flush, self.read = file.flush, None  # numpy tells files from names by `read`

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)


def _copied(source: Path, target: _Sealing) -> str:
    """Copies, and returns the digest of what was copied."""
    with source.open("rb") as content:
        shutil.copyfileobj(content, target)
    return target.digest.hexdigest()


def _check(right: bool) -> None:
    if not right:
        raise ValueError("its digest is another")
