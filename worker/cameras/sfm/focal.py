# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure focal lengths are: against what the pictures' EXIF says, and against longer and shorter ones.

A wrong focal length makes things deeper or flatter than they are. Pictures tell it by how much worse all cameras and
points fit, adjusted together, to one that is longer or shorter: hardly, where a thing is small, far away, or shown from
few sides. Must not know colours, nor how cameras were found.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.job import Job, Span
from ..registration import Registration
from .bundle_adjustment import adjust, triangulated
from .colmap import library
from .mapping import CameraPrior, Observations, heard, write_database

if TYPE_CHECKING:
    import pycolmap

AROUND = 0.1
"""By so much longer and shorter focal lengths are tried."""

LEAST_GROWTH = 0.015
"""The points' mean reprojection error has to grow by this share, in the mean of a longer and a shorter focal length.

Set on 41 sets and parts of sets whose focal length is known (tests/bench/focal.py): of the four that were wrong by
more than 5 % it grew by .006 to .014; of the 37 others by more than .015, but for six with four to six placed pictures,
which are told of although they were wrong by 1 to 4 % only. With .02 eight right ones are told of, with .01 two of the
wrong ones are not."""

_OTHER_THAN_EXIF = 0.1  # relative: EXIF is rounded to a millimetre of 24 or so, and a crop changes more


def focal_doubts(found: Registration, seen: Observations, job: Job | Span) -> list[str]:
    """Sentences on focal lengths that may be wrong: other than EXIF's, or fitting hardly better than others do."""
    if all(group.fov_degrees for group in seen.groups):
        return _other_than_exif(found, seen)
    if growth(found, seen, job) >= LEAST_GROWTH:
        return []
    tried = [_degrees(found.focal * (1.0 + by)) for by in (0.0, AROUND, -AROUND)]
    return [
        "the photos do not tell their field of view well: {:.0f} degrees are taken, but {:.0f} or {:.0f} fit nearly as "
        "well, and things come out flatter or deeper with it: take more photos, from nearer and farther around, or use "
        "the files as the camera wrote them, as EXIF tells it".format(*tried)
    ]


def _other_than_exif(found: Registration, seen: Observations) -> list[str]:
    for number, lens in zip(found.pictures, found.lenses):
        told = seen.groups[seen.group_of[number]].fov_degrees
        focal = lens.camera.fx / max(lens.camera.width, lens.camera.height)
        if abs(math.log(focal * 2.0 * math.tan(math.radians(told) / 2.0))) > _OTHER_THAN_EXIF:
            return [
                f"the photos fit together with a field of view of {_degrees(focal):.0f} degrees, while their EXIF says "
                f"{told:.0f}: if they were cut to a part, or zoomed by software, remove their EXIF"
            ]
    return []


def growth(found: Registration, seen: Observations, job: Job | Span) -> float:
    """By which share the mean reprojection error grows where the focal length is longer or shorter, in the mean of
    both, with all else adjusted to it; 0 where no point is left to tell."""
    token = library().CancellationToken()
    with tempfile.TemporaryDirectory(prefix="image-to-3d-") as folder:
        database = Path(folder) / "pairs.db"
        among = set(found.pictures)
        pairs = [pair for pair in seen.matched if pair.first in among and pair.second in among]
        write_database(database, seen, pairs, CameraPrior(found.focal, False))
        return heard(
            lambda: _growth(triangulated(seen, found, database, (False, False), token), seen.threads),
            token,
            lambda: job.report(0.0, "checking", "the focal length"),
        )


def _growth(model: pycolmap.Reconstruction, threads: int) -> float:
    if not model.num_points3D():
        return 0.0
    adjust(model, (True, False), threads)
    usual, others = _error(model), []
    for factor in (1.0 - AROUND, 1.0 + AROUND):
        other = _with_focal(model, factor)
        adjust(other, (False, False), threads)
        others.append(min(_error(other), 2.0 * usual))  # whatever cannot be adjusted at all
    return float(np.mean(others)) / max(usual, 1e-9) - 1.0


def _with_focal(model: pycolmap.Reconstruction, factor: float) -> pycolmap.Reconstruction:
    """The model with longer focal lengths, and cameras farther away that see the points' middle as large as before."""
    pycolmap = library()
    other = pycolmap.Reconstruction(model)
    middle = np.median([point.xyz for point in other.points3D.values()], axis=0)
    for camera in other.cameras.values():
        focal, *rest = camera.params
        camera.params = [focal * factor, *rest]
    for image in map(other.image, other.reg_image_ids()):
        pose = image.cam_from_world()
        rotation = pose.rotation.matrix()
        position = middle + factor * (-rotation.T @ pose.translation - middle)
        image.frame.set_cam_from_world(image.camera_id, pycolmap.Rigid3d(pose.rotation, -rotation @ position))
    return other


def _error(model: pycolmap.Reconstruction) -> float:
    """Mean reprojection error in pixels of all that is seen."""
    errors, seen = np.array([(point.error, point.track.length()) for point in model.points3D.values()]).T
    return float(np.average(errors, weights=seen))


def _degrees(focal: float) -> float:
    """The field of view across the longer side, of a focal length in longer sides."""
    return math.degrees(2.0 * math.atan(0.5 / focal))
