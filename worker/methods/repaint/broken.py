# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a folder that should hold a pipeline of diffusers, in a sentence: its parts are looked at one by
one, as what diffusers says means nothing to who does not write programs. Brings torch on use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ...core.errors import Unable
from ...core.texts import shortened

INDEX = "model_index.json"
_WITHOUT_WEIGHTS = ("scheduler", "tokenizer", "tokenizer_2", "feature_extractor", "image_processor")
_REASON = 120  # characters of what diffusers says
_RAISED = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError)


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Turns whatever is raised while a pipeline's folder is read into Unable."""
    try:
        yield
    except (*_RAISED, SafetensorError) as error:
        reason = shortened((str(error).strip() or type(error).__name__).splitlines()[0], _REASON)
        wrong = fault(folder) or f"diffusers cannot read it ({reason})"
        again = "copy the whole pipeline into it again, or name another repainter"
        raise Unable(f"the pipeline in {folder} cannot be used: {wrong}; {again}") from None


def fault(folder: Path) -> str:
    """What is missing or damaged, "" where nothing is seen to be."""
    try:
        parts = _read(folder / INDEX)
    except (OSError, ValueError):
        return f"its {INDEX} is damaged"
    if not isinstance(parts.get("_class_name"), str):
        return f"its {INDEX} names no pipeline"
    wanted = [name for name, kind in parts.items() if isinstance(kind, list) and all(kind)]
    return next((wrong for name in wanted if (wrong := _fault_of(folder / name))), "")


def _fault_of(part: Path) -> str:
    if not part.is_dir():
        return f"its part {part.name} is missing"
    for path in sorted(part.glob("*.json")):
        try:
            _read(path)
        except (OSError, ValueError):
            return f"{part.name}/{path.name} is damaged"
    if part.name in _WITHOUT_WEIGHTS:
        return ""
    weights = sorted(part.glob("*.safetensors"))
    if not weights:
        return f"its part {part.name} has no weights (*.safetensors)"
    for path in weights:
        try:
            with safe_open(path, "pt"):
                pass
        except (OSError, SafetensorError):
            return f"{part.name}/{path.name} is damaged or was not copied to its end"
    return ""


def _read(path: Path) -> dict:
    """Raises OSError, ValueError."""
    from ..runtime import configurations

    found = configurations.read(path).values
    return dict(found)
