# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a radiance field by TripoSR (Tochilkin et al. 2024, arXiv:2403.02151), which imagines what
it cannot see. Must not know JSON, meshes or other methods.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ...store.weights import HubFile, HubModel
from ..matting import NETWORKS as MATTING
from ..method import Method, Network


@dataclass(frozen=True)
class Options:
    threshold: float = option(
        25.0,
        "Threshold",
        "Density at which matter begins: lower makes thin parts thicker, higher cuts haze away.",
        0.1,
        1000.0,
    )
    fill: float = option(
        0.85,
        "Fill",
        "How much of the picture that the network sees is filled by the object; 0.85 is what it was made for.",
        0.4,
        1.0,
        group="picture",
    )


HUB = HubModel(
    "stabilityai/TripoSR",
    "5b521936b01fbe1890f6f9baed0254ab6351c04a",
    (
        HubFile("config.yaml", 987, "74ca708ce086bf68e97709ea6b3d91f14717921c04691e84043f0eb8fcc68e62"),
        HubFile("model.ckpt", 1_677_246_742, "429e2c6b22a0923967459de24d67f05962b235f79cde6b032aa7ed2ffcd970ee"),
    ),
)

METHODS = (
    Method(
        "triposr",
        "Triplane",
        "NeRF",
        "One object from one photo, whose unseen sides are imagined.",
        pictures="one",
        cut_out=True,
        makes="Field",
        networks=(
            Network("triposr", "TripoSR", "MIT", "A radiance field from one photo of one object.", HUB, also=MATTING),
        ),
        runner=f"{__name__}.reconstructor",
        options=Options,
        late=("threshold",),
        presets={
            "fast": {"grid": 128, "faces": 20_000, "texture": 1024},
            "balanced": {"grid": 256, "faces": 50_000, "texture": 1024},
            "high": {"grid": 512, "faces": 100_000, "texture": 2048},
        },
    ),
)
