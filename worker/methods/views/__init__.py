# SPDX-License-Identifier: GPL-3.0-or-later
"""Views around a thing, one after the other, from what is known by then: a list of steps over the table's methods."""

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
    rounds: int = option(
        2,
        "Rounds",
        "How often the views are made: in the second round each knows all others.",
        1,
        4,
        group="sampling",
    )
    subject: str = subject()


INCLUDED_VIEWS = Network(
    "views-included",
    "Views around",
    OWN_LICENCE,
    "Our own small generator looks from eight sides in turn: an experiment, as exact as Hybrid, and slower.",
    file=INCLUDED / "generator.safetensors",
    also=MATTING,
    takes=1_200_000_000,  # Hybrid's, with which it begins
    automatic=False,
)

METHODS = (
    Method(
        "views",
        "Views, joined",
        "Diffusion",
        "One object from one photo of it: seen from eight sides in turn, each from what is known by then.",
        pictures="one",
        cut_out=True,
        makes="Views",
        networks=(INCLUDED_VIEWS,),
        runner=f"{__name__}.turning",
        options=Options,
        late=("subject",),
        over=("hybrid", "depth", "generator"),
        rooms=("geometry",),
        presets={
            "fast": {"rounds": 1, "grid": 96, "faces": 8_000, "texture": 1024},
            "balanced": {"rounds": 2, "grid": 160, "faces": 25_000, "texture": 2048},
            "high": {"rounds": 2, "grid": 224, "faces": 60_000, "texture": 4096},
        },
        first={"fast": 9.0, "balanced": 11.0, "high": 13.0},
    ),
)
