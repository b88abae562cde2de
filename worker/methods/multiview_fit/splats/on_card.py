# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat in place of our own rasteriser: the same picture of the same splats, many times faster, on a card.

It is taken where somebody has installed it (Ye et al. 2024, arXiv:2409.06765; Apache-2.0): no environment of ours
brings it, as it is compiled where it is used, by the CUDA toolkit. Knows tensors only.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

logger = logging.getLogger(__name__)


@functools.cache
def rasterization() -> Callable | None:
    """gsplat's function of that name; None where it is not installed, or its kernels could not be compiled."""
    try:
        from gsplat.cuda._backend import _C as kernels
        from gsplat.rendering import rasterization
    except ImportError:
        return None
    except Exception:  # a compiler's: whatever it says, there is a rasteriser of our own
        logger.exception("gsplat is installed and cannot be used")
        return None
    return rasterization if kernels else None


def usable(device: torch.device) -> bool:
    return device.type == "cuda" and rasterization() is not None


def rendered(camera, values: dict[str, Tensor], near: float, filtered: float) -> tuple[Tensor, Tensor]:
    """(H, W, 3) colours blended on nothing, and (H, W) opacities. camera: a `rasterise.Camera`. values: the others that
    `rasterise.render` takes. near, filtered: NEAR and FILTER of rasterise."""
    rotation, position = camera.rotation, camera.position
    placed = torch.eye(4, dtype=rotation.dtype, device=rotation.device)
    placed[:3, :3], placed[:3, 3] = rotation, -rotation @ position
    lens = placed.new_tensor([[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]])
    colours, opacities, _ = rasterization()(
        means=values["centres"],
        quats=values["rotations"],
        scales=values["scales"],
        opacities=values["opacities"],
        colors=values["harmonics"],
        viewmats=placed[None],
        Ks=lens[None],
        width=camera.width,
        height=camera.height,
        near_plane=near,
        eps2d=filtered,
        sh_degree=round(values["harmonics"].shape[1] ** 0.5) - 1,
        packed=False,
        rasterize_mode="antialiased",
    )
    return colours[0], opacities[0, ..., 0]
