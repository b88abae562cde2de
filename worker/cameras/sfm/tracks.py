# SPDX-License-Identifier: GPL-3.0-or-later
"""What pictures with known cameras show alike: matched along epipolar lines, and adjusted together with the cameras.

Must not know colours or outlines. Knowing the cameras, a point's match lies on a line, so many more are sure than among
all points of a picture. COLMAP's library triangulates them and adjusts all (Triggs and others 2000).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.job import Job, Span
from .features import Features, clear_pairs, matches
from .mapping import CameraGroup, Guess, Solution, heard, lens_camera, solution_of, write_database
from .pairs import Pair

if TYPE_CHECKING:
    import pycolmap

_MOST = 2500  # of a picture's largest points are looked for along lines
_NEAR = 0.1  # cosine between two cameras' directions, under which their pictures have no point in common
_RATIO = 0.85  # a match must be better than the next best on its line by this
_LARGEST_ANGLE = 0.8  # radians between descriptors of a match
_LEAST = 6  # matches of a pair, under which they are chance
_OFF, _OFF_AT_LAST = 6.0, 3.0  # pixels of 1000 from its line: of a match while cameras are rough, and after that
_STEPS = 25  # of the adjustment
_FIRM = 8  # fewer cameras fit a wrong focal length nearly as well


@dataclass(frozen=True, eq=False)
class Tracks:
    """Points and who shows them.

    places: (P, 3). shown: for each picture with a camera, (N,) int, the point that each of its features shows, or -1.
    """

    places: np.ndarray
    shown: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Tracker:
    """Finds the tracks of pictures; remembers which of them it has compared."""

    groups: Sequence[CameraGroup]
    features: Sequence[Features]
    threads: int
    _alike: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    _along: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    @cached_property
    def group_of(self) -> dict[int, int]:
        return {member: number for number, group in enumerate(self.groups) for member in group.members}

    def alike(self, first: int, second: int) -> np.ndarray:
        """(M, 2) int: which features of both pictures are the same, whatever their cameras."""
        if first > second:
            return self.alike(second, first)[:, ::-1]
        if (first, second) not in self._alike:
            self._alike[first, second] = matches(self.features[first], self.features[second]).astype(np.intp)
        return self._alike[first, second]

    def tracked(self, found: Solution, rough: bool, job: Job | Span) -> tuple[Solution, Tracks] | None:
        """The solution adjusted to all that its pictures have in common, and that; None where nothing is left.

        rough: whether some cameras were placed just now and may miss by several pixels.
        """
        limit = _OFF if rough else _OFF_AT_LAST
        pairs = [self._pair(*ends, found, limit) for ends in self._neighbours(found, job)]
        return self._adjusted(found, [pair for pair in pairs if pair is not None], job)

    def _neighbours(self, found: Solution, job: Job | Span) -> list[tuple[int, int]]:
        """Places in `found.numbers` of pictures that may show the same."""
        job.check()
        ahead = found.rotations[:, 2]
        first, second = np.nonzero(np.triu(ahead @ ahead.T > _NEAR, 1))
        return list(zip(first.tolist(), second.tolist()))

    def _pair(self, first: int, second: int, found: Solution, limit: float) -> Pair | None:
        import pycolmap

        ends = found.numbers[first], found.numbers[second]
        lines = _Epipolar.between(found, first, second, self.features)
        if ends not in self._along:
            self._along[ends] = _along(lines, self.features[ends[0]], self.features[ends[1]])
        chosen = self._along[ends]
        chosen = chosen[lines.missed(chosen) < limit * lines.pixel]
        if len(chosen) < _LEAST:
            return None
        geometry = pycolmap.TwoViewGeometry()
        geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
        geometry.inlier_matches = chosen.astype(np.uint32)
        return Pair(*ends, geometry, False, 0.0)

    def _adjusted(self, found: Solution, pairs: Sequence[Pair], job: Job | Span) -> tuple[Solution, Tracks] | None:
        import pycolmap

        token = pycolmap.CancellationToken()
        with tempfile.TemporaryDirectory(prefix="image-to-3d-") as folder:
            database = Path(folder) / "pairs.db"
            write_database(database, self.groups, self.features, pairs, Guess(found.focal, False))
            model = heard(lambda: self._model(found, database, token), token, job.check)
        solution = solution_of(model)
        return None if solution is None else (solution, _tracks_of(model, self.features))

    def _model(self, found: Solution, database: Path, token: pycolmap.CancellationToken) -> pycolmap.Reconstruction:
        import pycolmap

        mapping = pycolmap.IncrementalPipelineOptions(num_threads=self.threads, random_seed=0, extract_colors=False)
        mapping.triangulation.random_seed = mapping.mapper.random_seed = 0
        bends = any(lens.k1 for lens in found.lenses)
        mapping.ba_refine_extra_params = bends
        mapping.ba_refine_focal_length = len(found.numbers) >= _FIRM
        model = pycolmap.triangulate_points(
            self._cameras(found), database, database.parent, database.parent, True, mapping, False, token
        )
        adjusting = pycolmap.BundleAdjustmentOptions(print_summary=False, refine_extra_params=bends)
        adjusting.refine_focal_length = len(found.numbers) >= _FIRM
        adjusting.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
        adjusting.ceres.solver_options.num_threads = self.threads
        adjusting.ceres.solver_options.max_num_iterations = _STEPS
        everything = pycolmap.BundleAdjustmentConfig()
        for number in model.reg_image_ids():
            everything.add_image(number)
        everything.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        pycolmap.create_default_bundle_adjuster(adjusting, everything, model).solve()
        model.update_point_3d_errors()
        return model

    def _cameras(self, found: Solution) -> pycolmap.Reconstruction:
        """COLMAP's model of the cameras alone, with the numbers that `write_database` gives."""
        import pycolmap

        model, known = pycolmap.Reconstruction(), set()
        for number, lens, rotation, position in zip(found.numbers, found.lenses, found.rotations, found.positions):
            camera = lens_camera(lens, self.group_of[number] + 1)
            if camera.camera_id not in known:
                known.add(camera.camera_id)
                model.add_camera_with_trivial_rig(camera)
            image = pycolmap.Image(name=f"{number:06}", camera_id=camera.camera_id, image_id=number + 1)
            image.points2D = pycolmap.Point2DList([pycolmap.Point2D(place) for place in self.features[number].places])
            pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ position)
            model.add_image_with_trivial_frame(image, pose)
        return model


@dataclass(frozen=True, eq=False)
class _Epipolar:
    """Where points of one picture lie in another. rays: of both pictures' features, (N, 3) with 1 at last. matrix: the
    essential matrix, (3, 3). pixel: a thousandth of the second picture's longer side, in rays."""

    rays: tuple[np.ndarray, np.ndarray]
    matrix: np.ndarray
    pixel: float

    @classmethod
    def between(cls, found: Solution, first: int, second: int, features: Sequence[Features]) -> _Epipolar:
        rays = []
        for end in (first, second):
            places = lens_camera(found.lenses[end], 1).cam_from_img(features[found.numbers[end]].places)
            rays.append(np.column_stack([places, np.ones(len(places))]))
        x, y, z = found.rotations[second] @ (found.positions[first] - found.positions[second])
        across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        camera = found.lenses[second].camera
        pixel = max(1.0, max(camera.width, camera.height) / 1000.0) / camera.fx
        return cls((rays[0], rays[1]), across @ found.rotations[second] @ found.rotations[first].T, pixel)

    def missed(self, chosen: np.ndarray) -> np.ndarray:
        """(M,) by how much matches (M, 2) miss their lines, the larger of both pictures' distances, in rays."""
        first, second = self.rays[0][chosen[:, 0]], self.rays[1][chosen[:, 1]]
        there, back = first @ self.matrix.T, second @ self.matrix
        off = np.abs((there * second).sum(1))
        return off / np.minimum(_norm(there), _norm(back))

    def away(self, most: int) -> np.ndarray:
        """(N, M) the same for each of the first `most` features of both pictures with each."""
        first, second = self.rays[0][:most], self.rays[1][:most]
        there, back = first @ self.matrix.T, second @ self.matrix
        off = np.abs(there @ second.T)
        return off / np.minimum(_norm(there)[:, None], _norm(back)[None])


def _norm(lines: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(lines[:, 0], lines[:, 1]), 1e-12)


def _along(lines: _Epipolar, first: Features, second: Features) -> np.ndarray:
    """(M, 2) int: features that are each other's best on their lines, and clearly so."""
    if min(len(first.places), len(second.places)) < 2:
        return np.zeros((0, 2), np.intp)
    likeness = first.directions[:_MOST] @ second.directions[:_MOST].T
    likeness[lines.away(_MOST) > _OFF * lines.pixel] = -1.0
    return clear_pairs(likeness, _LARGEST_ANGLE, _RATIO)


def _tracks_of(model: pycolmap.Reconstruction, features: Sequence[Features]) -> Tracks:
    order = {point: number for number, point in enumerate(model.point3D_ids())}
    places = np.array([model.point3D(point).xyz for point in order], np.float64).reshape(-1, 3)
    shown = {int(image.name): np.full(len(features[int(image.name)].places), -1) for image in model.images.values()}
    names = {number: int(image.name) for number, image in model.images.items()}
    for point, number in order.items():
        for element in model.point3D(point).track.elements:
            shown[names[element.image_id]][element.point2D_idx] = number
    return Tracks(places, shown)
