# SPDX-License-Identifier: GPL-3.0-or-later
"""Views as a folder that nerfstudio, instant-ngp and the reader of lists of cameras here understand, and back.

    transforms.json   cameras, as nerfstudio writes them; files by name beside each frame
    images/0000.png   colours; masks/0000.png how much of a pixel is the thing; depths/0000.png 16 bits, in thousandths
    of the world's unit, 0 where nothing is (nerfstudio's usual depth_unit_scale_factor); confidence/0000.png, where the
    picture is no photo

Must not know who makes views, or what becomes of them.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.representations import Views
from ..core.view import PinholeCamera, View
from ..core.whole_file import WholeFile

LIST = "transforms.json"
UNIT = 0.001
"""Of the world's unit, one step of a depth's file."""

_FOLDERS = ("images", "masks", "depths", "confidence")


def saved(views: Views, folder: Path) -> Path:
    """Writes the folder, which is made where it is not there; returns the list. Raises Unable."""
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        pairs = zip(views.pictures, views.depths)
        frames = [_written(folder, number, view, depth) for number, (view, depth) in enumerate(pairs)]
        content = {"camera_model": "OPENCV", "frames": frames, "notes": list(views.notes)}
        with WholeFile(folder / LIST) as file:
            file.write(json.dumps(content, indent=1).encode())
    except OSError as error:
        raise Unable(f"the views could not be written to {folder} ({error.strerror or error})") from None
    return folder / LIST


def _written(folder: Path, number: int, view: View, depth: np.ndarray) -> dict[str, object]:
    name, camera = f"{number:04d}.png", view.camera
    steps = np.where(np.isfinite(depth), depth / UNIT, 0.0)
    files = {"images": view.rgb, "masks": view.mask, "depths": np.uint16(np.clip(np.rint(steps), 0, 65535))}
    if view.confidence is not None:
        files["confidence"] = np.uint8(np.rint(255.0 * view.confidence))
    for kind, values in files.items():
        stream = io.BytesIO()
        Image.fromarray(values).save(stream, "PNG")
        with WholeFile(folder / kind / name) as file:
            file.write(stream.getvalue())
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = view.rotation.T * (1.0, -1.0, -1.0), view.position  # OpenGL's camera axes
    keys = {"images": "file_path", "masks": "mask_path", "depths": "depth_file_path", "confidence": "confidence_path"}
    numbers = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
    size = {"w": camera.width, "h": camera.height}
    return {**{keys[kind]: f"{kind}/{name}" for kind in files}, **size, **numbers, "transform_matrix": pose.tolist()}


def opened(folder: Path) -> Views:
    """What `saved` wrote. Raises Unable."""
    try:
        content = json.loads((folder / LIST).read_text("utf-8"))
        both = [_read(folder, frame) for frame in content["frames"]]
        return Views(*map(tuple, zip(*both)), tuple(map(str, content.get("notes", ()))))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unable(f"{folder / LIST} and its pictures are no views that were saved here ({error})") from None


def _read(folder: Path, frame: dict) -> tuple[View, np.ndarray]:
    camera = PinholeCamera(frame["w"], frame["h"], frame["fl_x"], frame["fl_y"], frame["cx"], frame["cy"])
    pose = np.array(frame["transform_matrix"], np.float64)
    rotation = (pose[:3, :3] * (1.0, -1.0, -1.0)).T
    rgb, mask = (np.asarray(Image.open(folder / frame[key])) for key in ("file_path", "mask_path"))
    steps = np.asarray(Image.open(folder / frame["depth_file_path"])).astype(np.float32)
    believed = frame.get("confidence_path")
    confidence = np.asarray(Image.open(folder / believed), np.float32) / np.float32(255.0) if believed else None
    view = View(camera, rotation, pose[:3, 3], rgb, mask, confidence=confidence)
    return view, np.where(steps > 0, steps * np.float32(UNIT), np.float32(np.inf))
