# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pictures were registered, and with which cameras: what a cache keeps of several photos, without their pixels.

Must not know who found the cameras: a file, a calibration or a reconstruction.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace

import numpy as np

from ..core.view import PinholeCamera, View
from .lens import Lens

LEAST_POINTS = 40
"""Cameras that agree on fewer points agree by chance."""

LEAST_BASELINE = 0.04
"""The farthest cameras must be so far from each other, in distances from the scene, for it to have any depth: two
degrees. A person who turns in one place moves the camera by less."""

MOST_STRAYS = 0.2
"""Share of all cameras that may be wrong while the others are believed."""


@dataclass(frozen=True)
class Mask:
    """A file beside a list of cameras that says which pixels of a picture belong to the thing. turn: how the picture
    lies in its file (EXIF), if its mask lies so without saying it, else 1."""

    file: str
    turn: int = 1


@dataclass(frozen=True, eq=False)
class Registration:
    """N pictures and the cameras that took them, in a world of any axes and size.

    pictures: their numbers among the inputs' pictures, ascending, or their files as seen from the folder of a list of
    cameras. lenses: of the pictures' pixels, or as many times more or fewer. rotations: (N, 3, 3), positions: (N, 3),
    as in View. points: (P, 3) sparse ones on surfaces; sightings: (P,) int, in how many pictures each was found. error:
    mean reprojection error of the points in pixels, where they were reconstructed. axes_given: whether somebody chose
    the world, whose axes are kept where they are sensible. notes: sentences for the user. masks: one for each picture,
    or None where there is no file with it; () where there is for none. turns: of each picture, by how much it and its
    camera were turned from how both were listed: (2, 2), as in Lens; () where none was.
    """

    pictures: tuple[int, ...] | tuple[str, ...]
    lenses: tuple[Lens, ...]
    rotations: np.ndarray
    positions: np.ndarray
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    sightings: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    error: float = math.nan
    axes_given: bool = False
    notes: tuple[str, ...] = ()
    masks: tuple[Mask | None, ...] = ()
    turns: tuple[np.ndarray, ...] = ()

    def without(self, numbers: Collection[int]) -> Registration:
        """The same without some of the pictures' cameras."""
        kept = [place for place, number in enumerate(self.pictures) if number not in numbers]
        if len(kept) == len(self.pictures):
            return self
        chosen = {name: tuple(getattr(self, name)[place] for place in kept) for name in ("pictures", "lenses")}
        return replace(self, **chosen, rotations=self.rotations[kept], positions=self.positions[kept])

    def without_strays(self, strays: Collection[int]) -> Registration:
        """The same without cameras that seem wrong; with all where they are too many: then one does not know which are.
        Of fewer than five none is left out, as three are needed."""
        return self.without(strays) if len(strays) <= MOST_STRAYS * len(self.pictures) else self

    @property
    def worth(self) -> tuple[int, int]:
        """How good it is, to be compared: first how many pictures it registers."""
        return len(self.pictures), len(self.points)

    @property
    def focal(self) -> float:
        """Median focal length, in longer sides of the pictures."""
        cameras = [lens.camera for lens in self.lenses]
        return float(np.median([camera.fx / max(camera.width, camera.height) for camera in cameras]))

    @property
    def shows_depth(self) -> bool:
        """Whether the cameras are far enough from each other, and there are enough points, to mean something."""
        if len(self.points) < LEAST_POINTS:
            return False
        away = np.linalg.norm(np.median(self.points, axis=0) - self.positions, axis=1)
        apart = np.linalg.norm(self.positions[:, None] - self.positions[None], axis=-1).max()
        return bool(apart > LEAST_BASELINE * np.median(away))

    @property
    def views(self) -> list[View]:
        """Pinhole views of the cameras, without pictures."""
        poses = zip(self.lenses, self.rotations, self.positions)
        return [View(lens.camera, rotation, position) for lens, rotation, position in poses]

    @property
    def listed_rotations(self) -> np.ndarray:
        """(N, 3, 3): of the cameras before they were turned with their pictures. Whoever chose the world knew these."""
        if not self.turns:
            return self.rotations
        return np.stack([np.vstack([turn.T @ r[:2], r[2:]]) for turn, r in zip(self.turns, self.rotations)])

    def posed_as(self, views: Sequence[View]) -> Registration:
        """The same pictures where the `views` that became of them are, in those one's world, without points."""
        rotations, positions = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
        nothing = {"points": np.zeros((0, 3)), "sightings": np.zeros(0, np.int64)}
        return replace(self, rotations=rotations, positions=positions, **nothing)

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "pictures": np.array(self.pictures),
            "lenses": np.array([(*astuple(lens.camera), *_distortion(lens)) for lens in self.lenses], np.float64),
            "rotations": self.rotations,
            "positions": self.positions,
            "points": self.points,
            "sightings": self.sightings,
            "axes_given": np.array(self.axes_given),
            "registration_notes": np.array(self.notes, np.str_),
            "masks": np.array([mask.file if mask else "" for mask in self.masks], np.str_),
            "turns": np.array(self.turns, np.int64).reshape(-1, 2, 2),
            "mask_turns": np.array([mask.turn if mask else 1 for mask in self.masks], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Registration:
        return cls(
            tuple(arrays["pictures"].tolist()),
            tuple(_lens(*numbers) for numbers in arrays["lenses"].tolist()),
            arrays["rotations"],
            arrays["positions"],
            arrays["points"],
            arrays["sightings"],
            axes_given=bool(arrays["axes_given"]),
            notes=tuple(arrays["registration_notes"].tolist()),
            masks=tuple(_mask(*each) for each in zip(arrays["masks"].tolist(), arrays["mask_turns"].tolist())),
            turns=tuple(arrays["turns"]),
        )


def _mask(file: str, turn: int) -> Mask | None:
    return Mask(file, turn) if file else None


def _distortion(lens: Lens) -> tuple[float, ...]:
    return lens.k1, lens.k2, lens.p1, lens.p2, lens.k3, lens.k4, lens.fisheye


def _lens(width: float, height: float, fx: float, fy: float, cx: float, cy: float, *distortion: float) -> Lens:
    *terms, fisheye = distortion
    return Lens(PinholeCamera(int(width), int(height), fx, fy, cx, cy), *terms, bool(fisheye))
