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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.texts import shortened
from ...core.view import PinholeCamera
from ...pictures.load import size
from ...pictures.look import MOST_PICTURES
from ..lens import Lens
from ..registration import Mask, Registration
from .conventions import Poses, as_meant
from .exif_turn import TURNS, orientation
from .listing import Files, shown, text_of
from .witness import witness

_NAMED = 4  # so many wrong frames are named in a note, the others are counted
_STRETCH = 0.02  # relative: axes of a camera that differ more in length, or are as far from square, are no camera's
_FAR = 1e9  # of numbers in a matrix: beyond, metres from the middle of the earth, they are no place
_SHAPE = 0.02  # relative difference of two aspect ratios that are one
_FIELD = (1e-3, 100.0)  # of focal lengths, in longer sides of the picture
_STRONG = 1e6  # of a distortion's terms
_STRAIGHT_MODELS = ("", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE")
_BENT_MODELS = ("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
_FISHEYES = ("OPENCV_FISHEYE", "FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "EQUIDISTANT")


class _Wrong(Exception):
    """What is wrong with one frame."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """One good frame. file: as seen from the list's folder. rotation, position: as in View. turn: how the picture lies
    in its file, where its camera is that of the pixels as they lie, else 1."""

    file: str
    lens: Lens
    rotation: np.ndarray
    position: np.ndarray
    turn: int = 1
    mask: Mask | None = None


def read(path: Path, job: Job | Span) -> Registration:
    """The cameras that the file at `path` lists; its pictures are looked up beside it, at most MOST_PICTURES of them.

    Raises Unable where it cannot be read, or fewer than two of its frames are good.
    """
    return registration(path.name, path.parent, _parsed(path), job)


def registration(name: str, folder: Path, content: Mapping, job: Job | Span, doubted: bool = True) -> Registration:
    """The cameras of such a list, however it was written down; its pictures are looked up below `folder`.

    name: the list's, for sentences. doubted: whether the matrices may be meant otherwise than they should be written;
    else the world's axes mean nothing either. Raises Unable where fewer than two of its frames are good.
    """
    frames, files, good, wrong, notes = content["frames"], Files(folder), [], [], []
    if len(frames) > MOST_PICTURES:
        notes.append(f"{MOST_PICTURES} of {len(frames)} pictures are used, evenly chosen")
        frames = [frames[n] for n in np.linspace(0, len(frames) - 1, MOST_PICTURES).round().astype(int)]
    for number, frame in enumerate(frames):
        job.report(number / len(frames), "reading", f"picture {number + 1} of {len(frames)}")
        try:
            good.append(_frame(folder, files, frame, content))
        except _Wrong as error:
            wrong.append(str(error))
    if len(good) < 2:
        reasons = ": " + shortened("; ".join(dict.fromkeys(wrong[:_NAMED]))) if wrong else ""
        raise Unable(f"{name} gives {len(good)} usable pictures of {len(frames)}, and at least two are needed{reasons}")
    notes.append(f"{len(good)} pictures with cameras from {name}")
    if wrong:
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        notes.append(f"{len(wrong)} of {len(frames)} pictures are left out: {'; '.join(wrong[:_NAMED])}{more}")
    poses, said = _placed(name, folder, good, doubted)
    notes += [*said, *_told(name, good, files, frames)]
    masks = tuple(frame.mask for frame in good) if any(frame.mask for frame in good) else ()
    turns = tuple(TURNS[frame.turn] for frame in good) if any(frame.turn != 1 for frame in good) else ()
    pictures, lenses = tuple(frame.file for frame in good), tuple(frame.lens for frame in good)
    more = {"notes": tuple(notes), "masks": masks, "turns": turns}
    return Registration(pictures, lenses, *poses, axes_given=doubted, **more)


def _placed(
    name: str, folder: Path, frames: list[_Frame], doubted: bool
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """Rotations and positions as they are meant, and what there is to say."""
    written = np.stack([frame.rotation for frame in frames]), np.stack([frame.position for frame in frames])
    see = witness([folder / frame.file for frame in frames], [frame.lens for frame in frames])

    def seen(poses: Sequence[Poses]) -> list[float] | None:
        return see([(_upright(frames, rotations), positions) for rotations, positions in poses])

    rotations, positions, odd = as_meant(*written, seen) if doubted else (*written, "")
    why = "they are read so, as the cameras would look away from the thing else"
    return (_upright(frames, rotations), positions), [f"the matrices of {name} {odd}: {why}"] if odd else []


def _upright(frames: list[_Frame], rotations: np.ndarray) -> np.ndarray:
    """The rotations (N, 3, 3) turned with the pictures."""
    return np.stack([np.vstack([TURNS[f.turn] @ rotation[:2], rotation[2:]]) for f, rotation in zip(frames, rotations)])


def _told(name: str, good: list[_Frame], files: Files, frames: list) -> list[str]:
    """Sentences on what was done to read the list."""
    notes = []
    if files.by_name:
        notes.append(f"{files.by_name} files are not where {name} says, and were found by their names beside it")
    if turned := sum(frame.turn != 1 for frame in good):
        meant = "the cameras are taken for those of the pixels as they lie"
        notes.append(f"{turned} pictures lie turned in their files: {meant}")
    asked = sum(isinstance(frame, dict) and bool(frame.get("mask_path")) for frame in frames)
    masks = sum(frame.mask is not None for frame in good)
    if asked:
        missing = f", and {asked - masks} are missing" if asked > masks else ""
        notes.append(f"masks of {masks} pictures are used{missing}")
    return notes


def _parsed(path: Path) -> Mapping:
    try:
        content = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise Unable(f"{path.name} is not valid JSON ({error}): write it again") from None
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise Unable(f"{path.name} lists no frames: it must be a transforms.json with pictures and their cameras")
    return content


def _frame(folder: Path, files: Files, frame: object, shared: Mapping) -> _Frame:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise _Wrong("a frame has no file_path")
    name = shown(frame["file_path"])
    rotation, position = _pose(name, frame.get("transform_matrix"))
    file = files.find(frame["file_path"])
    if file is None:
        raise _Wrong(f"{name} is missing")
    try:
        upright = size(folder / file)
    except Unable as error:
        raise _Wrong(str(error)) from None
    values = {**shared, **frame}
    turn = _turn(name, values, upright, orientation(folder / file))
    lens = _lens(name, values, *(upright[::-1] if TURNS[turn][0, 1] else upright)).turned(TURNS[turn])
    return _Frame(file, lens, rotation, position, turn, _mask(files, frame.get("mask_path"), turn, folder))


def _turn(name: str, values: Mapping, upright: tuple[int, int], lies: int) -> int:
    """How the picture lies in its file, if the camera is that of the pixels as they lie; 1 if it is the upright one's,
    as the numbers of pixels may tell. Raises _Wrong where they lie mirrored."""
    w = _number(values, "w", name) or 2.0 * (_number(values, "cx", name) or 0.0)
    h = _number(values, "h", name) or 2.0 * (_number(values, "cy", name) or 0.0)
    width, height = upright
    fits = w > 0.0 and h > 0.0 and width != height and abs(w * height - h * width) <= _SHAPE * w * height
    if lies == 1 or (lies > 4 and fits):
        return 1
    if lies not in TURNS:
        raise _Wrong(f"{name} is mirrored, as its EXIF says, which no camera is: save it again as it looks")
    return lies


def _mask(files: Files, name: object, turn: int, folder: Path) -> Mask | None:
    file = files.find(name) if isinstance(name, str) and name else None
    if file is None:
        return None
    try:
        size(folder / file)
    except Unable:  # as good as missing
        return None
    return Mask(file, turn if orientation(folder / file) == 1 else 1)


def _pose(name: str, matrix: object) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and position, as in View, of a camera-to-world matrix with OpenGL's camera axes."""
    try:
        values = np.asarray(matrix, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.zeros(0)
    if values.shape not in ((4, 4), (3, 4)):
        raise _Wrong(f"{name} has no 4 x 4 transform_matrix")
    if not np.isfinite(values[:3]).all():
        raise _Wrong(f"the matrix of {name} has numbers that are not finite")
    if np.abs(values[:3]).max() > _FAR:
        raise _Wrong(f"the matrix of {name} has numbers beyond {_FAR:g}, which are no place")
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
    bent = _bent(name, values)
    w, h = (_side(values, key, name, side) for key, side in (("w", width), ("h", height)))
    fx, fy = _number(values, "fl_x", name), _number(values, "fl_y", name)
    fx = fx or _focal(values, "camera_angle_x", w, name)
    fy = fy or _focal(values, "camera_angle_y", h, name)
    if not fx and not fy:
        raise _Wrong(f"{name} has neither camera_angle_x nor fl_x")
    fx, fy = fx or fy, fy or fx
    cx, cy = _number(values, "cx", name), _number(values, "cy", name)
    cx, cy = w / 2.0 if cx is None else cx, h / 2.0 if cy is None else cy
    if abs(w * height - h * width) > _SHAPE * w * height or not (-w < cx < 2.0 * w and -h < cy < 2.0 * h):
        raise _Wrong(f"{name} has {width} x {height} pixels, which its camera does not fit")
    if not all(_FIELD[0] < f / max(w, h) < _FIELD[1] for f in (fx, fy)):
        raise _Wrong(f"{name} has focal lengths of {fx:g} and {fy:g} pixels, which no camera has")
    lens = replace(bent, camera=PinholeCamera(round(w), round(h), fx, fy, cx, cy))
    return lens.scaled(width, height)


def _bent(name: str, values: Mapping) -> Lens:
    """A lens with the distortion that is told, and no camera yet."""
    model = str(values.get("camera_model") or "").upper()[:40]
    fisheye = model in _FISHEYES or bool(values.get("is_fisheye"))
    if not fisheye and model not in (*_STRAIGHT_MODELS, *_BENT_MODELS):
        raise _Wrong(f"{name} was taken with a {shown(model)} camera, which is not read here")
    told = {term: _number(values, term, name) or 0.0 for term in ("k1", "k2", "p1", "p2", "k3", "k4")}
    rational = ("k4", "k5", "k6") if model == "FULL_OPENCV" else ("k5", "k6")
    if any(_number(values, term, name) for term in rational):
        raise _Wrong(f"{name} was taken with a lens of the model FULL_OPENCV with k4, k5 or k6, which is not read here")
    if any(abs(value) > _STRONG for value in told.values()):
        raise _Wrong(f"{name} has a distortion that no lens has")
    if fisheye and (told["p1"] or told["p2"]):
        raise _Wrong(f"{name} was taken with a fisheye with p1 and p2, which is not read here")
    return Lens(_NO_CAMERA, **told, fisheye=fisheye)


_NO_CAMERA = PinholeCamera(1, 1, 1.0, 1.0, 0.5, 0.5)


def _side(values: Mapping, key: str, name: str, pixels: int) -> float:
    side = _number(values, key, name)
    if side is not None and not 1.0 <= side <= _FAR:
        raise _Wrong(f"{name} has a {key} of {side:g}, which is no number of pixels")
    return side or float(pixels)


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
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong(f"{name} has a {key} that is not a number")
    return number
