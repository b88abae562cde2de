# SPDX-License-Identifier: GPL-3.0-or-later
"""What pairs of pictures say of cameras, and when they are believed more than the cameras. Each tuned number is held
from both sides: a grossly smaller or larger one fails here."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.tests.cameras import synthetic
from image_to_3d.tests.cameras.test_symmetry import COUNT, TRUE, printed_twice
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import symmetry
from image_to_3d.worker.cameras.sfm.features import Features
from image_to_3d.worker.cameras.sfm.symmetry import _agreeing, _astray, symmetry_checked
from image_to_3d.worker.cameras.sfm.view_graph import ViewGraph, likeness_of, view_graph
from scipy.spatial.transform import Rotation

pytest.importorskip("pycolmap", reason="cameras are found with COLMAP's library, which is not in this environment")


def turn(degrees: float, axis: str = "y") -> np.ndarray:
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


@pytest.mark.parametrize("degrees, contradicts", [(6.0, False), (20.0, True), (90.0, True)])
def test_a_pair_contradicts_cameras_that_are_turned_otherwise_by_more_than_some_degrees(degrees, contradicts):
    graph = ViewGraph(
        2, np.array([0]), np.array([1]), turn(degrees)[None], np.array([50.0]), np.array([[0, 1]]), np.ones(1)
    )
    assert graph.contradicted(np.stack([np.eye(3)] * 2)) == float(contradicts)
    pairs = [SimpleNamespace(first=0, second=1)]
    assert _agreeing(pairs, graph, np.arange(2), np.stack([np.eye(3)] * 2)) == ([] if contradicts else pairs)


@pytest.mark.parametrize("degrees, is_astray", [(10.0, False), (35.0, True)])
def test_a_camera_is_astray_that_is_turned_otherwise_by_more_than_its_neighbours_would(degrees, is_astray):
    rotations = TRUE[:6].copy()
    rotations[2] = turn(degrees, "z") @ rotations[2]
    found = Registration(tuple(range(6)), (), rotations, np.zeros((6, 3)))
    assert _astray(found, np.arange(COUNT), TRUE) == ({2} if is_astray else set())


def matched(common: int, stray: float, wrong: int) -> synthetic.Observations:
    """Two pictures with `common` right matches and as many that miss their line by `stray` pixels, `wrong` others."""
    views, points = synthetic.ring(2, 60.0), synthetic.cloud(2 * common)
    both = [synthetic.seen(view, points) for view in views]
    both[1][common:, 1] += stray
    dice = np.random.default_rng(0)
    both = [np.concatenate([each, dice.uniform(200, 800, (wrong, 2))]) for each in both]
    features = [Features(each, synthetic.looks(len(each))) for each in both]
    inliers = np.repeat(np.arange(len(both[0]))[:, None], 2, 1).astype(np.uint32)
    pair = SimpleNamespace(first=0, second=1, geometry=SimpleNamespace(inlier_matches=inliers))
    return synthetic.observations(features, [pair])


@pytest.mark.parametrize("stray, counted", [(0.5, 100), (12.0, 50)])
def test_pairs_are_measured_anew_without_matches_that_miss_their_line(stray, counted):
    seen = matched(50, stray, 60)
    focal = synthetic.ring(1)[0].camera.fx
    graph = view_graph(seen, [(focal, 1000, 1000)] * 2, synthetic.job())
    assert graph.counts[0] == pytest.approx(counted, abs=12)
    first, second = (view.rotation for view in synthetic.ring(2, 60.0))
    assert synthetic.degrees(graph.turns[0], second @ first.T) < 2.0


def test_how_alike_pictures_are_is_told_by_a_pictures_best_few_partners_not_by_one_twin():
    ends = np.array([(i, j) for i in range(12) for j in range(i + 1, 12)])
    common = np.zeros((12, 12))
    for i in range(12):
        for step, count in ((1, 200.0), (2, 80.0)):
            common[i, (i + step) % 12] = common[(i + step) % 12, i] = count
    likeness = dict(zip(map(tuple, ends.tolist()), likeness_of(common, ends)))
    assert 0.9 < likeness[0, 1] < 1.3 and likeness[0, 6] == 0.0
    common[0, 6] = common[6, 0] = 2000.0  # nearly the same picture once more
    likeness = dict(zip(map(tuple, ends.tolist()), likeness_of(common, ends)))
    assert likeness[0, 1] > 0.65


def checked(monkeypatch, graph: ViewGraph, found: np.ndarray, numbers=range(COUNT), pictures: int = COUNT, **more):
    """What `symmetry_checked` gives for cameras with rotations, and whether it looked for others."""
    looked = []
    monkeypatch.setattr(symmetry, "view_graph", lambda *_: looked.append("graph") or graph)
    monkeypatch.setattr(symmetry, "mapped", lambda *_: looked.append("mapped") or more.get("other"))
    cameras = Registration(tuple(numbers), (), found, np.zeros((len(found), 3)), None, 0.5)
    monkeypatch.setattr(symmetry, "_intrinsics", lambda *_: [])
    monkeypatch.setattr(Registration, "focal", property(lambda self: 1.2))
    pairs = [SimpleNamespace(first=int(i), second=int(j)) for i, j in zip(graph.first, graph.second)]
    seen = synthetic.observations([None] * pictures, pairs)
    return *symmetry_checked(cameras, seen, synthetic.job()), looked


def with_twins(share: float) -> ViewGraph:
    """A ring in which such a share of all matches is of the other side."""
    graph = printed_twice()
    wrong = graph.misses(TRUE) > 30.0
    own = graph.counts[~wrong].sum()
    counts = np.where(wrong, graph.counts / graph.counts[wrong].sum() * own * share / (1.0 - share), graph.counts)
    return dataclasses.replace(graph, counts=counts)


@pytest.mark.parametrize("share, is_looked_into", [(0.03, False), (0.2, True)])
def test_some_contradictions_are_looked_into(monkeypatch, share, is_looked_into):
    _, _, looked = checked(monkeypatch, with_twins(share), TRUE)
    assert ("mapped" in looked) is is_looked_into


@pytest.mark.parametrize("count, is_looked_into", [(100, True), (250, False)])
def test_contradictions_of_very_many_pictures_are_not_looked_into(monkeypatch, count, is_looked_into):
    _, notes, looked = checked(monkeypatch, with_twins(0.2), TRUE, pictures=count)
    assert bool(looked) is is_looked_into and not notes


def folded(count: int = COUNT // 2) -> np.ndarray:
    """The cameras of the back laid onto those of the front."""
    return np.concatenate([TRUE[:count], TRUE[:count]])


def test_right_cameras_that_shake_a_little_are_not_doubted(monkeypatch):
    dice = np.random.default_rng(0)
    shaken = np.stack([Rotation.from_rotvec(dice.normal(0, 0.05, 3)).as_matrix() @ each for each in TRUE])
    assert checked(monkeypatch, with_twins(0.2), shaken)[1] == []
    askew = TRUE.copy()  # two that contradict their own weak pair, and no other
    askew[0], askew[2] = turn(8.0) @ askew[0], turn(-8.0) @ askew[2]
    assert checked(monkeypatch, with_twins(0.2), askew)[1] == []


def test_folded_cameras_are_doubted_and_replaced_where_better_ones_are_found(monkeypatch):
    _, notes, looked = checked(monkeypatch, with_twins(0.2), folded())
    assert "mapped" in looked and len(notes) == 1 and "looks alike from several sides" in notes[0]

    better = Registration(tuple(range(COUNT)), (), TRUE, np.zeros((COUNT, 3)))
    monkeypatch.setattr(Registration, "shows_depth", True)
    found, notes, _ = checked(monkeypatch, with_twins(0.2), folded(), other=better)
    assert found is better and notes == []
