# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds of improving a mesh: with somebody who knows the truth it gets near it, and nobody makes it worse."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.app import App
from image_to_3d.worker.core.errors import Invalid, OutOfMemory, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import View
from image_to_3d.worker.finish import improved
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.finish.refined import located_among, opened
from image_to_3d.worker.geometry.around import angles, looking
from image_to_3d.worker.geometry.mesh import Mesh
from image_to_3d.worker.geometry.texturing.bake import baked
from image_to_3d.worker.geometry.texturing.seen import pictured
from image_to_3d.worker.geometry.texturing.unwrap import unwrapped
from image_to_3d.worker.methods.multiview_fit.outlined import outlined_field
from image_to_3d.worker.pictures.silhouette import outline_distance
from image_to_3d.worker.pipeline import rounds as loop
from image_to_3d.worker.pipeline.generate import fetch
from image_to_3d.worker.pipeline.improve import improve
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.pipeline.rounds import rounds
from image_to_3d.worker.store.history import History
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import making, offers, protocol
from PIL import Image

JOB = Job(lambda *_: None)
PLAN = improved.Plan(80, 5, 1.0, 0.5, 28, 1200, 128)
SIZE = np.array([1.0, 0.8, 0.5])


def ball(size) -> Mesh:
    made = trimesh.creation.icosphere(3)
    return Mesh(np.float32(made.vertices * size), np.int32(made.faces))


def coloured(mesh: Mesh) -> Mesh:
    """Red in front, green behind, brighter above."""

    def colour(points: np.ndarray) -> np.ndarray:
        front = points[:, 2:] > 0
        return np.float32(np.where(front, [0.8, 0.2, 0.1], [0.1, 0.6, 0.2]) + 0.15 * points[:, 1:2])

    return baked(unwrapped(mesh, 128), 128, colour, [])


class Knowing:
    """Paints the truth from wherever the last renders were asked for."""

    draws = True

    def __init__(self, truth: Mesh, monkeypatch) -> None:
        self.truth, self.asks, asked = truth, [], improved.asked

        def noted(*arguments):
            self.asks = asked(*arguments)
            return self.asks

        monkeypatch.setattr(improved, "asked", noted)
        self.told = []

    def repaint(self, picture, unknown, references, strength, seed, job) -> np.ndarray:
        [ask] = [each for each in self.asks if each.picture is picture]
        self.told.append((unknown, references, strength, seed))
        return pictured(self.truth, ask.view, picture[0, 0] / 255.0)[0]


@pytest.fixture(scope="module")
def truth() -> Mesh:
    return coloured(ball(SIZE))


@pytest.fixture(scope="module")
def photo(truth) -> View:
    view = looking(truth, 0.0, 0.0, 128)
    rgb, mask = pictured(truth, view, np.zeros(3))
    return replace(view, rgb=rgb, mask=mask)


@pytest.fixture(scope="module")
def start() -> Asset:
    """Far too thick, and grey behind."""
    mesh = coloured(ball(SIZE * [1.0, 1.0, 1.8]))
    return Asset(replace(mesh, texture=np.full_like(mesh.texture, 128)), (), False)


def thickness(asset: Asset) -> float:
    return float(np.ptp(asset.mesh.vertices[:, 2]))


def test_with_an_oracle_shape_and_colours_get_near_the_truth(start, truth, photo, monkeypatch):
    knowing, heard = Knowing(truth, monkeypatch), []
    last = rounds(start, [photo], [PLAN], knowing, 7, JOB, outlined_field, heard.append)
    assert last.ended == "" and heard == [last] and last.number == 1 and len(last.views) == 5
    assert thickness(start) > 1.7 and thickness(last.asset) == pytest.approx(1.0, abs=0.1)
    back = looking(truth, 180.0, 0.0, 80)
    own, true = (pictured(mesh, back, np.zeros(3))[0].astype(float) for mesh in (last.asset.mesh, truth))
    assert np.abs(own - true).mean() < 10
    z, unseen = last.asset.mesh.vertices[:, 2], last.asset.mesh.unseen
    assert unseen[z < -0.2].min() == 1.0 and unseen[z > 0.35].mean() < 0.1  # what no photo saw is marked
    solid = trimesh.Trimesh(last.asset.mesh.vertices, last.asset.mesh.faces)
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    assert solid.is_watertight
    unknown, references, strength, seed = knowing.told[0]
    assert unknown.shape == (80, 80) and unknown.max() == 1.0 and unknown[0, 0] == 0.0 and unknown.dtype == np.float32
    assert references[0].shape == (128, 128, 3) and (strength, seed) == (1.0, 7)


def test_the_photos_own_side_is_nothing_that_is_unknown(truth, photo):
    ask = improved._asked(truth, [photo], looking(truth, 0.0, 0.0, 80), PLAN, np.zeros(3))
    assert ask.unknown[36:44, 36:44].max() < 0.05
    behind = improved._asked(truth, [photo], looking(truth, 180.0, 0.0, 80), PLAN, np.zeros(3))
    assert behind.unknown[36:44, 36:44].min() > 0.95


class Nothing:
    draws = True

    def repaint(self, picture, *_):
        return picture


@pytest.fixture
def quick(start, monkeypatch):
    """Rounds that leave the mesh as it was, but for what is done to its width."""
    done = {"width": 1.0}
    monkeypatch.setattr(improved, "shaped", lambda mesh, *_: mesh)

    def painted(mesh, *_):
        return replace(mesh, vertices=mesh.vertices * np.float32([done["width"], 1.0, 1.0]))

    monkeypatch.setattr(improved, "painted", painted)
    return done


def test_a_round_that_spoils_the_photos_view_is_left_out(start, photo, quick):
    quick["width"] = 0.7
    last = rounds(start, [photo], [PLAN], Nothing(), 0, JOB, outlined_field)
    assert last.asset is start and "round 1 would have made the photo's own view worse" in last.ended


def test_a_round_whose_outlines_leave_nothing_is_left_out(start, photo, monkeypatch):
    raised = [OutOfMemory("full", 2, 1), Unable("the field is nowhere inside")]

    def contradicted(*asked):
        raise raised.pop()

    monkeypatch.setattr(improved, "followed", contradicted)
    last = rounds(start, [photo], [PLAN, PLAN], Nothing(), 0, JOB, outlined_field)
    assert last.asset is start and last.number == 0 and "no shape has all outlines of round 1" in last.ended
    with pytest.raises(OutOfMemory):
        rounds(start, [photo], [PLAN], Nothing(), 0, JOB, outlined_field)


def test_who_has_enough_keeps_the_round_before(start, photo, quick):
    job, heard = Job(lambda *_: None), []

    def hear(made) -> None:
        heard.append(made)
        job.end_early()

    last = rounds(start, [photo], [PLAN] * 3, Nothing(), 0, job, outlined_field, hear)
    assert [made.asset for made in heard] == [last.asset] and last.ended == loop.EARLY


def test_who_has_enough_while_the_shape_is_sought_keeps_the_round_before(start, photo, quick, monkeypatch):
    job = Job(lambda *_: None)

    def shaped(mesh, *_):
        job.end_early()
        return mesh

    monkeypatch.setattr(improved, "shaped", shaped)
    last = rounds(start, [photo], [PLAN] * 3, Nothing(), 0, job, outlined_field)
    assert last.asset is start and last.ended == loop.EARLY


def test_it_ends_where_nothing_changes_any_more(start, photo, quick):
    last = rounds(start, [photo], [PLAN] * 3, Nothing(), 0, JOB, outlined_field)
    assert last.ended == "nothing changed any more after round 1" and len(last.views) == PLAN.views


def test_who_has_enough_at_once_keeps_what_there_was(start, photo, quick):
    job = Job(lambda *_: None)
    job.end_early()
    last = rounds(start, [photo], [PLAN], Nothing(), 0, job, outlined_field)
    assert last.asset is start and last.ended == loop.EARLY


def painted_over(mesh: Mesh, truth: Mesh, yaw: float, noise: float, photos=()) -> tuple[View, np.ndarray]:
    """What is taken of a picture of the truth that was asked of a mesh, and the truth's share of each pixel."""
    ask = improved._asked(mesh, photos, looking(mesh, yaw, 0.0, 128), PLAN, np.zeros(3))
    rgb, share = pictured(truth, ask.view, np.zeros(3), 4)
    noisy = rgb / 255.0 + noise * np.random.default_rng(0).normal(size=rgb.shape)
    return improved.taken(ask, np.uint8(255 * np.clip(noisy, 0.0, 1.0)), PLAN, np.zeros(3)), share


@pytest.mark.parametrize(("noise", "off"), [(0.0, 0.06), (0.1, 0.16), (0.3, 0.5)])
def test_an_outline_is_found_finer_than_a_pixel_in_a_noisy_picture(truth, noise, off):
    view, share = painted_over(truth, truth, 90.0, noise)
    away = outline_distance(share / 255.0)
    on = np.abs(away) < 0.5
    assert np.abs(outline_distance(view.mask / 255.0) - away)[on].mean() < off
    own = view.mask >= 128
    assert view.confidence[~own].max() == 0.0 and 0.0 < view.confidence.max() <= 0.5


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_a_thing_that_reaches_far_beyond_its_render_is_found(truth, noise):
    small = coloured(ball(SIZE * [0.35, 1.0, 1.0]))
    view, share = painted_over(small, truth, 0.0, noise)
    own, true = view.mask >= 128, share >= 128
    assert (own & true).sum() / (own | true).sum() > 0.9


def test_what_is_painted_over_is_gone_though_a_photo_told_its_colours(truth):
    wide = coloured(ball(SIZE * [1.6, 1.0, 1.0]))
    front = looking(wide, 0.0, 0.0, 128)
    rgb, mask = pictured(wide, front, np.zeros(3))
    view, share = painted_over(wide, truth, 0.0, 0.0, [replace(front, rgb=rgb, mask=mask)])
    assert (view.mask >= 128).sum() == pytest.approx((share >= 128).sum(), rel=0.05)


def test_presets_double_the_pixels_and_fall_in_strength():
    plans = improved.plans("high")
    assert [plan.size for plan in plans] == [256, 512, 1024]
    assert [plan.strength for plan in plans] == sorted((plan.strength for plan in plans), reverse=True)
    assert len(improved.plans("fast", 5)) == 5 and improved.plans("fast", 8)[-1].size == improved.LARGEST
    with pytest.raises(Invalid, match="no preset 'best': choose one of fast, balanced, high"):
        improved.plans("best")


def asked(tmp_path, **changed) -> making.ImproveParams:
    made = trimesh.creation.icosphere(3)
    made.apply_scale([2.0, 1.6, 1.0])
    made.export(tmp_path / "mesh.glb")
    rows, columns = np.indices((120, 120)) - 59.5
    inside = (columns / 50) ** 2 + (rows / 40) ** 2 < 1
    rgba = np.dstack([np.broadcast_to(np.uint8([200, 40, 30]), (120, 120, 3)), np.uint8(255 * inside)])
    Image.fromarray(rgba).save(tmp_path / "photo.png")
    own = {"mesh": str(tmp_path / "mesh.glb"), "pictures": (str(tmp_path / "photo.png"),)}
    return making.ImproveParams(**(own | {"output": str(tmp_path / "out.glb"), "preset": "fast"} | changed))


def ran(params: making.ImproveParams, tmp_path) -> making.GenerateResult:
    machine = Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    return protocol.read(making.GenerateResult, improve(params, machine, Job(lambda *_: None)))


def test_photos_from_all_around_find_their_places_by_what_is_painted_on_a_thing(truth, tmp_path):
    """Outlines alone are the same from in front and from behind."""
    write(Asset(truth, (), False), tmp_path / "thing.glb", "thing")
    found = opened(tmp_path / "thing.glb", 128)
    for yaw in (130.0, 180.0):
        view = looking(truth, yaw, 25.0, 128)
        rgb, mask = pictured(truth, view, np.zeros(3))
        there = located_among(found, View(view.camera, rgb=rgb, mask=mask))
        apart = angles(found.mesh, there)[0] - yaw
        assert abs((apart + 180.0) % 360.0 - 180.0) < 8.0, (yaw, apart)


def test_a_file_and_a_photo_become_a_better_file_with_what_each_round_left(tmp_path, monkeypatch):
    monkeypatch.setitem(improved.PRESETS, "fast", PLAN)
    made = ran(asked(tmp_path, previews=str(tmp_path)), tmp_path)
    assert trimesh.load(made.glb, force="mesh").is_watertight or made.faces > 500
    assert (tmp_path / "round-1.glb").is_file() and len(made.cameras) == 1
    assert "what no picture shows is imagined" in made.warnings and made.method == "improve"


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """The sizes at which rounds were painted."""
    monkeypatch.setitem(improved.PRESETS, "fast", PLAN)
    monkeypatch.setattr(loop, "LEAST", -1.0)  # of a plain photo nothing can be painted
    made, real = [], improved.asked

    def asked_for(mesh, photos, plan, *more):
        made.append(plan.size)
        return real(mesh, photos, plan, *more)

    monkeypatch.setattr(improved, "asked", asked_for)
    return made


def test_a_repeat_makes_nothing_and_one_round_more_makes_that_alone(tmp_path, counted):
    first = ran(asked(tmp_path, rounds=1), tmp_path)
    content = (tmp_path / "out.glb").read_bytes()
    again = ran(asked(tmp_path, rounds=1, previews=str(tmp_path)), tmp_path)
    assert counted == [80] and again.from_cache and not first.from_cache
    assert (tmp_path / "out.glb").read_bytes() == content and (tmp_path / "round-1.glb").is_file()
    more = ran(asked(tmp_path, rounds=2), tmp_path)
    assert counted == [80, 160] and not more.from_cache and more.provenance.options["rounds"] == 2
    ran(asked(tmp_path, rounds=2, seed=5), tmp_path)
    ran(asked(tmp_path, rounds=1, cached=False), tmp_path)
    assert counted == [80, 160, 80, 160, 80]


def test_each_round_is_a_step_in_the_history_that_can_be_had_again(tmp_path, counted):
    made = ran(asked(tmp_path, rounds=2), tmp_path)
    entries = History(tmp_path / "cache").entries()
    assert sorted(entry["provenance"]["options"]["rounds"] for entry in entries) == [1, 2]
    assert made.key in [entry["key"] for entry in entries]
    [one] = [entry for entry in entries if entry["provenance"]["options"]["rounds"] == 1]
    assert one["provenance"]["label"] == "Improve, 1 round" and one["seconds"] > 0 and one["thumbnail"]
    got = protocol.read(making.GenerateResult, fetch(one["key"], str(tmp_path / "one.glb"), "", tmp_path / "cache"))
    assert trimesh.load(got.glb, force="mesh").faces.shape == (got.faces, 3)


def test_what_was_ended_early_is_not_kept_but_the_rounds_before_are(tmp_path, counted):
    job = Job(lambda *_: None)
    job.show = lambda file: job.end_early()  # when the first round can be seen
    (tmp_path / "each").mkdir()
    machine = Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    found = improve(asked(tmp_path, rounds=3, previews=str(tmp_path / "each")), machine, job)
    assert loop.EARLY in found["warnings"] and found["provenance"]["options"]["rounds"] == 1 and counted == [80]
    ran(asked(tmp_path, rounds=2), tmp_path)
    assert counted == [80, 160]


def test_who_draws_no_shape_leaves_it_and_its_texture_where_the_photo_fits(truth, photo):
    class Detail:
        draws = False

        def repaint(self, picture, unknown, references, strength, seed, job) -> np.ndarray:
            return np.where(unknown[..., None] > 0.5, np.minimum(picture, 235) + np.uint8(20), picture)

    start = Asset(truth, (), False)
    last = rounds(start, [photo], [PLAN, PLAN], Detail(), 0, JOB)
    mesh = last.asset.mesh
    assert last.number == 2 and mesh.vertices is truth.vertices and mesh.uv is truth.uv
    front, behind = (
        np.median(pictured(mesh, looking(truth, yaw, 0.0, 80), np.zeros(3))[0][30:50, 30:50].astype(float))
        - np.median(pictured(truth, looking(truth, yaw, 0.0, 80), np.zeros(3))[0][30:50, 30:50])
        for yaw in (0.0, 180.0)
    )
    assert abs(front) < 3 and 15 < behind < 60


def test_a_pipeline_of_diffusers_paints_the_views(tmp_path, monkeypatch):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    from image_to_3d.tests.methods.repaint import tiny
    from image_to_3d.worker.methods.repaint import painter

    told, real = [], painter.Painter.repaint

    def small(self, picture, unknown, references, strength, seed, job):
        self.side = 64
        painted = real(self, picture, unknown, references, strength, seed, job)
        told.append((picture, unknown, painted, len(references)))
        return painted

    monkeypatch.setattr(painter.Painter, "repaint", small)
    monkeypatch.setitem(improved.PRESETS, "fast", replace(PLAN, views=2))
    made = ran(asked(tmp_path, repainter=str(tiny.write(tmp_path / "klein")), rounds=1), tmp_path)
    assert made.faces > 100 and len(told) == 2
    for picture, unknown, painted, references in told:
        assert (painted[unknown == 0] == picture[unknown == 0]).all() and (painted != picture).any()
        assert references == 1


@pytest.mark.parametrize("changed", [{"seed": -5}, {"seed": 1 << 40}, {"rounds": -1}, {"rounds": 99}])
def test_numbers_out_of_range_are_told_before_anything_is_read(tmp_path, changed):
    app = App()
    places = {"weights": str(tmp_path / "weights"), "cache": str(tmp_path / "cache")}
    app.initialize(offers.InitializeParams(protocol.VERSION, device="cpu", **places), JOB)
    with pytest.raises(Invalid, match="rounds|seed"):
        app.improve(asked(tmp_path, mesh="gone.glb", **changed), JOB)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"repainter": "nobody"}, "no repainter 'nobody'"),
        ({"pictures": ()}, "choose 1 to 24 pictures"),
        ({"previews": "/nowhere/at/all"}, "there is no folder"),
        ({"preset": "best"}, "no preset 'best'"),
        ({"repainter": "~nobodyhere/x"}, "no repainter '~nobodyhere/x'"),
        ({"repainter": "../.."}, "no repainter"),
        ({"repainter": "nobody/here"}, "hf download nobody/here"),
    ],
)
def test_bad_wishes_are_told_in_a_sentence(tmp_path, changed, message):
    with pytest.raises(Unable, match=message):
        ran(asked(tmp_path, **changed), tmp_path)
