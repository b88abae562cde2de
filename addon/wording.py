# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are said to the user. Plain text in, plain text out; must not know bpy."""

from __future__ import annotations

from collections.abc import Callable

from ..worker.wire.protocol import ModelInfo


def sentence(text: str) -> str:
    """Messages travel in lower case without a full stop; on the screen they are sentences."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def size(bytes: int) -> str:
    """As downloads are told: decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes >= factor:
            return f"{bytes / factor:.3g} {unit}"
    return f"{bytes} bytes"


def clock(seconds: float) -> str:
    """Minutes and seconds, for something that is going on."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def licence(model: ModelInfo) -> str:
    """The licence, and what a user would otherwise find out too late."""
    return model.licence if model.commercial else f"{model.licence}, not for commercial use"


def offline(forced: bool) -> str:
    """Why the network is not used. `forced`: by the command line, so that the preference cannot be changed."""
    if forced:
        return "online access was switched off when this program was started"
    return "online access is off: allow it in Preferences > System > Network"


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Lines of `text` that `measure` finds no wider than `width`; a word that is wider stands alone."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and measure(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
