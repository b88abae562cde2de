# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth says what is seen, a generator completes the rest: a list of steps over methods of the table."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ..matting import NETWORKS as MATTING
from ..method import INCLUDED, OWN_LICENCE, Method, Network
from ..runtime.sampling_options import seed
from ..runtime.subject_option import subject


@dataclass(frozen=True)
class Options:
    seed: int = seed()
    trust: float = option(
        0.5,
        "Trust in Depth",
        "How far depth is believed. 0: not looked at. 0.5: as far as it agrees with the shape. 1: whatever it says.",
        0.0,
        1.0,
        group="sampling",
    )
    strength: float = option(
        0.3,
        "Strength",
        "How much may change of what is not seen. 0: the likeliest, whatever the seed. 1: as various as things are.",
        0.0,
        1.0,
        group="sampling",
    )
    subject: str = subject()


INCLUDED_HYBRID = Network(
    "hybrid-included",
    "Depth and included generator",
    OWN_LICENCE,
    "The best depth network that is here, completed by our own small generator: no further download.",
    file=INCLUDED / "generator.safetensors",
    also=MATTING,
    takes=1_200_000_000,  # of which MoGe-2's is most
)

METHODS = (
    Method(
        "hybrid",
        "Depth, completed",
        "Hybrid",
        "One object from one photo of it: depth says what is seen, a generator what is not.",
        pictures="one",
        cut_out=True,
        makes="Layers",
        networks=(INCLUDED_HYBRID,),
        runner=f"{__name__}.completed",
        options=Options,
        late=("subject",),
        over=("depth", "generator"),
        presets={
            "fast": {"grid": 96, "faces": 8_000, "texture": 1024},
            "balanced": {"grid": 192, "faces": 25_000, "texture": 2048},
            "high": {"grid": 288, "faces": 80_000, "texture": 4096},
        },
    ),
)
