# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker says of a sequence, as text that an operator's property can hold."""

from __future__ import annotations

import dataclasses
import json

from ...worker.wire import protocol


def text(found: protocol.SequenceResult) -> str:
    return json.dumps(dataclasses.asdict(found))


def parsed(text: str) -> protocol.SequenceResult:
    """What `text` gave. Raises WireError."""
    return protocol.read(protocol.SequenceResult, json.loads(text))
