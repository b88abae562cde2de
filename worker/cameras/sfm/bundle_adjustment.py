# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures with known cameras are matched along epipolar lines, their points triangulated and all adjusted together.

Must not know colours or silhouettes. COLMAP's library triangulates and adjusts (Triggs and others 2000).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.job import Job, Span
from ..registration import Registration
from .colmap import library
from .epipolar import MAX_ERROR, EpipolarGeometry, epipolar_matches
from .features import Features
from .mapping import CameraPrior, Observations, heard, lens_camera, reconstruction_of, write_database
from .matching import matches
from .two_view import TwoView

if TYPE_CHECKING:
    import pycolmap

_LEAST_COSINE = 0.1  # between two cameras' directions, under which their pictures have no point in common
_LEAST_MATCHES = 6  # of a pair, under which they are chance
_MATCHED, _ADJUSTING = 0.7, ("placing cameras", "adjusting all together")  # share of the time until then
_ITERATIONS = 25  # of the adjustment
_FIRM = 8  # fewer cameras fit a wrong focal length nearly as well: it stays as it is


@dataclass(frozen=True, eq=False)
class Tracks:
    """Points and who shows them.

    positions: (P, 3). point_of: for each registered picture, (N,) int, the point that each of its keypoints shows, or
    -1.
    """

    positions: np.ndarray
    point_of: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class BundleAdjuster:
    """Matches pictures and adjusts their cameras; remembers which of them it has matched."""

    seen: Observations
    _matches: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    _epipolar: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def matches(self, first: int, second: int) -> np.ndarray:
        """(M, 2) int: which keypoints of both pictures are the same, whatever their cameras."""
        if first > second:
            return self.matches(second, first)[:, ::-1]
        if (first, second) not in self._matches:
            self._matches[first, second] = matches(self.seen.features[first], self.seen.features[second]).astype(
                np.intp
            )
        return self._matches[first, second]

    def adjusted(self, found: Registration, rough: bool, job: Job | Span) -> tuple[Registration, Tracks] | None:
        """The cameras adjusted to all that their pictures have in common, and that; None where nothing is left.

        rough: whether some cameras were found just now and may miss by several pixels.
        """
        pycolmap = library()
        limit = MAX_ERROR[0 if rough else 1]
        pairs = [pair for i, j in self._facing(found, job) if (pair := self._pair(i, j, found, limit)) is not None]
        token = pycolmap.CancellationToken()
        with tempfile.TemporaryDirectory(prefix="image-to-3d-") as folder:
            database = Path(folder) / "pairs.db"
            write_database(database, self.seen, pairs, CameraPrior(found.focal, False))
            model = heard(lambda: self._model(found, database, token), token, lambda: job.report(_MATCHED, *_ADJUSTING))
        better = reconstruction_of(model)
        return None if better is None else (better, _tracks_of(model, self.seen.features))

    def _facing(self, found: Registration, job: Job | Span) -> Iterator[tuple[int, int]]:
        """The places in `found.pictures` of two that may show the same; it tells how many were matched."""
        ahead = found.rotations[:, 2]
        ends = np.argwhere(np.triu(ahead @ ahead.T > _LEAST_COSINE, 1)).tolist()
        for number, (i, j) in enumerate(ends):
            job.report(_MATCHED * number / len(ends), "placing cameras", f"pair {number + 1} of {len(ends)}")
            yield i, j

    def _pair(self, first: int, second: int, found: Registration, limit: float) -> TwoView | None:
        """first, second: places in `found.pictures`. limit: of the epipolar error, in pixels of 1000."""
        pycolmap = library()
        ends = found.pictures[first], found.pictures[second]
        lines = EpipolarGeometry.between(found, first, second, self.seen.features)
        if ends not in self._epipolar:
            self._epipolar[ends] = epipolar_matches(lines, self.seen.features[ends[0]], self.seen.features[ends[1]])
        chosen = self._epipolar[ends]
        chosen = chosen[lines.errors(chosen) < limit * lines.pixel]
        if len(chosen) < _LEAST_MATCHES:
            return None
        geometry = pycolmap.TwoViewGeometry()
        geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
        geometry.inlier_matches = chosen.astype(np.uint32)
        return TwoView(*ends, geometry, False, 0.0)

    def _model(self, found: Registration, database: Path, token: pycolmap.CancellationToken) -> pycolmap.Reconstruction:
        distorted, firm = any(lens.k1 for lens in found.lenses), len(found.pictures) >= _FIRM
        model = triangulated(self.seen, found, database, (firm, distorted), token)
        adjust(model, (firm, distorted), self.seen.threads)
        return model


def triangulated(
    seen: Observations,
    found: Registration,
    database: Path,
    refined: tuple[bool, bool],
    token: pycolmap.CancellationToken,
) -> pycolmap.Reconstruction:
    """COLMAP's model of the cameras with the points of the pairs in the database. refined: whether focal lengths are,
    and lens distortion."""
    pycolmap = library()
    options = pycolmap.IncrementalPipelineOptions(num_threads=seen.threads, random_seed=0, extract_colors=False)
    options.triangulation.random_seed = options.mapper.random_seed = 0
    options.ba_refine_focal_length, options.ba_refine_extra_params = refined
    cameras = _cameras(seen, found)
    return pycolmap.triangulate_points(cameras, database, database.parent, database.parent, True, options, False, token)


def adjust(model: pycolmap.Reconstruction, refined: tuple[bool, bool], threads: int) -> None:
    """Adjusts all of COLMAP's model together, robustly. refined: as above."""
    pycolmap = library()
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.refine_focal_length, options.refine_extra_params = refined
    options.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
    options.ceres.solver_options.num_threads = threads
    options.ceres.solver_options.max_num_iterations = _ITERATIONS
    everything = pycolmap.BundleAdjustmentConfig()
    for number in model.reg_image_ids():
        everything.add_image(number)
    everything.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, everything, model).solve()
    model.update_point_3d_errors()


def _cameras(seen: Observations, found: Registration) -> pycolmap.Reconstruction:
    """COLMAP's model of the cameras alone, with the numbers that `write_database` gives."""
    pycolmap = library()
    model, written = pycolmap.Reconstruction(), set()
    for number, lens, rotation, position in zip(found.pictures, found.lenses, found.rotations, found.positions):
        camera = lens_camera(lens, seen.group_of[number] + 1)
        if camera.camera_id not in written:
            written.add(camera.camera_id)
            model.add_camera_with_trivial_rig(camera)
        image = pycolmap.Image(name=f"{number:06}", camera_id=camera.camera_id, image_id=number + 1)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(at) for at in seen.features[number].keypoints])
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ position)
        model.add_image_with_trivial_frame(image, pose)
    return model


def _tracks_of(model: pycolmap.Reconstruction, features: Sequence[Features]) -> Tracks:
    order = {point: number for number, point in enumerate(model.point3D_ids())}
    positions = np.array([model.point3D(point).xyz for point in order], np.float64).reshape(-1, 3)
    picture_of = {number: int(image.name) for number, image in model.images.items()}
    point_of = {picture: np.full(len(features[picture].keypoints), -1) for picture in picture_of.values()}
    for point, number in order.items():
        for element in model.point3D(point).track.elements:
            point_of[picture_of[element.image_id]][element.point2D_idx] = number
    return Tracks(positions, point_of)
