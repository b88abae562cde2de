# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos to a field and back from what is kept of it: the same mesh, the same pixels."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.tests.methods import ball
from image_to_3d.worker.cameras.estimate import registered
from image_to_3d.worker.core.errors import Cancelled, MethodUnavailable, Unsure
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from image_to_3d.worker.methods.method import Task
from image_to_3d.worker.methods.multiview_fit import METHODS, Options, fit, grid_training
from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import load
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image

PLAN = Plan(32, 256, (Stage("density", 12, 20), Stage("surface", 16, 20)))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(grid_training, "PRESETS", {"fast": PLAN})


def job() -> Job:
    return Job(lambda *_: None)


@pytest.fixture
def photos(tmp_path: Path) -> Inputs:
    """Twelve photos of a ball with noise in their colours, half of them darker, with their cameras."""
    folder, dice, frames = tmp_path / "ball", np.random.default_rng(0), []
    folder.mkdir()
    for number, view in enumerate(ball.capture().views):
        rgb = (view.rgb.astype(int) + dice.integers(-40, 40, view.rgb.shape)).clip(0, 255) * (0.7 if number % 2 else 1)
        Image.fromarray(np.dstack([rgb, view.mask]).astype(np.uint8)).save(folder / f"{number:02}.png")
        focal = {"fl_x": view.camera.fx, "fl_y": view.camera.fy}
        frames.append({"file_path": f"{number:02}.png", "transform_matrix": scene.to_opengl(view), **focal})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    return Inputs((), cameras=folder / "transforms.json")


def bent(inputs: Inputs) -> Inputs:
    """The same, taken through a lens."""
    content = json.loads(inputs.cameras.read_text())
    inputs.cameras.write_text(json.dumps({**content, "k1": -0.15}))
    return inputs


def task(inputs: Inputs, network: str = "photos") -> Task:
    [row] = [row for method in METHODS for row in method.networks if row.name == network]
    cameras = registered(inputs, job()) if inputs.cameras else None
    return Task(inputs, row, Options("fast", "auto"), "cpu", WeightStore(Path("none")), cameras=cameras)


def fitted(inputs: Inputs) -> Field:
    return fit.run(task(inputs), None, job())


def through_a_file(field: Field, inputs: Inputs, tmp_path: Path) -> Field:
    kept = cache.Cache(tmp_path / "cache")
    kept.save_arrays("key", field.to_arrays())
    return fit.restored(kept.load_arrays("key"), task(inputs), job())


def of_files(inputs: Inputs, allow: bool, missing: int) -> Task:
    """The same without the list: with the cameras of all photos, but for the first few."""
    asked = task(inputs)
    pictures = tuple(load(inputs.cameras.parent / name) for name in asked.cameras.pictures)
    parts = {name: getattr(asked.cameras, name)[missing:] for name in ("lenses", "rotations", "positions")}
    cameras = dataclasses.replace(asked.cameras, pictures=tuple(range(missing, len(pictures))), **parts)
    options = Options("fast", "auto", allow)
    return dataclasses.replace(asked, inputs=Inputs(pictures), cameras=cameras, options=options)


def mesh_bytes(field: Field) -> list[bytes]:
    mesh = isosurface(field.value, field.bounds, 24, lambda *_: None)
    return [mesh.vertices.tobytes(), mesh.faces.tobytes(), field.colour(mesh.vertices.astype(np.float32)).tobytes()]


@pytest.mark.parametrize("lens", [False, True])
def test_a_restored_field_is_the_fitted_one_to_the_bit(photos, tmp_path, lens):
    inputs = bent(photos) if lens else photos
    field = fitted(inputs)
    again = through_a_file(field, inputs, tmp_path)
    assert mesh_bytes(field) == mesh_bytes(again)
    assert field.notes == again.notes and field.notes and len(field.views) == len(again.views) == 12
    for one, other in zip(field.views, again.views):
        assert (one.rgb == other.rgb).all() and (one.mask == other.mask).all()
        assert (one.rotation == other.rotation).all() and (one.position == other.position).all()
        assert (one.camera, one.name, one.exact) == (other.camera, other.name, other.exact)


def test_views_are_the_photos_pixels_but_for_the_exposure_that_was_learned(photos, monkeypatch):
    """And of photos that are kept without loss, with nothing to be evened, exactly theirs."""
    field = fitted(photos)
    gains = field.to_arrays()["gains"]
    for number, view in enumerate(field.views):
        true = np.asarray(Image.open(photos.cameras.parent / f"{view.name}.png"))
        assert (view.rgb == np.rint((true[..., :3] / gains[number]).clip(0, 255))).all()
        assert (view.mask == true[..., 3]).all()
    assert 0.0 < np.ptp(gains) < 1.0
    monkeypatch.setattr(grid_training, "_EXPOSURE", 0.0)
    for view in fitted(photos).views:
        assert (view.rgb == np.asarray(Image.open(photos.cameras.parent / f"{view.name}.png"))[..., :3]).all()


def test_what_is_kept_holds_no_picture(photos):
    arrays = fitted(photos).to_arrays()
    raw = 24 * 24 * 3
    assert all(values.nbytes < raw / 2 for name, values in arrays.items() if name.startswith("mask"))
    assert not [name for name in arrays if "rgb" in name or "photo" in name]


def test_masks_that_were_told_by_a_dark_backdrop_are_kept(photos, tmp_path):
    for path in photos.cameras.parent.glob("*.png"):
        values = np.asarray(Image.open(path))
        Image.fromarray(values[..., :3] * (values[..., 3:] > 128)).save(path)
    field = fitted(photos)
    again = through_a_file(field, photos, tmp_path)
    assert all(
        view.mask is not None and (view.mask == other.mask).all() for view, other in zip(field.views, again.views)
    )
    assert "brightness" in field.notes[-1] and field.notes == again.notes


def test_below_two_thirds_of_the_photos_nothing_is_made_unless_that_is_allowed(photos):
    with pytest.raises(Unsure) as caught:
        fit.run(of_files(photos, False, 5), None, job())
    said = str(caught.value)
    assert said.startswith("only 7 of 12 pictures have found their place")
    assert "not placed: 00, 01, 02, 03, 04: take more photos between" in said and "go on with the 7" in said
    assert caught.value.option == "allow_partial" in {each.name for each in dataclasses.fields(Options)}
    assert len(fit.run(of_files(photos, True, 5), None, job()).views) == 7
    assert len(fit.run(of_files(photos, False, 4), None, job()).views) == 8  # just two thirds


def test_what_is_kept_of_a_part_of_the_photos_is_asked_about_again(photos):
    allowed = of_files(photos, True, 5)
    arrays = fit.run(allowed, None, job()).to_arrays()
    assert len(fit.restored(arrays, allowed, job()).views) == 7
    with pytest.raises(Unsure):
        fit.restored(arrays, of_files(photos, False, 5), job())


@pytest.mark.parametrize("engine", ["nerfacto", "neus-facto"])
def test_a_network_that_is_not_here_is_refused(engine, monkeypatch):
    monkeypatch.setattr(fit, "find_spec", lambda name: None)
    with pytest.raises(MethodUnavailable, match=f"the network {engine} needs nerfstudio.*--name nerf"):
        fit.run(task(Inputs(()), engine), None, job())


def test_a_learned_field_is_restored_without_nerfstudio(photos, monkeypatch):
    arrays = fitted(photos).to_arrays()
    monkeypatch.setitem(sys.modules, "nerfstudio", None)
    assert fit.restored(arrays, task(photos), job()).views


def test_a_cancel_is_heard_while_pictures_are_straightened_again(photos):
    arrays, stopped = fitted(photos).to_arrays(), job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        fit.restored(arrays, task(photos), stopped)
