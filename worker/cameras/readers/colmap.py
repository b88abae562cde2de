# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of COLMAP: images, cameras and points beside each other, as binary files or as text.

Read here and not by COLMAP's library, which ends the whole process at a damaged file. The formats are those of its
documentation ("Output format"). A pose takes points of the world to the camera, as a quaternion w, x, y, z and a
translation; the camera's axes and the pixels are those of core.view. Must not know how such a model is found.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...core.errors import Unable
from ...core.file_types import IMAGE_FOLDERS
from ...core.job import Job, Span
from ...pictures.look import folder_of_listed
from ..registration import Registration
from . import transforms
from .listing import check_file, text_of

MOST_BYTES = 2 << 30
"""Of one file: a hundred thousand pictures take less."""

MOST_POINTS = 200_000
"""More points of a model are thinned out evenly: they only tell where things are."""

_FX, _F = ("fl_x", "fl_y", "cx", "cy"), ("fl_x", "cx", "cy")
_MODELS = {
    "SIMPLE_PINHOLE": (0, _F),
    "PINHOLE": (1, _FX),
    "SIMPLE_RADIAL": (2, (*_F, "k1")),
    "RADIAL": (3, (*_F, "k1", "k2")),
    "OPENCV": (4, (*_FX, "k1", "k2", "p1", "p2")),
    "OPENCV_FISHEYE": (5, (*_FX, "k1", "k2", "k3", "k4")),
    "FULL_OPENCV": (6, (*_FX, "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    "SIMPLE_RADIAL_FISHEYE": (8, (*_F, "k1")),
    "RADIAL_FISHEYE": (9, (*_F, "k1", "k2")),
}
"""COLMAP's number of each model, and what its parameters are called in a transforms.json."""

_OTHERS = {7: ("FOV", 5), 10: ("THIN_PRISM_FISHEYE", 12)}
_BY_NUMBER = {number: name for name, (number, _) in _MODELS.items()}

_Pose = tuple[str, int, tuple[float, ...], tuple[float, ...]]
"""A picture's file, its camera's number, quaternion and translation."""


def read(path: Path, job: Job | Span) -> Registration:
    """The cameras of the model whose file of images is at `path`; its pictures are looked up in the project.

    Raises Unable where it cannot be read, or fewer than two of its pictures are there.
    """
    binary = path.suffix.lower() == ".bin"
    name = f"COLMAP's {path.parent.name}/{path.name}"
    try:
        cameras = dict(_cameras_bin(path) if binary else _cameras_txt(path))
        images = list(_images_bin(path) if binary else _images_txt(path))
        points, sightings = _points(path, binary)
    except Unable:
        raise
    except (OSError, ValueError, IndexError, OverflowError, struct.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or of another version"
        raise Unable(f"{name} cannot be read ({reason}): choose the folder with the pictures alone") from None
    if not images:
        raise Unable(f"{name} lists no pictures: choose the folder with the pictures alone")
    project = folder_of_listed(path)
    before = _folder_of_pictures(project, images)
    frames = [_frame(before, image, cameras) for image in sorted(images)]
    found = transforms.registration(name, project, {"frames": frames}, job, doubted=False)
    return replace(found, points=points, sightings=sightings)


def _folder_of_pictures(project: Path, images: list[_Pose]) -> str:
    """Where in the project the pictures lie, which a model does not say: "" or a folder's name with a slash."""
    places = ("", *(f"{name}/" for name in IMAGE_FOLDERS))
    return next((place for place in places if any(os.path.isfile(project / (place + each[0])) for each in images)), "")


def _frame(before: str, image: _Pose, cameras: Mapping[int, Mapping]) -> dict:
    """As an entry of a transforms.json."""
    file, camera, (w, x, y, z), translation = image
    length = w * w + x * x + y * y + z * z or np.nan
    cross, matrix = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]), np.eye(4)
    with np.errstate(all="ignore"):  # of damaged numbers, which are told of with the frame
        rotation = np.eye(3) + 2.0 * (w * cross + cross @ cross) / length
        matrix[:3, :3], matrix[:3, 3] = rotation.T * (1.0, -1.0, -1.0), -rotation.T @ translation
    return {"file_path": before + file, "transform_matrix": matrix.tolist(), **cameras.get(camera, {})}


def _camera(model: str, width: float, height: float, numbers: tuple[float, ...]) -> dict:
    names = _MODELS[model][1] if model in _MODELS else ()
    return {"camera_model": model, "w": width, "h": height, **dict(zip(names, numbers))}


# ---- binary


class _Bytes:
    """A file that is read from its beginning: little-endian numbers, and texts that end with a zero."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        if path.stat().st_size > MOST_BYTES:
            raise Unable(f"{path.name} is larger than {MOST_BYTES >> 30} GB: choose the folder with the pictures alone")
        self._content, self._at = path.read_bytes(), 0

    def numbers(self, format: str) -> tuple:
        found = struct.unpack_from(f"<{format}", self._content, self._at)
        self._at += struct.calcsize(f"<{format}")
        return found

    def text(self) -> str:
        end = self._content.index(0, self._at)
        found, self._at = self._content[self._at : end], end + 1
        return found.decode("utf-8", "surrogateescape")

    def skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._content):
            raise ValueError("cut off")

    def count(self, least: int) -> int:
        """A number of entries that take at least so many bytes each."""
        (found,) = self.numbers("Q")
        if found * least > len(self._content):
            raise ValueError("more entries than bytes")
        return found


def _cameras_bin(path: Path) -> Iterator[tuple[int, dict]]:
    file = _Bytes(path.with_name("cameras.bin"))
    for _ in range(file.count(24)):
        number, model, width, height = file.numbers("iiQQ")
        name, count = _OTHERS.get(model) or (_BY_NUMBER.get(model, ""), 0)
        if not name:
            raise ValueError("an unknown model")
        count = count or len(_MODELS[name][1])
        yield number, _camera(name, width, height, file.numbers(f"{count}d"))


def _images_bin(path: Path) -> Iterator[_Pose]:
    file = _Bytes(path)
    for _ in range(file.count(65)):
        _, *pose, camera = file.numbers("i7di")
        name = file.text()
        file.skip(24 * file.count(24))
        yield name, camera, tuple(pose[:4]), tuple(pose[4:])


def _points(path: Path, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) points and (P,) in how many pictures each was seen; none where the file is missing."""
    file = path.with_name("points3D.bin" if binary else "points3D.txt")
    if not file.is_file():
        return np.zeros((0, 3)), np.zeros(0, np.int64)
    rows = np.array(list(_points_bin(file) if binary else _points_txt(file)), np.float64).reshape(-1, 4)
    rows = rows[np.isfinite(rows).all(1)]
    rows = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    return rows[:, :3], rows[:, 3].astype(np.int64)


def _points_bin(path: Path) -> Iterator[tuple[float, ...]]:
    file = _Bytes(path)
    for _ in range(file.count(51)):
        _, x, y, z, *_, seen = file.numbers("Q3d3BdQ")
        file.skip(8 * seen)
        yield x, y, z, seen


# ---- text


def _rows(path: Path) -> list[list[str]]:
    """The words of each line that is no comment; of a line without words, none."""
    return [line.split() for line in text_of(path).splitlines() if not line.startswith("#")]


def _cameras_txt(path: Path) -> Iterator[tuple[int, dict]]:
    for words in filter(None, _rows(path.with_name("cameras.txt"))):
        yield int(words[0]), _camera(words[1], float(words[2]), float(words[3]), tuple(map(float, words[4:])))


def _images_txt(path: Path) -> Iterator[_Pose]:
    for words in _rows(path)[::2]:  # the lines between are the picture's points, and may be empty
        if words:
            numbers = tuple(map(float, words[1:8]))
            yield " ".join(words[9:]), int(words[8]), numbers[:4], numbers[4:]


def _points_txt(path: Path) -> Iterator[tuple[float, ...]]:
    for words in filter(None, _rows(path)):
        yield *map(float, words[1:4]), (len(words) - 8) // 2
