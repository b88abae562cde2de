# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the store: those that are nice to have, and facts that notice when they were damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.whole_file import WholeFile

_SEAL = "seal"


def written_whole(path: Path, content: bytes) -> None:
    """Writes what is nice to have: where that cannot be done nothing is."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with WholeFile(path) as file:
            file.write(content)


def parsed(content: bytes) -> Any:
    """What is written as JSON. Raises ValueError for whatever is wrong with it."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deep") from None


def sealed(facts: Mapping[str, Any]) -> bytes:
    """The facts, which are JSON, with a digest of themselves. Raises ValueError where they are none."""
    return json.dumps({**facts, _SEAL: _digest(facts)}, allow_nan=False).encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """What was sealed. Raises ValueError where it is not what it was."""
    facts = parsed(content)
    if not isinstance(facts, dict) or facts.pop(_SEAL, None) != _digest(facts):
        raise ValueError("damaged")
    return facts


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()
