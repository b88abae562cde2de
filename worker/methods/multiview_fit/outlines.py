# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a thing that is cut out of its photos: a smooth signed distance from its visual hull (Laurentini 1994).

Imported on use: it brings torch. Points and distances are in the capture's world. Must not know colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn import functional

from ...core.errors import Unable
from ...core.job import Job, Span
from .grid_space import DISSENT, Lattice, ViewTensors, redistanced

_BLUR = 0.7  # pixels by which the steps of an outline are evened out; from 0.5 to 1.5 a bottle's skin stays within 0.5
_LEAST = 2  # photos that must show a place of the thing


@torch.no_grad()
def hull_distance(views: Sequence[ViewTensors], lattice: Lattice, job: Job | Span) -> np.ndarray:
    """(X + 1, Y + 1, Z + 1) float32 signed distance in cells at the corners, positive outside the hull of the masks.

    Of the masks the share DISSENT may be wrong about a place; what a photo does not show, it says nothing of. Each
    distance is measured in the picture, so that it is exact near the surface, and smooth. job: hears each layer. Raises
    Unable where nothing is left.
    """
    outlines = [_outline_distance(view) for view in views]
    which = int(DISSENT * len(views)) + 1
    layers = []
    for number in range(lattice.samples[0]):
        job.report(number / lattice.samples[0], "cutting the shape out")
        points = lattice.layer(number, views[0].position.device)
        told = torch.stack([_told(view, outline, points) for view, outline in zip(views, outlines)])
        shown = told.isfinite().sum(0) >= _LEAST
        layers.append(torch.where(shown, told.topk(which, 0).values[-1], torch.inf).cpu().numpy())
    distance = np.stack(layers).reshape(lattice.samples) / lattice.spacing
    if not (distance < 0.0).any():
        raise Unable("the pictures have masks that agree on no shape: check the poses and the masks")
    most = float(max(lattice.cells))
    return redistanced(np.clip(distance, -most, most).astype(np.float32))


def _outline_distance(view: ViewTensors) -> Tensor:
    """(H, W) pixels from the thing's outline, negative on it."""
    thing = view.mask.cpu().numpy() > 0.5
    if not thing.any():
        return torch.full_like(view.mask, torch.inf)
    inside, outside = distance_transform_edt(thing), distance_transform_edt(~thing)
    distance = np.where(thing, 0.5 - inside, outside - 0.5).astype(np.float32)
    return torch.from_numpy(gaussian_filter(distance, _BLUR)).to(view.position.device)


def _told(view: ViewTensors, outline: Tensor, points: Tensor) -> Tensor:
    """(N,) how far outside of a view's outline (H, W) points (N, 3) are, in the world's unit; -inf where it does not
    show them."""
    camera, own = view.camera, (points - view.position) @ view.rotation.T
    depth = own[:, 2].clamp(min=1e-6)
    size = torch.tensor([camera.width, camera.height], device=points.device)
    focal, centre = own.new_tensor([camera.fx, camera.fy]), own.new_tensor([camera.cx, camera.cy])
    place = (own[:, :2] / depth[:, None] * focal + centre) / size * 2.0 - 1.0
    seen = (place.abs() <= 1.0).all(1) & (own[:, 2] > 1e-6)
    options = {"padding_mode": "border", "align_corners": False}
    found = functional.grid_sample(outline[None, None], place[None, None], **options).view(-1)
    return torch.where(seen, found * depth / camera.fx, -torch.inf)
