# SPDX-License-Identifier: GPL-3.0-or-later
"""What everything after the cameras starts from: views in a world of sensible axes and size.

Must not know how the cameras were found. The world: right-handed, +Z up, the thing's middle at the origin, its longest
side about 1. To glTF's axes: (x, y, z) -> (x, z, -y), which `TO_GLTF` says as a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.view import View

TO_GLTF = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""(3, 3) float64 rotation from a capture's world to glTF's axes (+Y up): glTF point = TO_GLTF @ world point."""


@dataclass(frozen=True, eq=False)
class Capture:
    """Registered pictures of one thing or place.

    views: at least two, with their pictures, in the order in which the pictures were given. points: (P, 3) float32,
    sparse points on surfaces in the world, P may be 0. bounds: (2, 3) float64, the smallest and largest coordinates of
    the box of the thing; of a place, of its part that many pictures see. unbounded: True for a place, of which there is
    more outside of the box. notes: sentences for the user about what was found and what was left out.
    """

    views: tuple[View, ...]
    points: np.ndarray
    bounds: np.ndarray
    unbounded: bool
    notes: tuple[str, ...] = ()

    def reframed(self, box: np.ndarray) -> Capture:
        """The same of the thing in `box` (2, 3): its middle becomes the origin, its longest side 1."""
        middle, size = box.mean(0), float((box[1] - box[0]).max())
        views = tuple(replace(view, position=(view.position - middle) / size) for view in self.views)
        points = ((self.points - middle) / size).astype(np.float32)
        return replace(self, views=views, points=points, bounds=(box - middle) / size)
