# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.sfm.mapping import Reconstruction
from image_to_3d.worker.cameras.sfm.rotation_search import largest_component, searched
from image_to_3d.worker.cameras.sfm.symmetry import _astray
from image_to_3d.worker.cameras.sfm.view_graph import TOLERANCE, ViewGraph
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from scipy.spatial.transform import Rotation

COUNT = 16
TRUE = np.stack([view.rotation for view in scene.ring(COUNT, 360, 20.0, 64)])


def job() -> Job:
    return Job(lambda *_: None)


def printed_twice() -> ViewGraph:
    """A ring around a thing with the same print in front and at the back: each picture matches its neighbours well, and
    less well those of the other side, as if they were taken from the same one."""
    links = []
    for i in range(COUNT):
        links += [(i, (i + 1) % COUNT, 200.0, i + 1), (i, (i + 2) % COUNT, 80.0, i + 2)]
        if i < COUNT // 2:
            links += [(i, i + 8, 70.0, i), (i, (i + 9) % COUNT, 60.0, i + 1)]
    ends = [(min(i, j), max(i, j), count, (i, seen % COUNT), i < j) for i, j, count, seen in links]
    turns = [TRUE[b] @ TRUE[a].T if rising else (TRUE[b] @ TRUE[a].T).T for *_, (a, b), rising in ends]
    counts = np.array([count for _, _, count, *_ in ends])
    pairs = [(i, j) for i in range(COUNT) for j in range(i + 1, COUNT)]
    known = {(i, j): count / 200.0 for i, j, count, *_ in ends}
    likeness = np.sqrt([known.get(pair, 0.0) for pair in pairs])
    first, second = np.array([link[:2] for link in ends]).T
    return ViewGraph(COUNT, first, second, np.array(turns), counts, np.array(pairs), likeness)


def turned_from(rotations: np.ndarray) -> np.ndarray:
    """(N,) degrees from the truth, in the first camera's axes."""
    difference = np.einsum("nab,ncb->nac", rotations @ rotations[0].T, TRUE[: len(rotations)] @ TRUE[0].T)
    return np.degrees(Rotation.from_matrix(difference).magnitude())


def test_a_side_that_looks_like_another_is_not_folded_onto_it():
    graph = printed_twice()
    found = searched(graph, job())
    assert turned_from(found).max() < 1.0
    wrong = graph.misses(found) > TOLERANCE
    assert set(graph.counts[wrong]) == {70.0, 60.0} and wrong.sum() == COUNT
    assert np.isclose(graph.contradicted(found), COUNT // 2 * 130.0 / graph.counts.sum())


def test_the_truth_is_likelier_than_a_fold():
    graph = printed_twice()
    folded = np.concatenate([TRUE[:8], TRUE[:8]])
    assert graph.unlike(TRUE) < graph.unlike(folded) and graph.cost(TRUE) < graph.cost(folded) - 0.1


def test_looking_for_an_arrangement_repeats_and_stops_when_it_should():
    graph = printed_twice()
    assert np.array_equal(searched(graph, job()), searched(graph, job()))
    stopped = job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        searched(graph, stopped)


def test_part_of_a_graph_is_the_graph_of_that_part():
    graph = printed_twice()
    among = graph.among(range(4, 8))
    assert among.size == 4 and np.allclose(among.misses(TRUE[4:8]), 0.0, atol=1e-3) and len(among.compared) == 6
    apart = graph.among(range(4)), graph.among([3, 4, 5, 6, 0])
    assert largest_component(apart[0]).tolist() == [0, 1, 2, 3] and largest_component(apart[1]).tolist() == [0, 1, 2, 3]


def test_cameras_that_are_turned_otherwise_than_is_likely_are_named_whatever_the_world():
    world = Rotation.from_rotvec([0.3, -1.0, 0.5]).as_matrix()
    rotations = TRUE[[0, 1, 2, 4, 5]] @ world
    rotations[3] = rotations[3] @ Rotation.from_rotvec([0.0, 2.0, 0.0]).as_matrix()
    found = Reconstruction((0, 1, 2, 4, 5), (), rotations, np.zeros((5, 3)), None, 0.5)
    assert _astray(found, np.arange(COUNT), TRUE) == {4}
