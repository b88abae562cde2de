# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of published generators: where their files are, and how they are told from others of their name.

Must not know how they are run, nor options.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...store.weights import HubFile, HubModel, WeightStore


@dataclass(frozen=True)
class Model:
    """One line of the table of published generators.

    module: beside this file, with `load(folder, device)`, whose result says how much memory it needs and makes arrays
    of a picture, and `field(arrays, device)`. guidance: what it was made for.
    """

    name: str
    label: str
    licence: str
    help: str
    hub: HubModel
    module: str
    guidance: float

    def folder(self, weights: WeightStore) -> Path | None:
        """Where the weights lie, or None."""
        return weights.find(self.name, self.hub)

    def required(self, weights: WeightStore) -> Path:
        """As folder, but raises WeightsMissing."""
        return weights.require(self.name, self.hub, self.licence)


_RENDERERS = tuple(  # as diffusers writes it, and as it was published later
    f"{folder}/diffusion_pytorch_model{variant}"
    for folder in ("renderer", "shap_e_renderer")
    for variant in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
)

MODELS = (
    Model(
        "triposg",
        "TripoSG",
        "MIT",
        "Detailed shapes, without colours of their own; slow without a graphics card of 8 GB.",
        HubModel(
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
        ),
        ".generator",
        7.0,
    ),
    Model(
        "shap-e",
        "Shap-E",
        "MIT",
        "Plain shapes with colours: the smallest download, and the roughest; very slow without a graphics card.",
        HubModel(
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
        ),
        "..shap_e.generator",
        3.0,
    ),
)


def times(folder: Path | None) -> list[int]:
    """When the files were written, which tells other weights of the same name."""
    return [path.stat().st_mtime_ns for path in sorted(folder.rglob("*.*"))] if folder else []
