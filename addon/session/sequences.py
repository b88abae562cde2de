# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker says of a sequence, as text that an operator's property can hold."""

from __future__ import annotations

import dataclasses
import json

from ...worker.core.sequence_info import SequenceResult
from ...worker.wire import protocol


def text(found: SequenceResult) -> str:
    return json.dumps(dataclasses.asdict(found))


def parsed(text: str) -> SequenceResult:
    """What `text` gave. Raises WireError."""
    return protocol.read(SequenceResult, json.loads(text))
