# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of weights that cannot be used. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ...core.errors import Unable


@contextmanager
def loading(place: Path) -> Iterator[None]:
    """Turns whatever is raised while weights in `place`, a folder or a file of the product, are read into Unable."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise Unable(f"the weights in {place} cannot be loaded: {reason}; {remedy(place)}") from None


def remedy(place: Path) -> str:
    """What to do about damaged weights."""
    return "install the product again" if place.is_file() else "remove that folder and download again"
