# SPDX-License-Identifier: GPL-3.0-or-later
"""A coarse mesh and a picture to a finer field, with tiny networks of random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods.asked import silent
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.core.view import PinholeCamera, View, Window
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposg import files, refiner
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.methods.triposg.coarse import Coarse, Seen, between, in_box, surface_points
from image_to_3d.worker.methods.triposg.observed import DECODINGS, Guide, Observed
from image_to_3d.worker.methods.triposg.refiner import Wishes

LAYOUTS = {"triposg": tiny.TINY, "detailgen3d": tiny.TINY_DETAIL}
CORNERS = np.array([[x, y, z] for x in (0.0, 2.0) for y in (5.0, 6.0) for z in (-1.0, 1.0)])
BOX = Coarse(
    CORNERS,
    np.array(
        [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4)]
        + [(1, 5, 7), (1, 7, 3)]
    ),
)
"""2 by 1 by 2, its middle at (1, 5.5, 0), outward."""


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)
    monkeypatch.setattr(triposg, "POINTS", 500)
    monkeypatch.setattr(refiner.detail, "POINTS", 400)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {name: tmp_path_factory.mktemp(name) for name in LAYOUTS}
    for name, folder in found.items():
        tiny.write(folder, LAYOUTS[name])
    return found


@pytest.fixture(params=LAYOUTS)
def loaded(request, folders):
    return refiner.load(folders[request.param], "cpu", LAYOUTS[request.param].layout)


@pytest.fixture
def edited(folders):
    return refiner.load(folders["triposg"], "cpu", files.TRIPOSG)


def white(shade: int = 80) -> np.ndarray:
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[16:48, 8:56] = shade, 40, 30
    return picture


def front(count: int = 200) -> Seen:
    """The box's front face, as a camera far before it sees it."""
    places = np.random.default_rng(0).uniform((0.0, 5.0), (2.0, 6.0), (count, 2))
    return Seen(np.column_stack([places, np.ones(count)]), np.array([1.0, 5.5, 9.0]))


def tokens(loaded, job=None, picture=None, seen=None, **wishes):
    return loaded(BOX, white() if picture is None else picture, Wishes(**{"steps": 4, **wishes}), seen, job or silent())


def latents_of(loaded, wishes):
    vertices, _ = in_box(BOX.vertices)
    points = surface_points(vertices, BOX.faces, loaded.points, np.random.default_rng(wishes.seed))
    return loaded.encoded(points, wishes.seed, silent().span(0.0, 1.0))


def test_strength_0_gives_the_encoders_reconstruction_whatever_the_picture(loaded):
    wanted = loaded.decoded(latents_of(loaded, Wishes()), silent().span(0.0, 1.0))["tokens"]
    for picture in (white(), white(250)):
        assert (tokens(loaded, picture=picture, strength=0.0)["tokens"] == wanted).all()


def test_strength_1_gives_what_the_picture_alone_gives(edited):
    embeds = edited.seen(white(), silent().span(0.0, 1.0))
    noise = triposg.noise(3, triposg.TOKENS, 8)
    latents = edited.followed(noise, embeds, triposg.sigmas(4), triposg.GUIDANCE, silent().span(0.0, 1.0))
    wanted = edited.decoded(latents, silent().span(0.0, 1.0))["tokens"]
    np.testing.assert_allclose(tokens(edited, strength=1.0, seed=3)["tokens"], wanted, atol=1e-5)


def test_triposg_is_noised_as_far_as_strength_says_and_detailgen3d_begins_at_the_shape(loaded):
    latents, wishes = torch.ones(1, triposg.TOKENS, 8), Wishes(seed=5, steps=8, strength=0.5)
    start, levels = loaded._way(latents, wishes)
    if loaded.details:
        assert levels.tolist() == [1.0, 0.875, 0.75, 0.625, 0.5] and (start == latents).all()
    else:
        assert levels.tolist() == [0.5, 0.375, 0.25, 0.125, 0.0]
        torch.testing.assert_close(start, 0.5 + 0.5 * triposg.noise(5, triposg.TOKENS, 8))


def test_the_more_may_change_the_farther_it_goes_from_the_coarse_shape(loaded):
    at = [tokens(loaded, strength=strength, steps=8)["tokens"] for strength in (0.0, 0.25, 0.5, 1.0)]
    far = [float(np.sqrt(((other - at[0]) ** 2).mean())) for other in at]
    assert far == sorted(far) and far[1] > 0.0 and far[3] > 1.3 * far[1]


def test_seed_picture_steps_and_guidance_are_heard(loaded):
    usual = tokens(loaded)["tokens"]
    assert (tokens(loaded)["tokens"] == usual).all()
    for other in ({"seed": 1}, {"steps": 6}, {"guidance": 1.0}, {"picture": white(250)}):
        assert abs(tokens(loaded, **other)["tokens"] - usual).max() > 1e-4, other


def test_the_field_lies_where_the_coarse_mesh_was(loaded):
    found = refiner.field(tokens(loaded, strength=0.0), "cpu")
    low, high = found.bounds
    np.testing.assert_allclose((low + high) / 2.0, [1.0, 5.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(high - low, 2.0 * triposg.EXTENT * 2.0 / 1.9)
    around = np.random.default_rng(0).normal(size=(50, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    middle = np.array([1.0, 5.5, 0.0])
    assert (found.value(np.float32(middle + 0.3 * around)) > 0).all()  # the tiny networks' field is a ball
    assert (found.value(np.float32(middle + 0.95 * around)) < 0).all()


def test_guidance_brings_the_surface_to_what_was_seen_and_can_be_off(edited, folders):
    cap = np.random.default_rng(0).normal(size=(300, 3))
    cap *= 0.7 / np.linalg.norm(cap, axis=1, keepdims=True)
    observed = Observed.along_rays(cap[cap[:, 2] > 0.2], np.array([0.0, 0.0, 5.0]), np.random.default_rng(0), 1.0)
    coder = files.load_coder(folders["triposg"], edited.config)
    guide = Guide(coder, observed, triposg.sigmas(4), lambda done, total: None)
    embeds = edited.seen(white(), silent().span(0.0, 1.0))
    way = embeds, triposg.sigmas(8), triposg.GUIDANCE, silent().span(0.0, 1.0)
    start = triposg.noise(0, triposg.TOKENS, 8)
    free, drawn = edited.followed(start, *way), edited.followed(start, *way, observed)
    assert float(guide.error(drawn)) < 0.2 * float(guide.error(free))
    seen = front()
    off = Seen(seen.points, seen.camera, trust=0.0)
    assert (tokens(edited, seen=off)["tokens"] == tokens(edited)["tokens"]).all()
    assert (tokens(edited, seen=seen)["tokens"] != tokens(edited)["tokens"]).any()


@pytest.mark.parametrize("steps", [1, 3, 50, 200])
def test_guidance_takes_a_bounded_number_of_decodings(folders, edited, steps):
    told = []
    coder = files.load_coder(folders["triposg"], edited.config)
    observed = Observed(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.float32))
    levels = triposg.sigmas(steps)
    guide = Guide(coder, observed, levels, lambda *said: told.append(said))
    latents = torch.zeros(1, triposg.TOKENS, 8)
    for level in levels[1:]:
        guide(latents, float(level))
    assert 0 < len(told) <= DECODINGS and told[-1] == (len(told), len(told))


def test_points_in_front_of_what_was_seen_lie_on_its_rays_within_the_box():
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (5000, 3))
    camera = np.array([0.5, 0.2, 4.0])
    found = Observed.along_rays(points, camera, np.random.default_rng(0), 1.0)
    assert len(found.surface) == 2048 and len(found.free) > 1500 and found.surface.dtype == np.float32
    assert abs(found.free).max() <= triposg.EXTENT
    alone = Observed.along_rays(points[:1], camera, np.random.default_rng(0), 1.0)
    way = (alone.free[0] - alone.surface[0]) / (camera - alone.surface[0])
    assert np.ptp(way) < 1e-5 and way[0] > 0.0


def test_each_step_hears_a_cancel_also_between_decodings(edited):
    def cancelled_at(words, **wishes):
        job = Job(lambda progress, stage, message, _: job.cancel() if words in (stage, message) else None)
        with pytest.raises(Cancelled):
            tokens(edited, job, **wishes)

    for words in ("encoding the coarse shape", "looking at the picture", "decoding the shape"):
        cancelled_at(words)
    cancelled_at("step 1 of 2", steps=4, strength=0.5, seen=front())


def test_too_little_memory_is_told_before_the_start(loaded, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    monkeypatch.setattr(files, "load_coder", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(OutOfMemory, match="smaller model"):
        tokens(loaded)


def test_the_full_networks_take_about_what_their_sizes_say(monkeypatch):
    monkeypatch.undo()
    sizes = triposg.EncoderConfig(), triposg.FlowConfig(), triposg.ShapeConfig(), tiny.TINY.preparation
    half = refiner.Refiner(None, files.TripoSGConfig(*sizes), torch.device("cpu"), True)
    plain, guided = half.needed(half.points), half.needed(half.points, guided=True)
    assert 3e9 < plain < 5e9 and plain < guided < 7e9


@pytest.mark.parametrize(
    "vertices, faces, words",
    [
        (np.zeros((3, 3)), [(0, 1, 2)], "no extent"),
        (np.float64([[0, 0, 0], [1, 0, 0], [2, 0, 0]]), [(0, 1, 2)], "no surface"),
        (np.float64([[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]]), [(0, 1, 2)], "no extent"),
    ],
)
def test_a_coarse_shape_without_a_surface_is_refused(edited, vertices, faces, words):
    with pytest.raises(Unable, match=words):
        edited(Coarse(vertices, np.array(faces)), white(), Wishes(), None, silent())


def test_points_of_a_surface_are_spread_evenly_with_outward_normals():
    points = surface_points(BOX.vertices, BOX.faces, 20_000, np.random.default_rng(0))
    places, normals = points[:, :3], points[:, 3:]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-6)
    assert (((places - [1.0, 5.5, 0.0]) * normals).sum(axis=1) > 0).all()
    on_top = np.isclose(places[:, 1], 6.0).mean()
    assert on_top == pytest.approx(4.0 / 16.0, abs=0.01)  # of the areas
    quarter = (places[:, 0] < 1.0) & (places[:, 2] < 0.0) & np.isclose(places[:, 1], 6.0)
    assert quarter.mean() == pytest.approx(1.0 / 16.0, abs=0.01)


def test_the_tokens_points_lie_far_from_each_other():
    torch.manual_seed(0)
    points = torch.rand(500, 3)
    chosen = triposg.spread(points, 40)
    assert len(set(chosen.tolist())) == 40 and chosen[0] == 0

    def nearest(some):
        return (torch.cdist(some, some) + 9.0 * torch.eye(len(some))).min(1).values.min()

    assert nearest(points[chosen]) > 3.0 * nearest(points[:40])
    assert (triposg.spread(points, 500).sort().values == torch.arange(500)).all()


def test_layers_become_a_closed_solid_where_the_camera_saw_them():
    rows, columns = np.indices((80, 100))
    mask = np.uint8(255) * ((rows - 40) ** 2 + (columns - 60) ** 2 < 25**2)
    camera = PinholeCamera.from_fov(100, 80, 40.0)
    view = View(camera, rgb=np.zeros((80, 100, 3), np.uint8), mask=mask)
    front = np.full((32, 32), -0.3, np.float32)
    layers = Layers(front, front + 0.8, np.zeros((32, 32, 3), np.uint8), Window(30, 10, 60), view)
    solid, seen = between(layers)
    edges = {(int(a), int(b)) for face in solid.faces for a, b in zip(face, np.roll(face, -1))}
    assert edges == {(b, a) for a, b in edges}
    corners = solid.vertices[solid.faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    half = 30 / camera.fx
    assert volume == pytest.approx(np.pi * (25 / camera.fx) ** 2 * 0.8 * half, rel=0.2)  # a disc, in perspective
    columns = camera.fx * seen[:, 0] / -seen[:, 2] + camera.cx
    rows = camera.cy - camera.fy * seen[:, 1] / -seen[:, 2]
    assert ((rows - 40) ** 2 + (columns - 60) ** 2 < 25**2).all() and len(seen) > 200
    np.testing.assert_allclose(-seen[:, 2], 1.0 - 0.3 * half)
    with pytest.raises(ValueError, match="outline is empty"):
        between(replace(layers, view=replace(view, mask=np.zeros_like(mask))))
