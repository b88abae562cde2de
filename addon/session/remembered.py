# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's last choices, kept on disk between two starts of Blender. Must not know bpy, or what the choices are."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """What was chosen last; nothing where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, choices: dict[str, Any]) -> None:
    """Keeps the choices, whole or not at all; where that cannot be, the next start is as the first."""
    beside = path.with_suffix(".part")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(choices, indent=1), encoding="utf-8")
        os.replace(beside, path)
