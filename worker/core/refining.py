# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides know of refining. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

MOST_FACES = 500_000
"""Of a mesh that is refined: more take minutes to be laid flat."""

IMPROVE = "improve"


@dataclass(frozen=True)
class Preset:
    """Of `improve`. faces: at most; texture: texels along its side. seconds: of one core of a processor that a first
    run took, with one picture and the painter that ships; memory: bytes that it took at most. Both were measured on a
    mesh of 6,000 faces, after whose first round there was nothing more to paint."""

    rounds: int
    faces: int
    texture: int
    seconds: float
    memory: int


PRESETS = {
    "fast": Preset(1, 10_000, 1024, 9.0, 300_000_000),
    "balanced": Preset(2, 25_000, 2048, 13.0, 420_000_000),
    "high": Preset(3, 60_000, 4096, 22.0, 1_100_000_000),
}

FOR_EACH_MORE = 3.0
"""Seconds of one core that finding the place of each further picture took."""


def first_time(preset: str, pictures: int) -> float:
    """Seconds that a first run takes, about."""
    return PRESETS[preset].seconds + FOR_EACH_MORE * (pictures - 1)


def work_of(repainter: str) -> str:
    """Under what it is remembered how long rounds with a painter took."""
    return f"{IMPROVE} {repainter.lower()}"
