# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to its depth map. Must not know JSON, meshes or other methods.

MoGe-2 (Wang et al. 2025, arXiv:2507.02546) gives metres, a mask and the camera; Depth Anything V2 (Yang et al. 2024,
arXiv:2406.09414) inverse depth up to scale and shift, and so does our own network, which ships with the product. Their
quality is as these papers rank them, the larger of one family before the smaller, and ours, which is far smaller, last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...core.options import option
from ...store.weights import HubFile, HubModel
from ..matting import NETWORKS as MATTING
from ..method import INCLUDED, OWN_LICENCE, Method, Network
from ..runtime.subject_option import subject


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
    subject: str = subject()


def _moge(name: str, label: str, help: str, size: str, bytes: int, automatic: bool, quality: int) -> Network:
    files = (HubFile("model.pt", bytes, None),)  # neither its digest nor the commit could be read: the size must do
    published = HubModel(f"Ruicheng/moge-2-{size}-normal", "main", files)
    row = Network(name, label, "MIT", help, published, automatic=automatic, quality=quality)
    return replace(row, comes_along=True, also=MATTING) if automatic else row


MOGE = (
    _moge("moge-2", "MoGe-2", "Depth in metres, with the camera that took the photo.", "vits", 140_550_416, True, 3),
    _moge("moge-2-base", "MoGe-2 base", "Three times as large, and finer.", "vitb", 419_110_160, False, 4),
    _moge("moge-2-large", "MoGe-2 large", "The finest; slow without a graphics card.", "vitl", 1_323_815_904, False, 5),
)

NETWORKS = (
    *MOGE,
    Network(
        "depth-anything-v2-small",
        "Depth Anything V2 small",
        "Apache-2.0",
        "Sharp relative depth for any photo.",
        HubModel(
            "depth-anything/Depth-Anything-V2-Small-hf",
            "5426e4f0f36572d16453bbda7a8389317b1bef99",
            (
                HubFile("config.json", 950, "c56698d3643dde1f83ea2212759e6b31a22b8f827246a36dd007ee8a22b3ff75"),
                HubFile(
                    "model.safetensors",
                    99_173_660,
                    "3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
                ),
            ),
        ),
        quality=2,
    ),
    Network(
        "included",
        "Included scene",
        OWN_LICENCE,
        "Our own small network for all that a picture shows: no download, works everywhere, less exact.",
        file=INCLUDED / "depth.safetensors",
        takes=125_000_000,  # of a photo seen at twice its size, 70 at its own
        small=True,
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
        late=("subject",),
        presets={
            "fast": {"detail": 0.75, "grid": 320, "faces": 30_000, "texture": 1024},
            "balanced": {"detail": 1.0, "grid": 576, "faces": 100_000, "texture": 2048},
            "high": {"detail": 1.0, "mirror": True, "grid": 1024, "faces": 300_000, "texture": 4096},
        },
    ),
)
