# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished thing seen from all sides, as views in the axes of its GLB: the photos, and renders from where there are
none.

Knows representations and geometry; must not know files, methods or requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.camera_info import CameraInfo
from ..core.representations import Views
from ..core.view import PinholeCamera, View
from ..geometry.around import angles, looking
from ..geometry.mesh import Mesh
from ..geometry.texturing.photo import Sight
from ..geometry.texturing.seen import Seen, pictured
from .asset import Asset
from .photos import resized

SIDE = 512
"""Pixels along a view's side; photos have at most twice as many."""

IMAGINED = 0.4
"""How far is believed what no photo shows, beside a photo."""

_RING = 45.0  # degrees between two views around the thing
_POLES = (70.0, -70.0)  # degrees from above and from below of one view each
_BESIDE = 20.0  # degrees: a photo from nearer is that view
_BEHIND = np.ones(3, np.float32)  # the colour behind a render


def around(asset: Asset, shown: Sequence[View], size: int = SIDE) -> Views:
    """The views of the asset's mesh. shown: what its cameras show, in their order; of those without a picture nothing
    is taken. size: pixels along a render's side."""
    mesh = asset.mesh
    pairs = zip(asset.cameras, shown) if len(asset.cameras) == len(shown) else ()
    photos = [_photo(info, view, 2 * size) for info, view in pairs if view.rgb is not None]
    yaw, pitch = angles(mesh, photos[0]) if photos else (0.0, 0.0)
    places = [(yaw + turn * _RING, pitch) for turn in range(round(360.0 / _RING))]
    views = [looking(mesh, *place, size) for place in (*places, *((yaw, pole) for pole in _POLES))]
    made = [_render(mesh, view, photos) for view in views if not any(_beside(mesh, view, photo) for photo in photos)]
    pictures = (*photos, *made)
    return Views(pictures, tuple(Seen.of(mesh, view).depths for view in pictures), asset.warnings)


def _photo(info: CameraInfo, view: View, most: int) -> View:
    """What a camera of the asset shows, in the asset's axes."""
    longer = max(info.width, info.height)
    focal = longer / 2.0 / math.tan(math.radians(info.fov_degrees) / 2.0)
    middle = info.width / 2.0 - info.shift[0] * longer, info.height / 2.0 + info.shift[1] * longer
    w, *axis = info.rotation
    rotation = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_quat([*axis, w]).as_matrix().T
    camera = PinholeCamera(info.width, info.height, focal, focal, *middle).at_most(most)
    return resized(replace(view, confidence=None), camera, rotation, np.array(info.position))


def _beside(mesh: Mesh, view: View, photo: View) -> bool:
    """Whether both see the thing's middle from about the same side."""
    middle = mesh.bounds.astype(np.float64).mean(axis=0)
    one, other = (each.position - middle for each in (view, photo))
    return float(one @ other) > math.cos(math.radians(_BESIDE)) * np.linalg.norm(one) * np.linalg.norm(other)


def _render(mesh: Mesh, view: View, photos: Sequence[View]) -> View:
    """The view with a picture of the mesh, believed as far as photos show it."""
    rgb, mask = pictured(mesh, view, _BEHIND)
    seen = Seen.of(mesh, view)
    shown = np.zeros(len(seen.points), np.float32)
    for photo in photos:
        sight = Sight(photo, mesh.vertices, mesh.faces)
        np.maximum(shown, sight.trust(seen.points, seen.normals)[0], out=shown)
    believed = seen.laid(np.float32(IMAGINED + (1.0 - IMAGINED) * shown), np.float32(0.0))
    return replace(view, rgb=rgb, mask=mask, confidence=believed)
