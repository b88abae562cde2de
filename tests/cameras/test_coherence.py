# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that silhouettes and points tell together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import coherence
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from scipy.spatial.transform import Rotation

COUNT, HALF = 12, 6
VIEWS = [*scene.ring(HALF, 170, 25.0, 480), *scene.ring(HALF, 170, -20.0, 480)]
SPACE = np.zeros(3), 1.0


@pytest.fixture(scope="module")
def silhouettes() -> dict[int, np.ndarray]:
    shape = scene.painted_box()
    return {k: scene.photo(shape, view, "", alpha=True).alpha >= 128 for k, view in enumerate(VIEWS)}


def askew(degrees: float) -> tuple[list[View], np.ndarray, tuple[np.ndarray, ...]]:
    """The views, the second half of them turned about the thing with the points that they alone see; points of each
    half lie where no other half's do, so that they tell nothing of it."""
    dice = np.random.default_rng(0)
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.3, 0.9, 0.2])).as_matrix()
    points = dice.uniform(-0.3, 0.3, (120, 3))
    cameras, shown, rays = [], [], []
    for place, view in enumerate(VIEWS):
        own = np.arange(60) + 60 * (place >= HALF)
        local = (points[own] - view.position) @ view.rotation.T
        cameras.append(np.full(60, place))
        shown.append(own)
        rays.append(local[:, :2] / local[:, 2:])
    turned = [
        dataclasses.replace(view, rotation=view.rotation @ turn.T, position=turn @ view.position) if k >= HALF else view
        for k, view in enumerate(VIEWS)
    ]
    points[60:] = points[60:] @ turn.T
    return turned, points, (np.concatenate(cameras), np.concatenate(shown), np.concatenate(rays))


def both(silhouettes, degrees: float) -> coherence._Both:
    views, points, sightings = askew(degrees)
    poses = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
    found = Registration(tuple(range(COUNT)), tuple(Lens(v.camera) for v in views), *poses)
    known = {k: coherence._Silhouette.of(VIEWS[k].camera, shape) for k, shape in silhouettes.items()}
    return coherence._Both(found, points, sightings, known, SPACE)


def wrong(made: coherence._Both) -> float:
    return float(scene.rotation_errors(made.registration().views, VIEWS).max())


def test_halves_that_no_point_ties_are_laid_onto_each_other_by_their_silhouettes(silhouettes):
    made = both(silhouettes, 3.0)
    before, (points, outlines) = wrong(made), made.errors()
    for _ in range(12):
        made.step()
    assert before > 2.9 and wrong(made) < 1.0
    assert points < 1e-6 and made.errors()[0] < 0.4 and made.errors()[1] < 0.1 * outlines


def test_right_cameras_stay_where_they_are(silhouettes):
    made = both(silhouettes, 0.0)
    for _ in range(3):
        made.step()
    assert wrong(made) < 0.6


def test_slopes_are_those_of_the_distances(silhouettes):
    shape = coherence._Silhouette.of(VIEWS[0].camera, silhouettes[0])
    local = np.array([[0.1, 0.05, 2.0], [-0.4, 0.2, 2.5], [0.6, -0.5, 2.2]])
    _, slope = shape.slope(local)
    for axis in range(3):
        step = 0.002 * np.eye(3)[axis]
        [after], [before] = shape.at(local + step, shape.inside), shape.at(local - step, shape.inside)
        assert np.allclose((after - before) / 0.004, slope[:, axis], rtol=0.2, atol=20.0)


def test_too_few_silhouettes_or_too_many_pictures_change_nothing(silhouettes):
    found = both(silhouettes, 0.0).registration()
    few = {0: silhouettes[0], 1: silhouettes[1]}
    assert coherence.coherent(found, None, few, Job(lambda *_: None)) is found


def test_a_cancel_is_heard(silhouettes, monkeypatch):
    job, made = Job(lambda *_: None), both(silhouettes, 3.0)

    class Adjuster:
        def __init__(self, seen):
            pass

        def adjusted(self, found, rough, job):
            return found, None

    monkeypatch.setattr(coherence, "BundleAdjuster", Adjuster)
    monkeypatch.setattr(coherence._Both, "of", classmethod(lambda cls, *_: made))
    monkeypatch.setattr(coherence._Both, "step", lambda self: job.cancel())
    with pytest.raises(Cancelled):
        coherence.coherent(made.registration(), None, silhouettes, job)
