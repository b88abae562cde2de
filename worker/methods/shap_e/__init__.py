# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a coloured shape by Shap-E (Jun and Nichol 2023, arXiv:2305.02463).

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
    guidance: float = guidance(3.0)


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
                "Plain shapes with colours: the smallest download, the roughest; very slow without a graphics card.",
                HUB,
                also=MATTING,
            ),
        ),
        runner=f"{__name__}.generator",
        options=Options,
        presets=FIELD_PRESETS,
    ),
)
