# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a shape by TripoSG (Li et al. 2025, arXiv:2502.06608).

Must not know JSON, meshes or other methods.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...store.weights import HubFile, HubModel
from ..matting import NETWORKS as MATTING
from ..method import Method, Network
from ..runtime.sampling_options import FIELD_PRESETS, guidance, seed, steps


@dataclass(frozen=True)
class Options:
    seed: int = seed()
    steps: int = steps(50)
    guidance: float = guidance(7.0)


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
                "Detailed shapes, without colours of their own; slow without a graphics card of 6 GB.",
                HUB,
                also=MATTING,
                takes=3_600_000_000,  # of a card, in half precision, one part after the other
                quality=2,  # its paper compares it with what came before; ours and Shap-E nobody has compared
            ),
        ),
        runner=f"{__name__}.generator",
        options=Options,
        presets=FIELD_PRESETS,
    ),
)
