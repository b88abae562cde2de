# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long bench has measured, a line of JSON each, so that it goes on where it was cut off."""

from __future__ import annotations

import json
from pathlib import Path


def read(path: Path) -> list[dict]:
    """Those of earlier runs; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add(rows: list[dict], row: dict, path: Path) -> None:
    """One more, which is written at once."""
    rows.append(row)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
