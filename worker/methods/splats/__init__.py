# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos to Gaussian splats (Kerbl et al. 2023, arXiv:2308.04079). Experimental.

Cameras are found or read and the thing is cut out as for a field; a rasteriser of our own renders, on any device. Must
not know JSON, meshes or files.
"""

from __future__ import annotations

from ..matting import NETWORKS as MATTING
from ..method import OWN_LICENCE, Method, Network
from ..multiview_fit import Options

METHODS = (
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
                "Looks like the photos from where they were taken; its mesh is rougher than the field's.",
                also=MATTING,
                automatic=False,
                takes=1_000_000_000,
            ),
        ),
        runner=f"{__name__}.fit",
        options=Options,
        presets={
            "fast": {"training": "fast", "grid": 128, "faces": 20_000, "texture": 1024},
            "balanced": {"training": "balanced", "grid": 160, "faces": 50_000, "texture": 1024},
            "high": {"training": "high", "grid": 256, "faces": 100_000, "texture": 2048},
        },
    ),
)
