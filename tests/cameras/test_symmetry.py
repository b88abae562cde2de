# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.lens import Lens
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.cameras.sfm import symmetry
from image_to_3d.worker.cameras.sfm.mapping import Observations
from image_to_3d.worker.cameras.sfm.rotation_search import largest_component, searched
from image_to_3d.worker.cameras.sfm.symmetry import _astray, symmetry_checked, without_strays
from image_to_3d.worker.cameras.sfm.view_graph import TOLERANCE, ViewGraph, likeness_of
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
    found = Registration((0, 1, 2, 4, 5), (), rotations, np.zeros((5, 3)))
    assert _astray(found, np.arange(COUNT), TRUE) == {4}


def plain_ring(rotations: np.ndarray) -> tuple[ViewGraph, Registration]:
    """A ring whose pictures match two neighbours to each side, and cameras that were found for it."""
    ends = np.array([(i, (i + step) % COUNT) for i in range(COUNT) for step in (1, 2)])
    turns = np.stack([TRUE[b] @ TRUE[a].T for a, b in ends])
    graph = ViewGraph(COUNT, *ends.T, turns, np.full(len(ends), 50.0), ends, np.ones(len(ends)))
    lenses = tuple(Lens(view.camera) for view in scene.ring(COUNT, 360, 20.0, 64))
    return graph, Registration(tuple(range(COUNT)), lenses, rotations, np.zeros((COUNT, 3)))


def strayed(*numbers: int) -> np.ndarray:
    rotations = TRUE.copy()
    rotations[list(numbers)] = np.roll(TRUE, COUNT // 2, axis=0)[list(numbers)]
    return rotations


@pytest.mark.parametrize("strays, left_out", [((), ()), ((3,), (3,)), ((3, 9), (3, 9)), ((1, 5, 9, 13), ())])
def test_a_camera_that_all_its_matches_contradict_is_left_out(strays, left_out):
    """But not where so many are contradicted that nobody knows which of them are wrong."""
    graph, found = plain_ring(strayed(*strays))
    assert set(range(COUNT)) - set(without_strays(found, graph).pictures) == set(left_out)


def test_a_camera_that_one_of_its_matches_agrees_with_stays():
    graph, found = plain_ring(strayed(3, 4))  # both turned to the other side: their pair agrees
    assert without_strays(found, graph) is found


def test_strays_are_left_out_of_what_was_found(monkeypatch):
    graph, found = plain_ring(strayed(3))
    monkeypatch.setattr(symmetry, "view_graph", lambda *_: graph)
    seen = Observations([], [None] * COUNT, [], [], 1)
    assert 3 not in symmetry_checked(found, seen, job())[0].pictures


FOLDED = np.concatenate([TRUE[:8], TRUE[:8]])


@pytest.mark.parametrize("rotations, is_doubted", [(TRUE, False), (FOLDED, True), (TRUE[:8], False)])
def test_that_sides_look_alike_is_told_only_where_cameras_are_contradicted(monkeypatch, rotations, is_doubted):
    """And not where what contradicts them is of pictures that were left out."""
    count = len(rotations)
    found = Registration(tuple(range(count)), (), rotations, np.zeros((count, 3)))
    monkeypatch.setattr(symmetry, "view_graph", lambda *_: printed_twice())
    monkeypatch.setattr(symmetry, "_intrinsics", lambda *_: [])
    monkeypatch.setattr(symmetry, "_likelier", lambda found, *_: found)
    seen = Observations([], [None] * COUNT, [], [], 1)
    assert bool(symmetry_checked(found, seen, job())[1]) is is_doubted


def alike_from_three_sides(seed: int) -> tuple[ViewGraph, np.ndarray]:
    """Fifteen cameras around a thing with three sides that look alike, half of which were matched as if they were one,
    and their true rotations."""
    dice, count, links = np.random.default_rng(seed), 15, {}
    true = np.stack([view.rotation for view in scene.ring(count, 360, 20.0, 64)])

    def link(i: int, j: int, seen_as: int, matches: float) -> None:
        j, turn = j % count, true[seen_as % count] @ true[i].T
        shaken = turn @ Rotation.from_rotvec(dice.normal(0, 0.04, 3)).as_matrix()
        ends, shaken = ((i, j), shaken) if i < j else ((j, i), shaken.T)
        if links.get(ends, (0.0,))[0] < matches:
            links[ends] = matches, shaken

    for i in range(count):
        link(i, i + 1, i + 1, 200.0 * dice.uniform(0.5, 1.5))
        link(i, i + 2, i + 2, 90.0 * dice.uniform(0.5, 1.5))
        for side in (5, 10):
            for step, matches in ((0, 200.0), (1, 150.0)):
                if dice.random() < 0.5:
                    link(i, i + side + step, i + step, 0.5 * matches * dice.uniform(0.3, 1.2))
    ends = np.array(list(links))
    common = np.zeros((count, count))
    for (i, j), (matches, _) in links.items():
        common[i, j] = common[j, i] = matches
    pairs = np.array([(i, j) for i in range(count) for j in range(i + 1, count)])
    counts, turns = (np.array([link[k] for link in links.values()]) for k in (0, 1))
    return ViewGraph(count, *ends.T, turns, counts, pairs, likeness_of(common, pairs)), true


def test_rotations_as_likely_as_the_truth_are_found_where_half_of_what_is_alike_was_confused():
    above = []
    for seed in range(8):
        graph, true = alike_from_three_sides(seed)
        above.append(graph.cost(searched(graph, job())) - graph.cost(true))
    assert np.mean(above) < 0.0125  # by trees alone 0.037, by climbing once through 0.015
