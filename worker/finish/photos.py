# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos that a thing was made of, as files that show exactly what their cameras see.

The user's own files do not: lenses bend, phones turn, and what was read was made smaller. Knows representations and
pictures; must not know meshes, methods or requests.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.view import PinholeCamera, View
from ..core.whole_file import WholeFile
from ..pictures.load import Picture

_QUALITY = 92


def with_square_pixels(camera: PinholeCamera) -> PinholeCamera:
    """The same view with pixels that are as high as wide, the only ones that programs for scenes know."""
    return camera.scaled(camera.width, max(1, round(camera.height * camera.fx / camera.fy)))


def resized(view: View, camera: PinholeCamera, rotation: np.ndarray, position: np.ndarray) -> View:
    """The view's picture and mask with the camera's pixels, in that place."""
    size = camera.width, camera.height

    def fitted(values: np.ndarray | None) -> np.ndarray | None:
        if values is None or values.shape[1::-1] == size:
            return values
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))

    place = {"camera": camera, "rotation": rotation, "position": position}
    return replace(view, **place, rgb=fitted(view.rgb), mask=fitted(view.mask), confidence=None)


def encoded(views: Sequence[View], picture: Picture | None) -> dict[str, np.ndarray]:
    """Files by name, in the order of the views, each (N,) uint8: JPEG, or PNG where parts are transparent.

    picture: the user's own, where there is just one: it is shown as it is, with what is behind the thing.
    """
    files = {}
    for number, view in enumerate(views):
        camera = with_square_pixels(view.camera)
        alpha = picture.alpha if picture else None
        image = Image.fromarray(picture.rgb if picture else view.rgb)
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
        with WholeFile(path) as file:
            file.write(files[path.name].tobytes())
    return paths
