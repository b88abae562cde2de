# SPDX-License-Identifier: GPL-3.0-or-later
"""The method hybrid as a list of steps: with the generator and the depth network that ship."""

import numpy as np
import pytest
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.layers.test_sampling import photo
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.methods import hybrid, under, with_network
from image_to_3d.worker.methods.hybrid import completed
from image_to_3d.worker.pipeline import code
from image_to_3d.worker.pipeline import generate as generation
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import making, protocol
from PIL import Image

NAME = hybrid.INCLUDED_HYBRID.name


@pytest.fixture
def weights(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "weights")


def ball_depth(task) -> DepthMap:
    """The true depth of a ball whose picture `photo` is, three of its half windows away."""
    rows, columns = np.indices((120, 160)) + 0.5
    under = 40.0**2 - (rows - 60) ** 2 - (columns - 80) ** 2
    camera = task.picture.view(35.0).camera
    z = 4.0 - np.sqrt(np.maximum(under, 0.0)) * 4.0 / camera.fx
    return DepthMap((1.0 / z).astype(np.float32), True, under > 0, task.picture.view(35.0))


def test_a_first_guess_is_told_soon_and_what_follows_is_finer(weights):
    task = asked.task(NAME, weights, photo(), trust=0.0)
    told = []
    made = asked.run(type(task)(**{**vars(task), "on_coarse": told.append}))
    assert len(told) == 1 and told[0].window == made.window


def test_a_seen_front_stands_in_its_place_and_is_drawn_twice_as_fine(weights):
    task = asked.task(NAME, weights, photo())
    guess = completed.guessed(task, photo(), asked.silent())
    made = completed.completed(task, photo(), guess, ball_depth(task), asked.silent())
    assert made.front.shape == (2 * len(guess.front),) * 2 == made.back_colour.shape[:2]
    y, x = (np.mgrid[: len(made.front), : len(made.front)] + 0.5) / len(made.front) * 2 - 1
    core = np.hypot(x, y) < 0.6
    truth = -np.sqrt(np.maximum(0.875**2 - x**2 - y**2, 0.0))
    wrong = (made.front - truth)[core]
    assert np.abs(wrong - np.median(wrong)).mean() < 0.03
    assert (made.back > made.front)[core].all() and not made.notes


def test_a_depth_of_no_use_leaves_what_diffusion_makes_and_says_so(weights):
    task = asked.task(NAME, weights, photo(), seed=3, strength=0.3)
    guess, lie = completed.guessed(task, photo(), asked.silent()), ball_depth(task)
    lie = DepthMap(1.0 / (4.0 + 4.0 * (4.0 - 1.0 / lie.inverse_depth)), True, lie.valid, lie.view)  # a deep bowl
    made = completed.completed(task, photo(), guess, lie, asked.silent())
    other = asked.run(asked.task("included-generator", weights, photo(), seed=3, variety=0.3, steps=16))
    np.testing.assert_array_equal(made.front, other.front)
    assert made.notes == (completed.NOT_SEEN,)


def test_strength_says_how_much_seeds_differ(weights):
    def backs(strength: float) -> float:
        tasks = [asked.task(NAME, weights, photo(), seed=seed, strength=strength, trust=0.0) for seed in (1, 2)]
        first, other = (asked.run(task).back for task in tasks)
        return float(np.abs(first - other).mean())

    assert backs(0.0) == 0.0 < backs(0.3) < backs(1.0)


def test_a_cancel_is_heard_between_the_steps(weights):
    def notify(share: float, stage: str, message: str, remaining: float | None) -> None:
        if stage == "estimating depth":
            job.cancel()

    job, told = Job(notify), []
    task = asked.task(NAME, weights, photo())
    with pytest.raises(Cancelled):
        asked.run(type(task)(**{**vars(task), "on_coarse": told.append}), job)
    assert told  # it has come before


def test_the_best_depth_network_that_is_here_is_taken(weights, monkeypatch):
    task = asked.task(NAME, weights, photo())
    assert completed._best(task)[1].name == "included"
    small = next(row for row in with_network("included")[0].networks if row.name == "moge-2")
    monkeypatch.setattr(type(small), "is_here", lambda self, weights: self.name in ("included", "moge-2"))
    assert completed._best(task)[1] is small


def test_its_key_covers_the_methods_below_it(monkeypatch):
    method, _ = with_network(NAME)
    assert [each.name for each in under(method)] == ["depth", "generator"]
    before = code.of_method(method)
    monkeypatch.setattr(code, "under", lambda method: [])
    assert code.of_method(method) != before


def test_a_photo_becomes_a_closed_thing_from_the_terminals_request_and_comes_back_from_the_cache(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    picture = photo()
    Image.fromarray(np.dstack([picture.rgb, picture.alpha])).save(tmp_path / "disc.png")
    output, folder, told = str(tmp_path / "out.glb"), tmp_path / "previews", []
    folder.mkdir()
    params = making.GenerateParams(
        (str(tmp_path / "disc.png"),), output, "fast", "hybrid", options={"faces": 3000}, previews=str(folder)
    )
    machine = generation.Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    job = Job(lambda *_: None, lambda file: told.append(file and file.name))
    made = protocol.read(making.GenerateResult, generation.generate(params, machine, job))
    mesh = trimesh.load(made.glb, force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and made.method == "hybrid"
    coarse = trimesh.load(folder / "coarse.glb", force="mesh")
    assert told == ["coarse.glb", None] and 100 < len(coarse.faces) <= 4000
    again = protocol.read(making.GenerateResult, generation.generate(params, machine, Job(lambda *_: None)))
    assert again.from_cache and again.faces == made.faces
