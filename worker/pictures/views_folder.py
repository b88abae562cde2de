# SPDX-License-Identifier: GPL-3.0-or-later
"""Views as a folder that nerfstudio, instant-ngp and the reader of lists of cameras here understand.

    transforms.json   cameras, as nerfstudio writes them; files by name beside each frame
    images/0000.png   colours; masks/0000.png how much of a pixel is the thing; depths/0000.png 16 bits, in thousandths
    of `depth_unit` of the world's, 0 where nothing is (nerfstudio's own scale where that is 1); depths/0000.exr the
    same as 32-bit floats in the world's unit; confidence/0000.png, where the picture is no photo
    contact.png       all of them at a glance

Must not know who makes views, or what becomes of them.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.representations import Views
from ..core.view import View
from ..core.whole_file import WholeFile
from . import exr

LIST, SHEET = "transforms.json", "contact.png"
UNIT = 0.001
"""Of `depth_unit`, one step of a depth's file."""

CELL = 192
"""Pixels along the side of a picture in a contact sheet."""

_KEYS = {"images": "file_path", "masks": "mask_path", "depths": "depth_file_path", "confidence": "confidence_path"}
_USUAL = (0.5, 65.0)  # farthest depths that can be told well in thousandths


def saved(views: Views, folder: Path) -> Path:
    """Writes the folder, which is made where it is not there; returns the list. Raises Unable."""
    farthest = max((float(depth[np.isfinite(depth)].max(initial=0.0)) for depth in views.depths), default=0.0)
    unit = 1.0 if _USUAL[0] <= farthest <= _USUAL[1] or not farthest else farthest / _USUAL[1]
    try:
        for name in _KEYS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        pairs = zip(views.pictures, views.depths)
        frames = [_written(folder, number, view, depth, unit) for number, (view, depth) in enumerate(pairs)]
        _write(folder / SHEET, _png(contact_sheet(views.pictures)))
        content = {"camera_model": "OPENCV", "depth_unit": unit, "frames": frames, "notes": list(views.notes)}
        _write(folder / LIST, json.dumps(content, indent=1).encode())
    except OSError as error:
        raise Unable(f"the views could not be written to {folder} ({error.strerror or error})") from None
    return folder / LIST


def contact_sheet(views: Sequence[View], cell: int = CELL) -> np.ndarray:
    """(H, W, 3) uint8: the views' pictures before white, row by row, each in a square of `cell` pixels."""
    across = max(1, math.ceil(math.sqrt(len(views))))
    sheet = Image.new("RGB", (across * cell, max(1, math.ceil(len(views) / across)) * cell), "white")
    for number, view in enumerate(views):
        picture = Image.fromarray(view.rgb)
        mask = None if view.mask is None else Image.fromarray(view.mask)
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), mask) if mask else picture
        picture.thumbnail((cell, cell))
        row, column = divmod(number, across)
        sheet.paste(picture, (column * cell + (cell - picture.width) // 2, row * cell + (cell - picture.height) // 2))
    return np.asarray(sheet)


def _written(folder: Path, number: int, view: View, depth: np.ndarray, unit: float) -> dict[str, object]:
    """Writes one view's files; returns its frame of the list."""
    name, camera = f"{number:04d}", view.camera
    there = np.where(np.isfinite(depth), depth, 0.0)
    files = {"images": view.rgb, "masks": view.mask}
    files["depths"] = np.uint16(np.clip(np.rint(there / (UNIT * unit)), 0, 65535))
    if view.confidence is not None:
        files["confidence"] = np.uint8(np.rint(255.0 * view.confidence))
    files = {kind: values for kind, values in files.items() if values is not None}
    for kind, values in files.items():
        _write(folder / kind / f"{name}.png", _png(values))
    exr.write(folder / "depths" / f"{name}.exr", there.astype(np.float32))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = view.rotation.T * (1.0, -1.0, -1.0), view.position  # OpenGL's camera axes
    numbers = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
    size = {"w": camera.width, "h": camera.height}
    paths = {_KEYS[kind]: f"{kind}/{name}.png" for kind in files}
    return {**paths, **size, **numbers, "transform_matrix": pose.tolist()}


def _png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def _write(path: Path, content: bytes) -> None:
    with WholeFile(path) as file:
        file.write(content)
