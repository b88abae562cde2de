# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo's guesses at what it does not show: its mirror images in the planes in which the thing is symmetric.

Must not know where photos come from, or what becomes of the guesses.
"""

from __future__ import annotations

import numpy as np

from ...core.view import View
from ..mesh import Mesh, face_vectors
from ..symmetry import mirrors
from .photo import Sight, reflected

_UPRIGHT = 0.2
"""Sine of the angle to the vertical (+Y) of mirrors that are believed: things seldom look below as they do above."""

_WORTH = 0.02  # of the surface must be seen in a mirror and not without it
_MOST = 2  # mirrors


def mirrored(mesh: Mesh, photo: View) -> list[View]:
    """The photo in the planes of symmetry that show most of what it does not see of an upright mesh, the best first."""
    upright = [mirror for mirror in mirrors(mesh.vertices, mesh.faces) if abs(mirror.normal[1]) < _UPRIGHT]
    guesses = [reflected(photo, mirror) for mirror in upright]
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    across = face_vectors(mesh.vertices, mesh.faces)
    area = np.linalg.norm(across, axis=1)
    normals = across / np.maximum(area, 1e-30)[:, None]

    def unseen(by: View) -> np.ndarray:
        return 1.0 - Sight(by, mesh.vertices, mesh.faces).trust(middles, normals)[0]

    left, chosen = area * unseen(photo), []
    while guesses and len(chosen) < _MOST:
        after = [left * unseen(guess) for guess in guesses]
        best = int(np.argmin([rest.sum() for rest in after]))
        if left.sum() - after[best].sum() < _WORTH * area.sum():
            break
        chosen.append(guesses.pop(best))
        left = after[best]
    return chosen
