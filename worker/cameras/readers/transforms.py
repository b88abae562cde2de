# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures with cameras from a transforms.json, as NeRF's synthetic scenes, instant-ngp and nerfstudio write it.

Must not know how else cameras are found. In such a file `transform_matrix` takes points of the camera to the world, and
the camera's axes are OpenGL's (x right, y up, z backward). Focal lengths and the rest stand once for all frames, or in
a frame for itself; `camera_angle_x` is the horizontal field of view in radians. Whatever is wrong with single frames is
told in a note, and only if no two good ones remain it is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...core.errors import Unable
from ...core.file_types import PICTURES
from ...core.job import Job, Span
from ...core.view import PinholeCamera
from ...pictures.load import size
from ..lens import Lens
from ..registration import Registration

ENDINGS = tuple(ending for each in PICTURES for ending in (each, each.upper()))
"""What is tried for a picture that a file names without an ending, as NeRF's synthetic scenes do."""

_NAMED = 4  # so many wrong frames are named in a note, the others are counted
_STRETCH = 0.02  # relative: axes of a camera that differ more in length, or are as far from square, are no camera's
_MODELS = ("", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "PERSPECTIVE")


class _Wrong(Exception):
    """What is wrong with one frame."""


def read(path: Path, job: Job | Span) -> Registration:
    """The cameras that the file at `path` lists; its pictures are looked up beside it.

    Raises Unable where it cannot be read, or fewer than two of its frames are good.
    """
    content = _parsed(path)
    frames, good, wrong = content["frames"], [], []
    for number, frame in enumerate(frames):
        job.report(number / len(frames), "reading", f"picture {number + 1} of {len(frames)}")
        try:
            good.append(_frame(path.parent, frame, content))
        except _Wrong as error:
            wrong.append(str(error))
    if len(good) < 2:
        reasons = ": " + "; ".join(dict.fromkeys(wrong[:_NAMED])) if wrong else ""
        raise Unable(
            f"{path.name} gives {len(good)} usable pictures of {len(frames)}, and at least two are needed{reasons}"
        )
    notes = [f"{len(good)} pictures with cameras from {path.name}"]
    if wrong:
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        notes.append(f"{len(wrong)} of {len(frames)} pictures are left out: {'; '.join(wrong[:_NAMED])}{more}")
    files, lenses, rotations, positions = zip(*good)
    return Registration(files, lenses, np.stack(rotations), np.stack(positions), axes_given=True, notes=tuple(notes))


def _parsed(path: Path) -> Mapping:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Unable(f"there is no file {path}: choose it again") from None
    except OSError as error:
        raise Unable(f"{path.name} cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unable(f"{path.name} is not valid JSON ({error}): write it again") from None
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise Unable(f"{path.name} lists no frames: it must be a transforms.json with pictures and their cameras")
    return content


def _frame(folder: Path, frame: object, shared: Mapping) -> tuple[str, Lens, np.ndarray, np.ndarray]:
    """Its picture's file as seen from the folder, its lens, and rotation and position as in View."""
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise _Wrong("a frame has no file_path")
    name = frame["file_path"]
    rotation, position = _pose(name, frame.get("transform_matrix"))
    file = _file(folder, name)
    try:
        width, height = size(folder / file)
    except Unable as error:
        raise _Wrong(str(error)) from None
    return file, _lens(name, {**shared, **frame}, width, height), rotation, position


def _file(folder: Path, name: str) -> str:
    given = name.replace("\\", "/")
    for file in (given, *(given + ending for ending in ENDINGS)):
        if (folder / file).is_file():
            return file
    raise _Wrong(f"{name} is missing")


def _pose(name: str, matrix: object) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and position, as in View, of a camera-to-world matrix with OpenGL's camera axes."""
    try:
        values = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape not in ((4, 4), (3, 4)):
        raise _Wrong(f"{name} has no 4 x 4 transform_matrix")
    if not np.isfinite(values[:3]).all():
        raise _Wrong(f"the matrix of {name} has numbers that are not finite")
    return proper(name, (values[:3, :3] * (1.0, -1.0, -1.0)).T), values[:3, 3].copy()


def proper(name: str, rotation: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) nearest to the one given, which may be scaled. Raises _Wrong if it is none at all."""
    left, sizes, right = np.linalg.svd(rotation)
    if sizes[2] < 1e-6 * max(sizes[0], 1e-12):
        raise _Wrong(f"the matrix of {name} is singular")
    if sizes[0] - sizes[2] > _STRETCH * sizes[0] or np.linalg.det(rotation) < 0:
        raise _Wrong(f"the matrix of {name} is not a rotation")
    return left @ right


def _lens(name: str, values: Mapping, width: int, height: int) -> Lens:
    """The lens of a picture of width x height pixels, from numbers that may stand for another number of pixels."""
    model = str(values.get("camera_model", "")).upper()
    if model not in _MODELS or values.get("is_fisheye"):
        raise _Wrong(f"{name} was taken with a {model or 'FISHEYE'} camera, which is not read here")
    w, h = _number(values, "w", name) or width, _number(values, "h", name) or height
    fx, fy = _number(values, "fl_x", name), _number(values, "fl_y", name)
    fx = fx or _focal(values, "camera_angle_x", w, name)
    fy = fy or _focal(values, "camera_angle_y", h, name)
    if not fx and not fy:
        raise _Wrong(f"{name} has neither camera_angle_x nor fl_x")
    fx, fy = fx or fy, fy or fx
    cx, cy = _number(values, "cx", name), _number(values, "cy", name)
    camera = PinholeCamera(round(w), round(h), fx, fy, w / 2.0 if cx is None else cx, h / 2.0 if cy is None else cy)
    if fx <= 0 or fy <= 0 or abs(w * height - h * width) > 0.02 * w * height:
        raise _Wrong(f"{name} has {width} x {height} pixels, which its camera does not fit")
    terms = [_number(values, term, name) or 0.0 for term in ("k1", "k2", "p1", "p2")]
    return Lens(camera, *terms).scaled(width, height)


def _focal(values: Mapping, key: str, side: float, name: str) -> float | None:
    """Focal length in pixels of a field of view in radians across `side` pixels, or None where it is not said."""
    angle = _number(values, key, name)
    if angle is None:
        return None
    if not 0.0 < angle < math.pi:
        raise _Wrong(f"{name} has a {key} of {angle:g}, which is no field of view in radians")
    return side / 2.0 / math.tan(angle / 2.0)


def _number(values: Mapping, key: str, name: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Wrong(f"{name} has a {key} that is not a number")
    return float(value)
