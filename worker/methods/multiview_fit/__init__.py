# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos of a thing to a field, or to splats, fitted to what they show. Must not know JSON, meshes or
other methods.

Cameras are found or read; then a grid of our own learns, or one of nerfstudio's two networks (Tancik et al. 2023,
arXiv:2302.04264), which need an environment of their own. That is the difference between the two methods here.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.options import option
from ..matting import NETWORKS as MATTING
from ..method import OWN_LICENCE, Method, Network


@dataclass(frozen=True)
class Options:
    training: str = option(
        "balanced",
        "Training",
        "How long several photos are learned, and how finely.",
        choices=("fast", "balanced", "high"),
    )
    subject: str = option(
        "auto",
        "Subject",
        "What becomes of several photos: the object alone, cut out of each, or all that they show. auto: the object "
        "where photos go around one.",
        choices=("auto", "object", "scene"),
        group="picture",
    )
    allow_partial: bool = option(
        False,
        "Allow a Part of the Photos",
        "Goes on where less than two thirds of the photos have found their place, with those that have.",
        group="picture",
    )


@dataclass(frozen=True)
class SplatsOptions(Options):
    splats: int = option(
        0,
        "Splats at Most",
        "More are sharper, slower and larger. 0: 6,000, 20,000 or 100,000, as the training says.",
        0,
        1_000_000,
        zero="as trained",
        usual=20_000,
    )


_PRESETS = {
    "fast": {"training": "fast", "grid": 128, "faces": 20_000, "texture": 1024},
    "balanced": {"training": "balanced", "grid": 256, "faces": 50_000, "texture": 1024},
    "high": {"training": "high", "grid": 384, "smooth": 90, "faces": 100_000, "texture": 2048},
}
_LATE = ("allow_partial",)  # asked again of what is kept
_RUNNER = f"{__name__}.fit"


def _engine(name: str, what: str) -> Network:
    """One of nerfstudio's: software, without weights of its own."""
    return Network(name, f"{name} (nerfstudio)", "Apache-2.0", what, also=MATTING)


METHODS = (
    Method(
        "photos",
        "Several photos",
        "NeRF",
        "One object or place from several photos all around it, or from a video.",
        pictures="several",
        cut_out=False,
        makes="Field",
        networks=(
            Network(
                "photos",
                "Several photos",
                OWN_LICENCE,
                "A radiance field fitted to several photos of a thing, or to a video.",
                also=MATTING,  # needs it only where photos show more than the object
            ),
        ),
        runner=_RUNNER,
        options=Options,
        presets=_PRESETS,
        late=_LATE,
    ),
    Method(
        "nerfstudio",
        "Several photos, nerfstudio",
        "NeRF",
        "One object or place from several photos, learned by nerfstudio: worth it with an NVIDIA card only.",
        pictures="several",
        cut_out=False,
        makes="Field",
        networks=(
            _engine("nerfacto", "A radiance field: quick on a card."),
            _engine("neus-facto", "A signed distance field: smoother surfaces, more time."),
        ),
        runner=_RUNNER,
        options=Options,
        presets=_PRESETS,
        late=_LATE,
        environment="nerf",
    ),
    Method(
        "splats",
        "Several photos, splats",
        "NeRF",
        "One object or place from several photos as Gaussian splats, which Blender 5.3 shows: experimental.",
        pictures="several",
        cut_out=False,
        makes="Splats",
        networks=(
            Network(
                "splats",
                "Gaussian splats (experimental)",
                OWN_LICENCE,
                "Looks like the photos from where they were taken; of a thing, its mesh is nearly the field's.",
                also=MATTING,
                automatic=False,
                takes=1_000_000_000,
            ),
        ),
        runner=f"{__name__}.splats.fit",
        options=SplatsOptions,
        presets={
            "fast": {"training": "fast", "grid": 128, "faces": 20_000, "texture": 1024},
            "balanced": {"training": "balanced", "grid": 160, "faces": 50_000, "texture": 1024},
            "high": {"training": "high", "grid": 256, "faces": 100_000, "texture": 2048},
        },
        late=_LATE,
    ),
)
