# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to its depth map. Must not know JSON, meshes or other methods.

Our own network ships with the product; Depth Anything V2 (Yang et al. 2024, arXiv:2406.09414) gives inverse depth up to
scale and shift by its relative models, and metres by its metric ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ...store.weights import HubFile, HubModel
from ..method import INCLUDED, OWN_LICENCE, Method, Network


@dataclass(frozen=True)
class Options:
    detail: float = option(
        1.0, "Detail", "Size at which the network sees the photo; 1 is what it was made for.", 0.5, 2.0
    )
    mirror: bool = option(
        False,
        "Mirror and Average",
        "Run the network on the mirrored photo too and average: steadier depth, twice the time.",
    )


def _depth_anything(repo: str, revision: str, config: tuple[int, str | None], weights: tuple[int, str]) -> HubModel:
    files = (HubFile("config.json", *config), HubFile("model.safetensors", *weights))
    return HubModel(f"depth-anything/{repo}", revision, files)


NETWORKS = (
    Network(
        "depth-anything-v2-small",
        "Depth Anything V2 small",
        "Apache-2.0",
        "Sharp relative depth for any photo.",
        _depth_anything(
            "Depth-Anything-V2-Small-hf",
            "5426e4f0f36572d16453bbda7a8389317b1bef99",
            (950, "c56698d3643dde1f83ea2212759e6b31a22b8f827246a36dd007ee8a22b3ff75"),
            (99_173_660, "3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70"),
        ),
    ),
    Network(
        "included",
        "Included",
        OWN_LICENCE,
        "Our own small network: no download, works everywhere, less exact.",
        file=INCLUDED / "depth.safetensors",
    ),
    Network(
        "depth-anything-v2-metric-indoor-small",
        "Depth Anything V2 metric, indoors",
        "Apache-2.0",
        "Depth in metres, up to 20, for rooms.",
        _depth_anything(
            "Depth-Anything-V2-Metric-Indoor-Small-hf",
            "8078d68a9c75a972131914f6afd0c1723be0da7f",
            (1063, "0b1d9fc591693d16b864249a9cfcf5264c8c00be999c1643fa1c64dc105d55f8"),
            (99_173_660, "e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3"),
        ),
        automatic=False,
    ),
    Network(
        "depth-anything-v2-metric-outdoor-small",
        "Depth Anything V2 metric, outdoors",
        "Apache-2.0",
        "Depth in metres, up to 80, for streets.",
        _depth_anything(
            "Depth-Anything-V2-Metric-Outdoor-Small-hf",
            "fd2c22027eaf20374204f14099b8341e1925ad39",
            (1063, None),
            (99_173_660, "ad065c77a7421ca55159a1f0db9433397a607690f2d76bb8a6fc54b1be7a3124"),
        ),
        automatic=False,
    ),
)

METHODS = (
    Method(
        "depth",
        "Depth map",
        "Depth",
        "One photo to a relief: what the photo shows, in depth.",
        pictures="one",
        cut_out=False,
        makes="DepthMap",
        networks=NETWORKS,
        runner=f"{__name__}.estimator",
        options=Options,
        presets={
            "fast": {"detail": 0.75, "grid": 320, "faces": 30_000, "texture": 1024},
            "balanced": {"detail": 1.0, "grid": 576, "faces": 100_000, "texture": 2048},
            "high": {"detail": 1.0, "mirror": True, "grid": 1024, "faces": 300_000, "texture": 4096},
        },
    ),
)
