# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a shape by TripoSG (Li et al. 2025, arXiv:2502.06608).

Must not know JSON, meshes or other methods.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ...store.weights import HubFile, HubModel
from ..matting import NETWORKS as MATTING
from ..method import Method, Network


@dataclass(frozen=True)
class Options:
    seed: int = option(
        0, "Seed", "Another number imagines another back; the same number gives the same object.", 0, 2**31 - 1
    )
    steps: int = option(50, "Steps", "Steps from noise to a shape: more are slower, and more exact.", 1, 200)
    guidance: float = option(
        7.0,
        "Guidance",
        "How closely the shape keeps to the photo; 1 takes half the time. 7 is what it was made for.",
        0.0,
        20.0,
    )


HUB = HubModel(
    "VAST-AI/TripoSG",
    "2c1c516d22d58db486a058d98d31bb6177344e06",
    (
        HubFile("feature_extractor_dinov2/preprocessor_config.json", None, None),
        HubFile("scheduler/scheduler_config.json", None, None),
        HubFile("transformer/config.json", None, None),
        HubFile("vae/config.json", None, None),
        HubFile("image_encoder_dinov2/config.json", None, None),
        HubFile(
            "vae/diffusion_pytorch_model.safetensors",
            970_685_468,
            "a2e667c24927a5a35e5f19fcb4c75890e9399aa966b6db8131d7df733a750c8b",
            also=("vae/diffusion_pytorch_model.safetensors.index.json",),
        ),
        HubFile(
            "image_encoder_dinov2/model.safetensors",
            1_217_522_888,
            "399fba97a95f22c36834418bc69373364a99af3a1153da1c0fb31db567c92e23",
            also=("image_encoder_dinov2/model.safetensors.index.json",),
        ),
        HubFile(
            "transformer/diffusion_pytorch_model.safetensors",
            5_758_280_104,
            "9192b5923f7b605b394192809aa2ceb73bf0f4009674d8e3b999b45bb97d4bf2",
            also=("transformer/diffusion_pytorch_model.safetensors.index.json",),
        ),
    ),
)

METHODS = (
    Method(
        "triposg",
        "Shape, sampled",
        "Diffusion",
        "One object from one photo of it: a new guess at what the photo does not show with each seed.",
        pictures="one",
        cut_out=True,
        makes="Field",
        networks=(
            Network(
                "triposg",
                "TripoSG",
                "MIT",
                "Detailed shapes, without colours of their own; slow without a graphics card of 8 GB.",
                HUB,
                also=MATTING,
            ),
        ),
        runner=f"{__name__}.generator",
        options=Options,
        presets={
            "fast": {"steps": 25, "grid": 256, "faces": 20_000, "texture": 1024, "smooth": 5},
            "balanced": {"steps": 50, "grid": 384, "faces": 50_000, "texture": 2048, "smooth": 5},
            "high": {"steps": 75, "grid": 512, "faces": 100_000, "texture": 4096, "smooth": 5},
        },
    ),
)
