# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's incremental reconstruction, run so that it tells how far it is and stops when it should.

Must not know pictures' colours, nor what becomes of cameras. The library's native code lets other threads run and looks
at a token of its own; so it works in a thread here, while the job's thread waits, reports and passes a cancel on. A
killable process of its own would need the points of all pictures sent there and the answer back.

Its global reconstruction is not used: on the dino's 16 photos, without calibration, it registered all, across links
that were wrong by up to 150 degrees, where this one registers 9, each within about a degree.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ...core.errors import Cancelled
from ...core.job import Job, Span
from ...core.view import PinholeCamera
from ..lens import Lens
from ..registration import Registration
from .colmap import library
from .features import Features
from .two_view import TwoView

if TYPE_CHECKING:
    import pycolmap

T = TypeVar("T")

POLL = 0.1
"""Seconds between two looks whether the job should stop."""

_LEAST_HELD = 12  # points: a camera that sees fewer of the common ones is not held where it is
_LARGEST_ERROR = 2.0  # pixels of reprojection: sparse points that fit worse are left out
_LEAST_RESECTED = (
    20  # inliers of a new picture's pose; COLMAP's 30 are too many, fewer than LEAST_INLIERS change nothing
)


@dataclass(frozen=True, eq=False)
class CameraPrior:
    """What is assumed at the start. focal: in longer sides of the picture, for cameras that do not say theirs.
    distorted: whether the lens may have radial distortion."""

    focal: float
    distorted: bool


@dataclass(frozen=True, eq=False)
class CameraGroup:
    """Pictures of one camera with one zoom. members: their numbers. fov_degrees: across the longer side, or None."""

    width: int
    height: int
    fov_degrees: float | None
    members: tuple[int, ...]

    def camera(self, prior: CameraPrior, number: int) -> pycolmap.Camera:
        """The camera as it is assumed to be, with `number` as its identity."""
        pycolmap = library()
        side = max(self.width, self.height)
        given = None if self.fov_degrees is None else 0.5 / np.tan(np.radians(self.fov_degrees) / 2.0)
        focal = side * (given or prior.focal)
        camera = pycolmap.Camera.create_from_model_name(number, "SIMPLE_RADIAL", focal, self.width, self.height)
        camera.has_prior_focal_length = given is not None
        return camera


@dataclass(frozen=True, eq=False)
class Observations:
    """What pictures show in common. features: of each picture. matched: the pairs that show the same. compared: all
    pairs (first, second) that were looked at. threads: how many may be used."""

    groups: Sequence[CameraGroup]
    features: Sequence[Features]
    matched: Sequence[TwoView]
    compared: Sequence[tuple[int, int]]
    threads: int

    @cached_property
    def group_of(self) -> dict[int, int]:
        """By the picture's number, that of its group."""
        return {member: number for number, group in enumerate(self.groups) for member in group.members}


def mapped(seen: Observations, prior: CameraPrior, job: Job | Span) -> Registration | None:
    """The cameras of as many of the pictures as fit together, at least two of them, or None."""
    pycolmap = library()
    pycolmap.set_random_seed(0)
    registered, count = [0], len(seen.features)

    def another() -> None:
        registered[0] += 1

    def tell() -> None:
        done = min(registered[0] + 1, count) if registered[0] else 0
        job.report(done / count, "placing cameras", f"{done} of {count} pictures")

    with tempfile.TemporaryDirectory(prefix="image-to-3d-") as folder:
        database, token = Path(folder) / "pairs.db", pycolmap.CancellationToken()
        write_database(database, seen, seen.matched, prior)
        models = heard(lambda: _models(database, prior, seen.threads, another, token), token, tell)
    best = max(models, key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)
    return None if best is None else reconstruction_of(best)


def heard(work: Callable[[], T], token: pycolmap.CancellationToken, tell: Callable[[], None]) -> T:
    """What `work` gives, done in a thread. Meanwhile `tell` is called again and again; if it raises Cancelled, so does
    this, after the work has heard it by its token."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while True:
            try:
                tell()
            except Cancelled:
                token.cancel()
                raise
            with contextlib.suppress(NotYet):
                return running.result(POLL)


def _models(
    database: Path, prior: CameraPrior, threads: int, another: Callable[[], None], token: pycolmap.CancellationToken
) -> list[pycolmap.Reconstruction]:
    pycolmap = library()
    options = pycolmap.IncrementalPipelineOptions(
        num_threads=threads,
        random_seed=0,
        extract_colors=False,
        min_model_size=2,
        max_num_models=8,
        ba_refine_extra_params=prior.distorted,
    )
    options.mapper.abs_pose_refine_extra_params = prior.distorted
    options.mapper.random_seed = options.triangulation.random_seed = 0
    options.mapper.abs_pose_min_num_inliers = _LEAST_RESECTED
    models = pycolmap.incremental_mapping(
        database, database.parent, database.parent, options,
        initial_image_pair_callback=another, next_image_callback=another, cancellation_token=token,
    )  # fmt: skip
    return list(models.values())


def write_database(path: Path, seen: Observations, pairs: Sequence[TwoView], prior: CameraPrior) -> None:
    """COLMAP's database: what it would have found itself. Its numbers of pictures start at 1."""
    pycolmap = library()
    database = pycolmap.Database.open(path)
    for number, group in enumerate(seen.groups):
        camera, rig = group.camera(prior, number + 1), pycolmap.Rig()
        camera.camera_id = database.write_camera(camera)
        rig.add_ref_sensor(camera.sensor_id)
        rig.rig_id = database.write_rig(rig)
        for member in group.members:
            image, frame = pycolmap.Image(name=f"{member:06}", camera_id=camera.camera_id), pycolmap.Frame()
            image.image_id = member + 1
            database.write_image(image, True)
            frame.rig_id = rig.rig_id
            frame.add_data_id(image.data_id)
            frame.frame_id = image.image_id  # as of a model's images: by themselves they are numbered by group
            database.write_frame(frame, True)
            database.write_keypoints(image.image_id, seen.features[member].keypoints.astype(np.float32))
    for pair in pairs:
        database.write_matches(pair.first + 1, pair.second + 1, pair.geometry.inlier_matches)
        database.write_two_view_geometry(pair.first + 1, pair.second + 1, pair.geometry)
    database.close()


def reconstruction_of(model: pycolmap.Reconstruction) -> Registration | None:
    """The cameras of COLMAP's model, without those that hardly any point holds; None if fewer than two are left."""
    held = [image for image in map(model.image, model.reg_image_ids()) if image.num_points3D >= _LEAST_HELD]
    if len(held) < 2:
        return None
    images = sorted(held, key=lambda image: image.name)
    matrices = np.stack([image.cam_from_world().matrix() for image in images])
    rotations = matrices[:, :, :3]
    positions = -np.einsum("nji,nj->ni", rotations, matrices[:, :, 3])
    points = [point for point in model.points3D.values() if point.error <= _LARGEST_ERROR]
    where = np.array([point.xyz for point in points], np.float64).reshape(-1, 3)
    sightings = np.array([point.track.length() for point in points], np.int64)
    lenses = tuple(_lens(model.camera(image.camera_id)) for image in images)
    pictures = tuple(int(image.name) for image in images)
    error = float(model.compute_mean_reprojection_error())
    return Registration(pictures, lenses, rotations, positions, where, sightings, error)


def lens_camera(lens: Lens, number: int) -> pycolmap.Camera:
    """COLMAP's camera of a lens, with `number` as its identity."""
    pycolmap = library()
    pinhole = lens.camera
    camera = pycolmap.Camera.create_from_model_name(number, "SIMPLE_RADIAL", pinhole.fx, pinhole.width, pinhole.height)
    camera.params = [pinhole.fx, pinhole.cx, pinhole.cy, lens.k1]
    return camera


def _lens(camera: pycolmap.Camera) -> Lens:
    focal, cx, cy, k1 = map(float, camera.params)
    return Lens(PinholeCamera(camera.width, camera.height, focal, focal, cx, cy), k1)
