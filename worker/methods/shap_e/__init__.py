# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a coloured shape by Shap-E (Jun and Nichol 2023, arXiv:2305.02463).

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
        3.0,
        "Guidance",
        "How closely the shape keeps to the photo; 1 takes half the time. 3 is what it was made for.",
        0.0,
        20.0,
    )


_RENDERERS = tuple(  # as diffusers writes it, and as it was published later
    f"{folder}/diffusion_pytorch_model{variant}"
    for folder in ("renderer", "shap_e_renderer")
    for variant in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
)

HUB = HubModel(
    "openai/shap-e-img2img",
    "0e0aba80f08d368aaf6af9cb93583707481cc29b",
    (
        HubFile("image_processor/preprocessor_config.json", None, None),
        HubFile("scheduler/scheduler_config.json", None, None),
        HubFile("image_encoder/config.json", None, None),
        HubFile("prior/config.json", None, None),
        HubFile("renderer/config.json", None, None, also=("shap_e_renderer/config.json",)),
        HubFile(
            "renderer/diffusion_pytorch_model.fp16.safetensors",
            452_597_858,
            "394d52e159447b2bfb944d3bfa4f438180b72ba40644dc4c730282e7a9b62c65",
            also=_RENDERERS,
        ),
        HubFile(
            "image_encoder/model.fp16.safetensors",
            606_409_288,
            "4523175837d6342fd2d3ca38ce84912dbc722b556747c883b2842157e9a0f035",
            also=("image_encoder/model.safetensors",),
        ),
        HubFile(
            "prior/diffusion_pytorch_model.fp16.safetensors",
            631_964_448,
            "a6d92d12597b298dfb84b32ccfc74a94d2f25d7600f330b39722bd0f0835862e",
            also=("prior/diffusion_pytorch_model.safetensors",),
        ),
    ),
)

METHODS = (
    Method(
        "shap-e",
        "Coloured shape, sampled",
        "Diffusion",
        "One object from one photo of it: a new guess at what the photo does not show with each seed.",
        pictures="one",
        cut_out=True,
        makes="Field",
        networks=(
            Network(
                "shap-e",
                "Shap-E",
                "MIT",
                "Plain shapes with colours: the smallest download, and the roughest; very slow without a graphics card.",
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
