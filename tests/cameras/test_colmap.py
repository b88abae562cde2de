# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects of COLMAP, as its own library writes them: their cameras and points are read, or refused in one sentence."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.readers import colmap
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.gather import gather
from image_to_3d.worker.pictures.look import look
from PIL import Image

pycolmap = pytest.importorskip("pycolmap")

VIEWS = scene.ring(8, 360, 25.0, 96)
TURN = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]  # COLMAP's world has any axes
TURN *= np.linalg.det(TURN)
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * scene.SIZE


def quiet() -> Job:
    return Job(lambda *_: None)


def read(path: Path) -> Capture:
    inputs = gather([path], quiet())
    found = Registration.from_arrays(registered(inputs, quiet()).to_arrays())
    return capture_of(inputs, found, quiet())


def model(camera=("SIMPLE_RADIAL", lambda c: (c.fx, c.cx, c.cy, 0.0)), count: int = 8) -> pycolmap.Reconstruction:
    """The first of the views, and points on the box."""
    made, name, numbers = pycolmap.Reconstruction(), *camera
    c = VIEWS[0].camera
    made.add_camera_with_trivial_rig(pycolmap.Camera(camera_id=1, model=name, width=96, height=96, params=numbers(c)))
    for number, view in enumerate(VIEWS[:count]):
        image = pycolmap.Image(name=f"frame {number}.png", camera_id=1, image_id=number + 1)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D((1.0, 2.0))] * 64)
        rotation, position = view.rotation @ TURN.T, TURN @ view.position
        made.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ position))
    for number in range(64):
        track = pycolmap.Track([pycolmap.TrackElement(k + 1, number) for k in range(count)])
        made.add_point3D(TURN @ (CORNERS[number % 8] * (1.0 - number / 1000)), track, np.zeros(3, np.uint8))
    return made


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    shape = scene.painted_box()
    return [scene.photo(shape, view, "").rgb for view in VIEWS]


@pytest.fixture
def project(tmp_path, pictures):
    """A folder as COLMAP's users have it."""
    (tmp_path / "images").mkdir()
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    (tmp_path / "sparse" / "1").mkdir()
    for number, rgb in enumerate(pictures):
        Image.fromarray(rgb).save(tmp_path / "images" / f"frame {number}.png")
    return tmp_path


def assert_true(capture: Capture) -> None:
    assert [view.name for view in capture.views] == [f"frame {number}" for number in range(8)]
    assert scene.rotation_errors(capture.views, VIEWS).max() < 1e-3
    sides = np.sort(capture.bounds[1] - capture.bounds[0])
    assert np.allclose(sides / sides[-1], np.sort(scene.SIZE) / scene.SIZE.max(), atol=0.5)


@pytest.mark.parametrize("text", [False, True])
def test_a_project_brings_its_cameras_and_its_points_along(project, text):
    folder = project / "sparse" / "0"
    (model().write_text if text else model().write_binary)(str(folder))
    capture = read(project)
    assert_true(capture)
    assert capture.notes == ("8 pictures with cameras from COLMAP's 0/" + ("images.txt" if text else "images.bin"),)
    assert len(capture.points) == 64
    assert_true(read(folder / ("images.txt" if text else "images.bin")))  # chosen as a file
    assert look([project]).count == 8


def test_the_largest_of_several_models_is_read(project):
    model(count=3).write_binary(str(project / "sparse" / "0"))
    model().write_binary(str(project / "sparse" / "1"))
    assert look([project]).cameras == project / "sparse" / "1" / "images.bin"


@pytest.mark.parametrize(
    "camera",
    [
        ("SIMPLE_PINHOLE", lambda c: (c.fx, c.cx, c.cy)),
        ("PINHOLE", lambda c: (c.fx, c.fy, c.cx, c.cy)),
        ("RADIAL", lambda c: (c.fx, c.cx, c.cy, 0.01, 0.0)),
        ("OPENCV", lambda c: (c.fx, c.fy, c.cx, c.cy, 0.01, 0.0, 0.001, 0.0)),
        ("OPENCV_FISHEYE", lambda c: (c.fx, c.fy, c.cx, c.cy, 0.01, 0.0, 0.0, 0.0)),
        ("FULL_OPENCV", lambda c: (c.fx, c.fy, c.cx, c.cy, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
        ("SIMPLE_RADIAL_FISHEYE", lambda c: (c.fx, c.cx, c.cy, 0.01)),
        ("RADIAL_FISHEYE", lambda c: (c.fx, c.cx, c.cy, 0.01, 0.0)),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_every_lens_of_colmap_keeps_its_numbers(project, camera, text):
    folder = project / "sparse" / "0"
    made = model(camera)
    (made.write_text if text else made.write_binary)(str(folder))
    found = colmap.read(folder / ("images.txt" if text else "images.bin"), quiet())
    rays = np.array([[0.1, 0.2], [-0.15, 0.05], [0.0, 0.0]])
    true = made.cameras[1].img_from_cam(np.hstack([rays, np.ones((3, 1))]))
    assert np.allclose(np.stack(found.lenses[0].distorted(*rays.T), -1), true, atol=1e-6)


@pytest.mark.parametrize("camera", [("FOV", lambda c: (c.fx, c.fy, c.cx, c.cy, 0.5))])
def test_a_lens_that_is_not_read_is_named(project, camera):
    model(camera).write_binary(str(project / "sparse" / "0"))
    with pytest.raises(Unable, match="taken with a FOV camera"):
        read(project)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
@pytest.mark.parametrize("text", [False, True])
def test_damage_anywhere_gives_cameras_or_one_sentence(project, name, text):
    folder = project / "sparse" / "0"
    (model().write_text if text else model().write_binary)(str(folder))
    file, dice = folder / f"{name}.{'txt' if text else 'bin'}", np.random.default_rng(3)
    list_of_images = folder / ("images.txt" if text else "images.bin")
    whole, said = file.read_bytes(), 0
    for number in range(60):
        damaged = bytearray(whole)
        if number % 3:
            for place in dice.integers(0, min(len(whole), (40, 400)[number % 2]), 3):
                damaged[place] = dice.integers(256)
        else:
            damaged = damaged[: dice.integers(len(whole))]
        file.write_bytes(damaged)
        try:
            colmap.read(list_of_images, quiet())
        except Unable as error:
            said += 1
            assert "\n" not in str(error) and len(str(error)) < 700
    assert said


def test_more_entries_than_bytes_take_no_memory(project):
    folder = project / "sparse" / "0"
    model().write_binary(str(folder))
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 1 << 60))
    with pytest.raises(Unable, match=r"0/images\.bin cannot be read"):
        read(project)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_model_with_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 0))
    os.mkfifo(tmp_path / "cameras.bin")
    with pytest.raises(Unable, match="pipe"):
        colmap.read(tmp_path / "images.bin", quiet())
