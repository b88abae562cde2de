# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way of many photos: cameras, a field learned, a mesh with the photos as texture, and the cache."""

import json
import math
import os
import sys
from types import ModuleType

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Cancelled, MethodUnavailable, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.geometry.splats import spz
from image_to_3d.worker.methods.multiview_fit import fit, grid_training, training
from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage
from image_to_3d.worker.methods.multiview_fit.splats import learn
from image_to_3d.worker.pipeline import code, work
from image_to_3d.worker.pipeline.generate import Machine, generate
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import protocol
from image_to_3d.worker.wire.making import GenerateParams, GenerateResult
from PIL import Image

SIDE, FOV, AWAY = 48, 0.7, 3.0


@pytest.fixture
def shots(tmp_path):
    """A red ball with a blue upper half from twelve sides: a folder as those of NeRF's synthetic sets."""
    folder = tmp_path / "ball"
    folder.mkdir()
    frames = []
    for number in range(12):
        yaw, pitch = number * 2.4, (-0.5, 0.1, 0.6)[number % 3]
        back = np.array([math.cos(pitch) * math.sin(yaw), -math.cos(pitch) * math.cos(yaw), math.sin(pitch)])
        right = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        pose = np.eye(4)
        pose[:3] = np.column_stack([right, np.cross(back, right), back, AWAY * back])
        Image.fromarray(ball(pose)).save(folder / f"{number:02d}.png")
        frames.append({"file_path": f"./{number:02d}.png", "transform_matrix": pose.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": FOV, "frames": frames}))
    return folder


def ball(pose: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 4) uint8: the unit ball's picture from an OpenGL camera."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    slope = 2 * math.tan(FOV / 2) / SIDE
    ways = np.stack([(columns - SIDE / 2) * slope, (SIDE / 2 - rows) * slope, -np.ones((SIDE, SIDE))], -1)
    ways = ways @ pose[:3, :3].T
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    along = -(ways @ pose[:3, 3])
    missed = AWAY**2 - along**2
    hit = missed < 0.5**2
    where = pose[:3, 3] + ways * (along - np.sqrt(np.maximum(0.25 - missed, 0)))[..., None]
    colour = np.where(where[..., 2:] > 0, np.uint8([40, 60, 220]), np.uint8([220, 40, 40]))
    return np.concatenate([colour * hit[..., None], 255 * hit[..., None]], -1).astype(np.uint8)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    plan = Plan(SIDE, 1024, (Stage("density", 24, 60), Stage("surface", 32, 80)))
    monkeypatch.setattr(grid_training, "PRESETS", dict.fromkeys(("fast", "balanced"), plan))


@pytest.fixture
def looked(monkeypatch) -> list[str]:
    """An entry for each time that cameras were found, or read."""
    found, calls = work.registered, []
    monkeypatch.setattr(work, "registered", lambda inputs, job: calls.append("looked") or found(inputs, job))
    return calls


OPTIONS = {"grid": 48, "faces": 3000, "texture": 256}


def run(shots, tmp_path, job=None, options=OPTIONS, preset="fast", **more) -> GenerateResult:
    params = GenerateParams(
        (str(shots),), str(tmp_path / "out.glb"), preset, **{"category": "nerf", **more}, options=options
    )
    machine = Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    return protocol.read(GenerateResult, generate(params, machine, job or Job(lambda *_: None)))


def test_photos_with_cameras_become_a_thing_textured_by_them_and_come_from_the_cache_next_time(shots, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    done = run(shots, tmp_path)
    assert (done.method, done.network, done.name, done.from_cache) == ("photos", "photos", "ball", False)
    mesh = trimesh.load(done.glb, force="mesh")
    size = np.ptp(mesh.vertices, axis=0)
    assert size == pytest.approx([2.0, 2.0, 2.0], rel=0.12)
    colours = mesh.visual.to_color().vertex_colors.astype(int)
    high, low = mesh.vertices[:, 1] > 1.3, mesh.vertices[:, 1] < 0.7
    assert (colours[high, 2] > colours[high, 0]).mean() > 0.95 and (colours[low, 0] > colours[low, 2]).mean() > 0.95
    again = run(shots, tmp_path)
    assert again.from_cache and again.faces == done.faces


def test_each_photo_has_its_camera_and_a_file_that_shows_what_it_sees_also_from_the_cache(shots, tmp_path):
    (tmp_path / "photos").mkdir()
    for from_cache in (False, True):
        done = run(shots, tmp_path, photos=str(tmp_path / "photos"))
        assert done.from_cache is from_cache
        assert [camera.name for camera in done.cameras] == [f"{number:02d}" for number in range(12)]
        for camera in done.cameras:
            seen = np.asarray(Image.open(camera.photo).convert("RGB")).astype(int)
            truth = np.asarray(Image.open(shots / f"{camera.name}.png").convert("RGB")).astype(int)
            assert seen.shape == (camera.height, camera.width, 3)
            assert np.abs(seen - truth).mean() < 12
            assert where_it_is_seen(camera, (0, 1, 0)) == pytest.approx((SIDE / 2, SIDE / 2), abs=2)
    assert not any(camera.photo for camera in run(shots, tmp_path).cameras)
    done = run(shots, tmp_path, photos=str(tmp_path / "no such folder"))
    assert len(done.cameras) == 12 and not any(camera.photo for camera in done.cameras)
    assert sum("photos of the cameras" in warning for warning in done.warnings) == 1


def where_it_is_seen(camera, point) -> tuple[float, float]:
    """Column and row at which a point of the GLB is seen."""
    w, *axis = camera.rotation
    axis, way = -np.array(axis), np.array(point, float) - camera.position  # turned back
    x, y, z = way + 2 * w * np.cross(axis, way) + 2 * np.cross(axis, np.cross(axis, way))
    focal = max(camera.width, camera.height) / 2 / math.tan(math.radians(camera.fov_degrees) / 2)
    return camera.width / 2 - focal * x / z, camera.height / 2 + focal * y / z


def test_the_mesh_alone_is_made_anew_where_only_its_options_change(shots, tmp_path):
    run(shots, tmp_path)
    stages = []
    job = Job(lambda progress, stage, *_: stages.append(stage))
    done = run(shots, tmp_path, job, {"grid": 32, "faces": 500, "texture": 128})
    assert (
        "learning the shape" not in stages
        and not done.from_cache
        and "network" not in done.seconds
        and done.faces <= 500
    )


@pytest.fixture
def engine(monkeypatch):
    """Stands in for nerfstudio, which is in another Python."""
    name = "nerfstudio_training"
    fake = ModuleType(f"{fit.__package__}.{name}")
    fake.PLANS = grid_training.PRESETS
    fake.train = lambda capture, name, *rest: grid_training.train(capture, *rest)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.delattr(sys.modules[fit.__package__], name, raising=False)
    monkeypatch.setattr(fit, "find_spec", lambda name: True)


@pytest.mark.parametrize(
    "other",
    [
        {"preset": "balanced"},
        {"options": {**OPTIONS, "subject": "scene"}},
        {"options": {**OPTIONS, "texture": 128}},
        {"network": "nerfacto"},
    ],
)
def test_cameras_are_found_once_for_all_presets_subjects_textures_and_engines(shots, tmp_path, looked, engine, other):
    assert "cameras" in run(shots, tmp_path).seconds and looked == ["looked"]
    done = run(shots, tmp_path, **other)
    assert not done.from_cache and "cameras" not in done.seconds and looked == ["looked"]
    assert len(done.cameras) == 12


def test_cameras_are_kept_though_what_is_learned_from_them_is_given_up(shots, tmp_path, looked):
    def hear(progress: float, stage: str, *_: object) -> None:
        if stage == "learning the shape":
            job.cancel()

    job = Job(hear)
    with pytest.raises(Cancelled):
        run(shots, tmp_path, job)
    assert run(shots, tmp_path).faces and looked == ["looked"]


@pytest.mark.parametrize("changed", ["pictures", "code", "no cache"])
def test_cameras_are_found_anew_where_they_may_be_others(shots, tmp_path, looked, monkeypatch, changed):
    run(shots, tmp_path, cached=changed != "no cache")
    if changed == "code":
        monkeypatch.setattr(code, "of_cameras", lambda: "other")
    if changed == "pictures":
        os.utime(shots / "00.png", (0, 0))  # of a list of cameras, whose pictures are many, time and size tell
    run(shots, tmp_path, preset="balanced", options={**OPTIONS, "subject": "scene"})
    assert looked == ["looked"] * 2


def test_no_cameras_are_looked_for_where_the_engine_is_not_here(shots, tmp_path, looked):
    with pytest.raises(MethodUnavailable, match="needs nerfstudio"):
        run(shots, tmp_path, network="nerfacto")
    assert not looked


def test_what_is_learned_is_shown_and_can_be_enough_and_is_then_not_kept(shots, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "PREVIEW_SECONDS", 0.0)
    seen, told = [], []

    def show(file) -> None:
        told.append(file)
        if file:
            seen.append(Image.open(file).size)
            job.end_early()

    job = Job(lambda *_: None, show)
    done = run(shots, tmp_path, job, previews=str(tmp_path))
    assert seen and max(seen[0]) <= 128 and done.faces
    assert told[-1] is None and None not in told[:-1]
    assert any("ended early" in warning for warning in done.warnings)
    monkeypatch.setattr(training, "PREVIEW_SECONDS", 60.0)
    again = run(shots, tmp_path)
    assert not again.from_cache and not any("ended early" in warning for warning in again.warnings)


def test_that_it_is_enough_comes_too_late_once_all_is_learned_and_changes_nothing(shots, tmp_path):
    def hear(progress: float, stage: str, *_: object) -> None:
        if stage == "cleaning":
            job.end_early()

    job = Job(hear)
    run(shots, tmp_path, job)
    assert job.is_enough() and run(shots, tmp_path).from_cache


def test_one_photo_is_not_enough_for_the_model_for_several(shots, tmp_path):
    with pytest.raises(Unable) as caught:
        run(shots / "00.png", tmp_path, network="photos")
    assert len(str(caught.value).splitlines()) == 1


def test_learned_splats_are_kept_beside_the_mesh_that_is_made_of_them(shots, tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "PRESETS", {"fast": learn.Plan((SIDE,), (60,), 600, 0, 32)})
    (tmp_path / "maps").mkdir()
    options = {**OPTIONS, "splats": 300}
    done = run(shots, tmp_path, options=options, network="splats", maps=str(tmp_path / "maps"))
    kept = spz.decode((tmp_path / "maps" / "ball.spz").read_bytes())
    assert not done.splats and done.faces > 100 and 150 < len(kept) <= 300
    again = run(shots, tmp_path, options=options, network="splats")
    assert again.from_cache and again.faces == done.faces
    assert np.percentile(kept.centres, (5, 95), axis=0).mean(0)[1] == pytest.approx(1.0, abs=0.2)  # where the mesh is
