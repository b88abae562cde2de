# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker offers, kept on disk so that the panel is complete before the worker's first start. Knows no bpy.

`catalogue.json` beside this file ships with the add-on and is what the worker of this very version says (`-m worker
models --json` prints it); the last thing a worker said is kept in a folder of the user's and holds what only it knows:
which weights are here.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from ...worker.wire import protocol
from ...worker.wire.protocol import BackendInfo, ModelsResult, WireError

SHIPPED = Path(__file__).with_name("catalogue.json")

Offered = tuple[BackendInfo, ...]


def shipped() -> Offered:
    """What this version of the product offers, as far as can be told without asking."""
    return _read(SHIPPED)


def last_known(kept: Path) -> Offered:
    """What a worker said last, where that fits this version of the add-on; else what was shipped."""
    ours = shipped()
    try:
        theirs = _read(kept)
    except (OSError, ValueError, WireError):  # none yet, or damaged, or written by another version
        return ours
    return theirs if shape(theirs) == shape(ours) else ours


def keep(offered: Offered, kept: Path) -> None:
    """Writes what a worker said, whole or not at all. Raises OSError."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_suffix(".part")
    beside.write_text(json.dumps(dataclasses.asdict(ModelsResult(offered)), indent=1), encoding="utf-8")
    os.replace(beside, kept)


def shape(offered: Offered) -> Offered:
    """What of it decides which widgets there are: all but which weights are here and what follows from that."""
    return tuple(
        dataclasses.replace(
            backend, default_model="", models=tuple(dataclasses.replace(model, here=False) for model in backend.models)
        )
        for backend in offered
    )


def backend_named(offered: Offered, name: str) -> BackendInfo:
    """The backend of that name; raises KeyError."""
    return {backend.name: backend for backend in offered}[name]


def model_named(backend: BackendInfo, name: str | None, several: bool = False) -> protocol.ModelInfo:
    """The model of that name, or the one that the worker takes by itself; raises KeyError.

    several: whether there are several pictures.
    """
    made_for_several = [model.name for model in backend.models if model.several]
    usual = made_for_several[0] if several and made_for_several else backend.default_model
    return {model.name: model for model in backend.models}[name or usual]


def concerns(option: protocol.OptionInfo, model: protocol.ModelInfo) -> bool:
    """Whether the option makes a difference to what the model gives."""
    return not option.models or model.name in option.models


def environments(offered: Offered) -> tuple[str, ...]:
    """The names of the environments that its backends need, each once."""
    return tuple(dict.fromkeys(backend.environment for backend in offered))


def _read(path: Path) -> Offered:
    return protocol.read(ModelsResult, json.loads(path.read_text(encoding="utf-8")), path.name).backends
