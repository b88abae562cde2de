# SPDX-License-Identifier: GPL-3.0-or-later
"""The results that the worker keeps, as it told them last: also kept on disk, so that the panel has them before the
worker's first start. Must not know bpy, nor who asks the worker.
"""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from pathlib import Path

from ...worker.wire import protocol
from ...worker.wire.making import History, HistoryEntry
from ...worker.wire.protocol import WireError

NOTHING = History((), 0, 0)


class Kept:
    """`told` is what the worker said last; `stale`: that may be another by now. `request` is the id under which the
    worker has been asked, None while it has not."""

    def __init__(self) -> None:
        self.told = NOTHING
        self.stale = True
        self.request: int | None = None

    def find(self, key: str) -> HistoryEntry | None:
        """The entry of that key, None where there is none any more."""
        return next((entry for entry in self.told.entries if entry.key == key), None)

    def recall(self, path: Path) -> None:
        """Reads what was kept on disk, if it can be read."""
        with suppress(OSError, ValueError, RecursionError, WireError):  # none, or damaged, or another version's
            self.told = protocol.read(History, json.loads(path.read_text(encoding="utf-8")), path.name)

    def take(self, told: History, path: Path) -> None:
        """The worker has told it; what cannot be written is told again at the next start."""
        self.told, self.stale, self.request = told, False, None
        beside = path.with_suffix(".part")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(dataclasses.asdict(told)), encoding="utf-8")
            os.replace(beside, path)
