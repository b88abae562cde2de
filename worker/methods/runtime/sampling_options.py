# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all methods share which sample. Imports nothing heavy."""

from __future__ import annotations

from ...core.options import option


def seed() -> int:
    """A field of an options dataclass."""
    help = "Another number imagines another back; the same number gives the same object."
    return option(0, "Seed", help, 0, 2**31 - 1, group="seed")


def steps(default: int) -> int:
    """A field of an options dataclass."""
    return option(
        default, "Steps", "Steps from noise to a shape: more are slower, and more exact.", 1, 200, group="sampling"
    )


def guidance(trained: float) -> float:
    """A field of an options dataclass. trained: what the network was made for."""
    help = f"How closely the shape keeps to the photo; 1 takes half the time, {trained:g} is what it was made for."
    return option(trained, "Guidance", help, 0.0, 20.0, group="sampling")


FIELD_PRESETS = {
    "fast": {"steps": 25, "grid": 256, "faces": 20_000, "texture": 1024, "smooth": 5},
    "balanced": {"steps": 50, "grid": 384, "faces": 50_000, "texture": 2048, "smooth": 5},
    "high": {"steps": 75, "grid": 512, "faces": 100_000, "texture": 4096, "smooth": 5},
}
