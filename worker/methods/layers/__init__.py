# SPDX-License-Identifier: GPL-3.0-or-later
"""One cut-out thing to its front and back: by regression, or sampled. Must not know JSON, meshes or other methods.

Two methods in one folder, because the network that samples corrects the one that regresses, and both get and give the
same.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ..matting import NETWORKS as MATTING
from ..method import INCLUDED, OWN_LICENCE, Method, Network
from ..runtime.sampling_options import seed, steps
from ..runtime.subject_option import subject


@dataclass(frozen=True)
class Options:
    subject: str = subject()


@dataclass(frozen=True)
class SamplingOptions:
    seed: int = seed()
    steps: int = steps(16)
    variety: float = option(
        0.3,
        "Variety",
        "How far from the likeliest shape seeds may lead. 0: all give the likeliest. 1: as various as things are.",
        0.0,
        1.5,
        group="sampling",
    )


REGRESSION = Network(
    "included-object",
    "Included thing",
    OWN_LICENCE,
    "Our own small network for a cut-out object: closed, with a back. Chosen by itself for such pictures.",
    file=INCLUDED / "object.safetensors",
    takes=120_000_000,
    small=True,
    also=MATTING,  # as below
)
GENERATOR = Network(
    "included-generator",
    "Included generator",
    OWN_LICENCE,
    "Our own small generator: no download, works everywhere, rounder and less exact than large ones.",
    file=INCLUDED / "generator.safetensors",
    takes=140_000_000,
    small=True,
    also=MATTING,  # needs it only where a photo shows more than the object
)

METHODS = (
    Method(
        "layers",
        "Front and back",
        "Depth",
        "One cut-out object to a closed mesh with a guessed back.",
        pictures="one",
        cut_out=True,
        makes="Layers",
        networks=(REGRESSION,),
        runner=f"{__name__}.regression",
        options=Options,
        late=("subject",),
        presets={
            "fast": {"grid": 96, "faces": 6_000, "texture": 1024},
            "balanced": {"grid": 160, "faces": 15_000, "texture": 2048},
            "high": {"grid": 256, "faces": 60_000, "texture": 4096},
        },
    ),
    Method(
        "generator",
        "Front and back, sampled",
        "Diffusion",
        "One object from one photo of it: a new guess at what the photo does not show with each seed.",
        pictures="one",
        cut_out=True,
        makes="Layers",
        networks=(GENERATOR,),
        runner=f"{__name__}.sampling",
        options=SamplingOptions,
        presets={
            "fast": {"steps": 8, "grid": 96, "faces": 6_000, "texture": 1024},
            "balanced": {"steps": 16, "grid": 160, "faces": 15_000, "texture": 2048},
            "high": {"steps": 32, "grid": 256, "faces": 60_000, "texture": 4096},
        },
    ),
)
