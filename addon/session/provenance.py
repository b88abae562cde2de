# SPDX-License-Identifier: GPL-3.0-or-later
"""How a result was made, as text that stays with it and as what people read. Must not know bpy."""

from __future__ import annotations

import dataclasses
import json
import os

from ...worker.wire.making import GenerateResult, Provenance
from ...worker.wire.protocol import WireError, read

SEED = "seed"
"""The option that makes another result of the same picture."""


def text(result: GenerateResult) -> str:
    """The provenance of a result, "" where it has none."""
    return json.dumps(dataclasses.asdict(result.provenance), ensure_ascii=False) if result.provenance else ""


def parsed(kept: object) -> Provenance | None:
    """What `text` was written of; None where that is not to be read, as of a later version."""
    try:
        return read(Provenance, json.loads(kept))
    except (TypeError, ValueError, RecursionError, WireError):
        return None


def readable(provenance: Provenance) -> dict[str, str | int]:
    """What people look for, by names that they read."""
    seed = provenance.options.get(SEED)
    return {
        "Picture": ", ".join(os.path.basename(path.rstrip("/\\")) for path in provenance.pictures),
        "Network": provenance.label,
        "Licence": provenance.licence,
        "Preset": provenance.preset.capitalize(),
        **({} if seed is None else {"Seed": int(seed)}),
        "Made": provenance.date[:10],
    }


def seeds(provenance: Provenance, count: int) -> list[int]:
    """So many other seeds, the same each time; none where nothing is left to chance."""
    first = provenance.options.get(SEED)
    return [] if first is None else [int(first) + step for step in range(1, count + 1)]
