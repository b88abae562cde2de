# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos that a thing was made of, as files that show exactly what their cameras see.

The user's own files do not: lenses bend, phones turn, and what was read was made smaller. Knows representations and
pictures; must not know meshes, backends or requests.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.representations import Field, Representation
from ..core.view import PinholeCamera
from ..pictures.load import Picture

_QUALITY = 92


def with_square_pixels(camera: PinholeCamera) -> PinholeCamera:
    """The same view with pixels that are as high as wide, the only ones that programs for scenes know."""
    return camera.scaled(camera.width, max(1, round(camera.height * camera.fx / camera.fy)))


def encoded(found: Representation, picture: Picture | None) -> dict[str, np.ndarray]:
    """Files by name, in the order of a field's pictures, each (N,) uint8: JPEG, or PNG where parts are transparent.

    picture: the user's own, where there is just one. What is no field has no photos beside its texture.
    """
    if not isinstance(found, Field):
        return {}
    files = {}
    for number, posed in enumerate(found.pictures):
        camera = with_square_pixels(posed.view.camera)
        alpha = picture.alpha if posed.rgb is None else None
        image = Image.fromarray(picture.rgb if posed.rgb is None else posed.rgb)
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        if image.size != (camera.width, camera.height):
            image = image.resize((camera.width, camera.height), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        kind = "JPEG" if alpha is None else "PNG"
        image.save(stream, kind, quality=_QUALITY)
        files[f"photo-{number:04d}.{'jpg' if alpha is None else 'png'}"] = np.frombuffer(stream.getvalue(), np.uint8)
    return files


def written(files: Mapping[str, np.ndarray], folder: Path) -> list[Path]:
    """Writes what `encoded` gave into the folder. Raises OSError."""
    paths = [folder / name for name in sorted(files)]
    for path in paths:
        path.write_bytes(files[path.name].tobytes())
    return paths
