# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of one thing to a shape by TripoSG (Li et al. 2025, arXiv:2502.06608), or a coarse shape and its photo to a
finer one by TripoSG or DetailGen3D (Deng et al. 2024, arXiv:2411.16820).

Must not know JSON. Two methods in one folder, because they run the same networks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ...store.weights import HubFile, HubModel
from ..matting import NETWORKS as MATTING
from ..method import Method, Network
from ..runtime.sampling_options import FIELD_PRESETS, guidance, seed, steps


@dataclass(frozen=True)
class Options:
    seed: int = seed()
    steps: int = steps(50)
    guidance: float = guidance(7.0)


@dataclass(frozen=True)
class RefiningOptions:
    seed: int = seed()
    strength: float = option(
        0.6,
        "Strength",
        "How much of the coarse shape may change. 0: nothing. 1: TripoSG makes all anew, DetailGen3D all its detail.",
        0.0,
        1.0,
        group="sampling",
    )
    trust: float = option(
        0.5,
        "Trust in Depth",
        "How much the shape is drawn to what the depth saw while it is refined. 0: not at all, and faster.",
        0.0,
        1.0,
        group="sampling",
    )
    steps: int = steps(50)
    guidance: float = option(
        0.0,
        "Guidance",
        "How closely the shape keeps to the photo; 1 takes half the time.",
        0.0,
        20.0,
        group="sampling",
        zero="as trained",
        usual=5.0,
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

_DETAIL_PARTS = ("transformer", "vae", "image_encoder_1")
_DETAIL_FILES = ("feature_extractor_1/preprocessor", "scheduler/scheduler", "noise_scheduler/scheduler")

DETAILGEN3D = HubModel(
    "VAST-AI/DetailGen3D",
    "main",
    (
        *(HubFile(f"{name}_config.json", None, None) for name in _DETAIL_FILES),
        *(HubFile(f"{part}/config.json", None, None) for part in _DETAIL_PARTS),
        *(
            HubFile(name, None, None, also=(f"{name}.index.json",))
            for name in (
                "transformer/diffusion_pytorch_model.safetensors",
                "vae/diffusion_pytorch_model.safetensors",
                "image_encoder_1/model.safetensors",
            )
        ),
    ),
)
"""Neither its page nor its sizes could be read: names are those that its authors' code loads."""

REFINING = (
    Network(
        "hybrid-triposg",
        "Depth, refined by TripoSG",
        "MIT",
        "The included Hybrid's shape, made finer by TripoSG; uses its download. Slow without a graphics card of 8 GB.",
        HUB,
        also=MATTING,
        automatic=False,  # at its best far slower than what it begins with
        takes=6_900_000_000,
        quality=2,
        stored="triposg",
    ),
    Network(
        "hybrid-detailgen3d",
        "Depth, refined by DetailGen3D",
        "not known: see its page",
        "The included Hybrid's shape with the photo's details by DetailGen3D; you put its files into place yourself.",
        DETAILGEN3D,
        also=MATTING,
        automatic=False,
        takes=4_300_000_000,
        quality=2,
        stored="detailgen3d",
        by_hand="read the licence at https://huggingface.co/VAST-AI/DetailGen3D, then put its files there",
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
    Method(
        "refined",
        "Depth, refined",
        "Hybrid",
        "One object from one photo of it: depth and the included generator begin, a large network refines.",
        pictures="one",
        cut_out=True,
        makes="Field",
        networks=REFINING,
        runner=f"{__name__}.refining",
        options=RefiningOptions,
        over=("hybrid", "depth", "generator"),
        refines=True,
        presets=FIELD_PRESETS,
    ),
)
