# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras adjusted to points and silhouettes together.

Sides of a thing that few points tie lie askew to each other, and points do not tell. Silhouettes do: each ray along the
border of one touches the thing, so somewhere on it all others must show the thing (coherence of silhouettes: Hernandez,
Schmitt and Cipolla 2007). Must not know colours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ...core.job import Job, Span
from ...core.view import PinholeCamera
from ..registration import Registration
from .bundle_adjustment import BundleAdjuster, Tracks
from .mapping import Observations, lens_camera
from .resection import MOST_PICTURES, hull_of

_ROUNDS, _STEPS = 3, 5
"""Points are matched again after each round, as better cameras find more of them. A mustard bottle's cameras were .78
degrees off (median; 5.0 the worst) and are .35, .30 and .22 (1.7, 1.1 and .9) after one, two and three rounds."""

_RAYS, _DEPTHS, _FINER = 60, 40, 11
"""Rays along each silhouette's border, places on each, and between two of these where all silhouettes agree best."""

_DOUBT, _WEIGHT = 0.3, 10.0
"""Pixels by which a silhouette's border is off, and how much more one of its rays counts than a point: of 1 and 10 the
same bottle's worst camera is .9 degrees off, of .3 and 10 .7, of .3 and 100 1.6."""

_ASKEW = 0.2
"""Pixels by which border rays miss what all silhouettes show, in the mean, from where on cameras are adjusted: less is
a border's own roughness, to which few cameras of small pictures bend. Of that bottle .6; of six small pictures of a box
on an arc .02, whose worst camera went from .7 to 2.2 degrees by it."""

_WORSE = 1.1
"""So many times larger the points' error may become, at most: what silhouettes ask for beyond that, they got wrong."""


def coherent(
    found: Registration, seen: Observations, silhouettes: Mapping[int, np.ndarray], job: Job | Span
) -> Registration:
    """The cameras adjusted so that silhouettes (h, w) bool, by the picture's number, are those of one thing; as they
    were where that makes nothing better, or there are too few silhouettes or too many pictures."""
    known = [number for number in found.pictures if number in silhouettes]
    if len(known) < 3 or len(found.pictures) > MOST_PICTURES:
        return found
    adjuster, best, first = BundleAdjuster(seen), found, None
    cameras = {number: lens.camera for number, lens in zip(found.pictures, found.lenses)}
    shapes = {number: _Silhouette.of(cameras[number], silhouettes[number]) for number in known}
    for number in range(_ROUNDS):
        said = adjuster.adjusted(best, number == 1, job.span(number / _ROUNDS, (number + 0.5) / _ROUNDS))
        hull = said and hull_of(said[0], silhouettes)
        if not hull or said[0].pictures != found.pictures:
            return found
        middle = hull.cells.mean(0).astype(np.float64)
        reach = 1.1 * float(np.linalg.norm(hull.cells - middle, axis=1).max())
        both = _Both.of(*said, seen, shapes, (middle, reach))
        first = first or both.errors()
        if first[1] < _ASKEW:
            return found
        for step in range(_STEPS):
            job.report((number + 0.5 + 0.5 * step / _STEPS) / _ROUNDS, "placing cameras", "fitting the outlines")
            both.step()
        best = both.registration()
    points, outlines = both.errors()
    return best if outlines < first[1] and points < _WORSE * first[0] else found


@dataclass(frozen=True, eq=False)
class _Silhouette:
    """One picture's. inside: (h, w) pixels to its border, negative outside, and the slopes of that down and to the
    right. border: (M, 2) float64, columns and rows of pixels along its border."""

    camera: PinholeCamera
    inside: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray]
    border: np.ndarray

    @classmethod
    def of(cls, camera: PinholeCamera, shape: np.ndarray) -> _Silhouette:
        inside = ndimage.distance_transform_edt(shape) - ndimage.distance_transform_edt(~shape)
        inside = (inside - np.where(shape, 0.5, -0.5)).astype(np.float32)
        border = shape & ~ndimage.binary_erosion(shape)
        border[[0, -1]] = border[:, [0, -1]] = False  # there the picture ends, and not the thing
        row, column = np.nonzero(border)
        around = np.argsort(np.arctan2(row - row.mean(), column - column.mean()), kind="stable") if len(row) else row
        chosen = around[np.linspace(0, len(row) - 1, min(_RAYS, len(row))).round().astype(int)]
        places = np.stack([column[chosen], row[chosen]], 1) + 0.5
        return cls(camera.scaled(shape.shape[1], shape.shape[0]), inside, tuple(np.gradient(inside)), places)

    def by(self, camera: PinholeCamera) -> _Silhouette:
        """The same seen by another camera."""
        return dataclasses.replace(self, camera=camera.scaled(self.inside.shape[1], self.inside.shape[0]))

    @property
    def rays(self) -> np.ndarray:
        """(M, 3) along its border, with 1 at last, in the camera's axes."""
        camera = self.camera
        across = (self.border - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
        return np.column_stack([across, np.ones(len(across))])

    def at(self, local: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
        """The values (h, w) at points (..., 3) in the camera's axes."""
        z = np.maximum(local[..., 2], 1e-6)
        u = local[..., 0] / z * self.camera.fx + self.camera.cx - 0.5
        v = local[..., 1] / z * self.camera.fy + self.camera.cy - 0.5
        place = [v.ravel(), u.ravel()]
        return [ndimage.map_coordinates(each, place, order=1, mode="nearest").reshape(z.shape) for each in values]

    def slope(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`inside` at points (M, 3) in the camera's axes, and its gradient (M, 3) there."""
        inside, down, right = self.at(local, self.inside, *self.slopes)
        x, y, z = local.T
        across, along = right * self.camera.fx / z, down * self.camera.fy / z
        return inside, np.stack([across, along, -(across * x + along * y) / z], 1)


class _Both:
    """Cameras and points, and what both kinds of evidence say of them: Gauss and Newton's method, points eliminated
    (Schur complement; Triggs and others 2000), both kinds weighted robustly."""

    def __init__(self, found: Registration, points: np.ndarray, sightings, silhouettes, space):
        self.found, self.points = found, points
        self.rotations, self.positions = found.rotations.copy(), found.positions.copy()
        self.camera_of, self.point_of, self.rays = sightings
        self.focal = np.array([lens.camera.fx for lens in found.lenses])[self.camera_of]
        self.silhouettes: dict[int, _Silhouette] = silhouettes
        self.space = space

    @classmethod
    def of(
        cls, found: Registration, tracks: Tracks, seen: Observations, shapes: Mapping[int, _Silhouette], space
    ) -> _Both:
        """shapes: by the picture's number. space: middle (3,) and reach of where the thing is."""
        parts = []
        for place, number in enumerate(found.pictures):
            shown = tracks.point_of[number]
            keypoints = np.flatnonzero(shown >= 0)
            rays = lens_camera(found.lenses[place], 1).cam_from_img(seen.features[number].keypoints[keypoints])
            parts.append((np.full(len(keypoints), place), shown[keypoints], np.asarray(rays).reshape(-1, 2)))
        known = {
            place: shapes[number].by(found.lenses[place].camera)
            for place, number in enumerate(found.pictures)
            if number in shapes
        }
        sightings = tuple(np.concatenate(values) for values in zip(*parts))
        return cls(found, tracks.positions.copy(), sightings, known, space)

    def registration(self) -> Registration:
        sightings = np.bincount(self.point_of, minlength=len(self.points))
        error = float(np.linalg.norm(self._missed()[0], axis=1).mean())
        moved = {"rotations": self.rotations, "positions": self.positions, "points": self.points}
        return dataclasses.replace(self.found, **moved, sightings=sightings, error=error)

    def errors(self) -> tuple[float, float]:
        """Mean pixels by which points miss their keypoints, robustly, and border rays what all silhouettes show."""
        missed = np.linalg.norm(self._missed()[0], axis=1)
        touched = np.concatenate([inside for _, inside, _ in self._contacts().values()])
        return float(np.minimum(missed, 4.0).mean()), float(np.minimum(-np.minimum(touched, 0.0), 8.0).mean())

    def step(self) -> None:
        """Moves all to where both kinds together say."""
        size = 6 * len(self.positions)
        matrix, right = np.zeros((size, size)), np.zeros(size)
        resolve = self._add_points(matrix, right)
        self._add_silhouettes(matrix, right)
        matrix[np.diag_indices(size)] += 1e-6 * matrix.diagonal() + 1e-9 * matrix.trace() / size
        moved = -np.linalg.solve(matrix, right).reshape(-1, 6)
        self.points = self.points + resolve(moved)
        self.rotations = Rotation.from_rotvec(moved[:, :3]).as_matrix() @ self.rotations
        self.positions = self.positions + moved[:, 3:]

    # ---- points

    def _missed(self) -> tuple[np.ndarray, np.ndarray]:
        """(S, 2) pixels by which each sighting is missed, and (S, 3) its point in the camera's axes."""
        away = self.points[self.point_of] - self.positions[self.camera_of]
        local = np.einsum("sij,sj->si", self.rotations[self.camera_of], away)
        depth = np.maximum(local[:, 2:], 1e-9)
        return self.focal[:, None] * (local[:, :2] / depth - self.rays), local

    def _add_points(self, matrix: np.ndarray, right: np.ndarray):
        """Adds what sightings say of cameras; gives the function that then moves the points."""
        missed, local = self._missed()
        weight = 1.0 / np.sqrt(1.0 + (missed**2).sum(1))
        slope = np.zeros((len(local), 2, 3))
        slope[:, 0, 0] = slope[:, 1, 1] = 1.0
        slope[:, :, 2] = -local[:, :2] / local[:, 2:]
        slope *= (self.focal / local[:, 2])[:, None, None]
        by_point = slope @ self.rotations[self.camera_of]
        by_camera = np.concatenate([np.cross(local[:, None], slope), -by_point], 2)
        weighted = by_point * weight[:, None, None]
        block, end = np.zeros((len(self.points), 3, 3)), np.zeros((len(self.points), 3))
        np.add.at(block, self.point_of, weighted.transpose(0, 2, 1) @ by_point)
        np.add.at(end, self.point_of, np.einsum("sak,sa->sk", weighted, missed))
        block += (1e-9 * np.trace(block, axis1=1, axis2=2) + 1e-12)[:, None, None] * np.eye(3)
        inverse, mixed = np.linalg.inv(block), by_camera.transpose(0, 2, 1) @ weighted
        own = by_camera.transpose(0, 2, 1) @ (by_camera * weight[:, None, None])
        ends = np.einsum("sak,sa->sk", by_camera * weight[:, None, None], missed)
        for place in range(len(self.positions)):
            here = self.camera_of == place
            matrix[_six(place), _six(place)] += own[here].sum(0)
            right[_six(place)] += ends[here].sum(0)
        for number, sightings in enumerate(_grouped(self.point_of, len(self.points))):
            rows = (6 * self.camera_of[sightings][:, None] + np.arange(6)).ravel()
            tall = mixed[sightings].reshape(-1, 3)
            matrix[np.ix_(rows, rows)] -= tall @ inverse[number] @ tall.T
            right[rows] -= tall @ inverse[number] @ end[number]

        def resolve(moved: np.ndarray) -> np.ndarray:
            total = end.copy()
            np.add.at(total, self.point_of, np.einsum("sij,si->sj", mixed, moved[self.camera_of]))
            return -np.einsum("pij,pj->pi", inverse, total)

        return resolve

    # ---- silhouettes

    def _contacts(self) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each silhouette's rays: the depth (M,) at which the others show the thing most surely, how many pixels
        inside of the one that does least that is, and which one that is."""
        return {place: self._contact(place) for place in self.silhouettes}

    def _contact(self, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        middle, reach = self.space
        rays = self.silhouettes[place].rays
        ahead = float(self.rotations[place][2] @ (middle - self.positions[place]))
        depths = np.tile(np.linspace(max(ahead - reach, 0.01 * ahead), ahead + reach, _DEPTHS), (len(rays), 1))
        between = np.linspace(-1.0, 1.0, _FINER) * (2.0 * reach / (_DEPTHS - 1))
        every = np.arange(len(rays))
        coarse, _ = self._least_inside(place, depths, rays)
        depths = depths[every, coarse.argmax(1), None] + between
        least, who = self._least_inside(place, depths, rays)
        best = least.argmax(1)
        return depths[every, best], least[every, best], who[every, best]

    def _least_inside(self, place: int, depths: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M, D) pixels inside of the other silhouette that shows a place least, and whose it is."""
        points = self.positions[place] + depths[..., None] * (rays @ self.rotations[place])[:, None]
        least, who = np.full(depths.shape, np.inf), np.zeros(depths.shape, int)
        for other, silhouette in self.silhouettes.items():
            if other != place:
                local = (points - self.positions[other]) @ self.rotations[other].T
                [inside] = silhouette.at(local, silhouette.inside)
                less = inside < least
                least[less], who[less] = inside[less], other
        return least, who

    def _add_silhouettes(self, matrix: np.ndarray, right: np.ndarray) -> None:
        """Adds what border rays say that touch nothing that all silhouettes show."""
        for place, (depth, inside, who) in self._contacts().items():
            for other in np.unique(who[inside < 0.0]):
                chosen = (who == other) & (inside < 0.0)
                self._add_rays(matrix, right, (place, other), depth[chosen, None], chosen)

    def _add_rays(self, matrix, right, ends: tuple[int, int], depth: np.ndarray, chosen: np.ndarray) -> None:
        place, other = ends
        rays = self.silhouettes[place].rays[chosen]
        points = self.positions[place] + depth * (rays @ self.rotations[place])
        local = (points - self.positions[other]) @ self.rotations[other].T
        off, slope = self.silhouettes[other].slope(local)
        by_point = slope @ self.rotations[other]
        in_own = by_point @ self.rotations[place].T
        jacobian = np.concatenate(
            [-depth * np.cross(rays, in_own), by_point, np.cross(local, slope), -by_point], axis=1
        )
        weighted = jacobian * (_WEIGHT / (_DOUBT**2 * (1.0 + np.abs(off) / _DOUBT)))[:, None]
        rows = np.r_[_six(place), _six(other)]
        matrix[np.ix_(rows, rows)] += weighted.T @ jacobian
        right[rows] += weighted.T @ off


def _six(place: int) -> slice:
    """Where a camera's turn, in its own axes, and its move, in the world's, stand among the unknowns."""
    return slice(6 * place, 6 * place + 6)


def _grouped(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """Where each of so many labels stands."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count)))
