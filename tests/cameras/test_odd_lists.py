# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of cameras as other programs and other machines write them: read as they are meant, and said."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras import estimate
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.lens import Lens, straightened
from image_to_3d.worker.cameras.readers import transforms
from image_to_3d.worker.cameras.readers.conventions import as_meant
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.pictures.gather import gather
from PIL import Image

SHAPE = scene.painted_box()
VIEWS = scene.ring(8, 360, 25.0, 96)


def quiet() -> Job:
    return Job(lambda *_: None)


def read(path: Path) -> Capture:
    inputs = gather([path], quiet())
    found = registered(inputs, quiet())
    found = Registration.from_arrays(found.to_arrays())  # as a cache gives it back
    return capture_of(inputs, found, quiet())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures of 96 x 72 pixels without alpha, as COLMAP's users have them."""
    (tmp_path / "images").mkdir()
    frames = []
    for number, view in enumerate(VIEWS):
        rgb = scene.photo(SHAPE, view, "", backdrop=230).rgb[12:84]
        Image.fromarray(rgb).save(tmp_path / "images" / f"frame_{number}.png")
        frames.append({"file_path": f"images/frame_{number}.png", "transform_matrix": scene.to_opengl(view)})
    camera = VIEWS[0].camera
    lens = {"w": 96, "h": 72, "fl_x": camera.fx, "fl_y": camera.fy, "cx": 48.0, "cy": 36.0}
    write(tmp_path, {**lens, "frames": frames})
    return tmp_path


def write(folder: Path, content: dict) -> None:
    (folder / "transforms.json").write_text(json.dumps(content))


def edited(folder: Path) -> dict:
    return json.loads((folder / "transforms.json").read_text())


def changed(folder: Path, change) -> Capture:
    """The capture after a change of every frame."""
    content = edited(folder)
    for number, frame in enumerate(content["frames"]):
        change(number, frame)
    write(folder, content)
    return read(folder / "transforms.json")


def said(capture: Capture, words: str) -> bool:
    return any(words in note for note in capture.notes)


def assert_true(capture: Capture) -> None:
    assert len(capture.views) == len(VIEWS)
    assert scene.rotation_errors(capture.views, VIEWS).max() < 1e-3


def test_an_ordinary_list_says_nothing_but_how_many(folder):
    capture = read(folder / "transforms.json")
    assert_true(capture)
    assert len(capture.notes) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_as_windows_writes_it_is_read(folder, encoding):
    text = (folder / "transforms.json").read_text()
    (folder / "transforms.json").write_bytes(text.encode(encoding))
    assert_true(read(folder / "transforms.json"))


@pytest.mark.parametrize(
    "before", ["C:\\Users\\ann\\scan\\", "\\\\share\\scan\\", "/content/drive/MyDrive/scan/", "../x/"]
)
def test_pictures_of_another_machine_are_found_by_their_names_and_it_is_said(folder, before):
    def move(number, frame):
        frame["file_path"] = before + frame["file_path"].replace("/", "\\" if "\\" in before else "/")

    capture = changed(folder, move)
    assert_true(capture)
    assert said(capture, "8 files are not where transforms.json says")


def test_an_ending_in_the_other_case_is_the_same_file(folder):
    assert_true(changed(folder, lambda number, frame: frame.update(file_path=f"images/FRAME_{number}.PNG")))


def test_of_two_files_with_one_name_the_one_in_the_named_folder_is_taken_and_none_if_that_is_not_told(folder):
    shutil.copytree(folder / "images", folder / "depth" / "images_2")
    capture = changed(folder, lambda number, frame: frame.update(file_path=f"/gone/images/frame_{number}.png"))
    assert_true(capture)
    with pytest.raises(Unable, match="missing"):
        changed(folder, lambda number, frame: frame.update(file_path=f"/gone/frame_{number}.png"))


def test_two_frames_never_get_one_file_by_its_name_alone(folder):
    capture = changed(folder, lambda number, frame: frame.update(file_path=f"/{number}/images/frame_{number // 2}.png"))
    assert len(capture.views) == 4 and said(capture, "4 of 8 pictures are left out")


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000, "\ud800", "", "images", "/dev/zero", "../" * 900])
def test_names_that_no_file_has_are_missing(folder, name):
    with pytest.raises(Unable, match="missing") as raised:
        changed(folder, lambda number, frame: frame.update(file_path=name))
    assert len(str(raised.value)) < 700


def say(folder: Path, orientation: int) -> None:
    """Writes that orientation into the pictures, whose pixels stay: they are what the cameras mean."""
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            image.load()
            exif = image.getexif()
            exif[0x0112] = orientation
            image.save(path, exif=exif)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_cameras_of_pixels_as_they_lie_are_turned_with_the_pictures(folder, orientation):
    straight = read(folder / "transforms.json")
    say(folder, orientation)
    capture = read(folder / "transforms.json")
    assert said(capture, "8 pictures lie turned")
    for before, after in zip(straight.views, capture.views):
        points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3))
        assert (after.rgb.shape[:2] == before.rgb.shape[:2]) is (orientation == 3)
        assert np.abs(colours(before, points) - colours(after, points)).mean() < 12


def colours(view, points: np.ndarray) -> np.ndarray:
    p = (points - view.position) @ view.rotation.T
    u = p[:, 0] / p[:, 2] * view.camera.fx + view.camera.cx
    v = p[:, 1] / p[:, 2] * view.camera.fy + view.camera.cy
    return view.rgb[v.astype(int).clip(0, view.rgb.shape[0] - 1), u.astype(int).clip(0, view.rgb.shape[1] - 1)].astype(
        float
    )


def test_cameras_of_upright_pictures_are_told_by_their_size(folder):
    straight = read(folder / "transforms.json")
    for path in (folder / "images").iterdir():
        with Image.open(path) as image:
            lying = image.transpose(Image.Transpose.ROTATE_90)
            exif = image.getexif()
            exif[0x0112] = 6
            lying.save(path, exif=exif)
    capture = read(folder / "transforms.json")
    assert_true(capture)
    assert not said(capture, "turned") and (capture.views[0].rgb == straight.views[0].rgb).all()


def test_a_mirrored_picture_is_left_out_with_a_reason(folder):
    say(folder, 2)
    with pytest.raises(Unable, match="mirrored"):
        read(folder / "transforms.json")


def add_masks(folder: Path, value: int = 255, size: tuple[int, int] = (96, 72)) -> None:
    (folder / "masks").mkdir()
    for number in range(len(VIEWS)):
        mask = np.zeros((72, 96), np.uint8)
        mask[10:60, 30:70] = value
        Image.fromarray(mask).resize(size, Image.Resampling.NEAREST).save(folder / "masks" / f"{number}.png")


@pytest.mark.parametrize("value, size", [(255, (96, 72)), (1, (96, 72)), (255, (192, 144))])
def test_masks_are_used(folder, value, size):
    add_masks(folder, value, size)
    capture = changed(folder, lambda number, frame: frame.update(mask_path=f"masks/{number}.png"))
    assert said(capture, "masks of 8 pictures are used")
    assert all(view.mask is not None and 0.2 < (view.mask > 128).mean() < 0.4 for view in capture.views)


def test_masks_that_are_missing_or_damaged_are_counted(folder):
    add_masks(folder)
    (folder / "masks" / "0.png").write_bytes(b"no picture")
    (folder / "masks" / "1.png").unlink()
    capture = changed(folder, lambda number, frame: frame.update(mask_path=f"masks/{number}.png"))
    assert said(capture, "masks of 6 pictures are used, and 2 are missing")
    assert [view.mask is None for view in capture.views] == [True] * 2 + [False] * 6


def test_coordinates_of_a_map_lose_no_digits(folder):
    near = read(folder / "transforms.json")

    def move(number, frame):
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 3] += (500_000.0, 5_400_000.0, 300.0)
        frame["transform_matrix"] = matrix.tolist()

    far = changed(folder, move)
    assert np.allclose(far.bounds, near.bounds, atol=1e-5)
    for a, b in zip(near.views, far.views):
        assert np.allclose(a.position, b.position, atol=1e-5)


@pytest.mark.parametrize("matrix", [np.eye(4), np.diag([2.0, 2.0, 2.0, 1.0])])
def test_cameras_that_all_stand_in_one_place_are_one_sentence(folder, matrix):
    with pytest.raises(Unable, match="one place"):
        changed(folder, lambda number, frame: frame.update(transform_matrix=matrix.tolist()))


@pytest.mark.parametrize("number", [10**400, 1e300, 1e12, "x", None, [], {}])
def test_matrices_of_anything_are_one_sentence(folder, number):
    with pytest.raises(Unable, match="matrix"):
        changed(folder, lambda _, frame: frame.update(transform_matrix=[[number] * 4] * 4))


FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
WRONG = {
    "OpenCV's axes": lambda matrix: matrix @ FLIP,
    "take the world to the camera": lambda matrix: np.linalg.inv(matrix @ FLIP),
    "world to the camera": lambda matrix: np.linalg.inv(matrix),
}


@pytest.mark.parametrize("words", WRONG)
@pytest.mark.parametrize("world", ["as it is", "turned"])
def test_other_conventions_are_recognised_by_where_the_cameras_look(folder, words, world):
    turn = np.eye(4)
    if world == "turned":
        turn[:3, :3] = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
        turn[:3, 0] *= np.linalg.det(turn[:3, :3])

    def change(number, frame):
        frame["transform_matrix"] = WRONG[words](turn @ np.array(frame["transform_matrix"])).tolist()

    capture = changed(folder, change)
    assert said(capture, words)
    assert_true(capture)


@pytest.fixture(scope="module")
def sharp() -> list[np.ndarray]:
    """Larger pictures of the box, in which points can be found."""
    return [scene.photo(SHAPE, view, "", backdrop=230).rgb for view in scene.ring(12, 360, 25.0, 240)]


UPS = {"+Y": np.eye(3), "-Y": np.diag([1.0, -1.0, -1.0]), "+Z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]]}
UPS["-Z"] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]


@pytest.mark.parametrize("up", UPS)
@pytest.mark.parametrize("words", [*WRONG, ""])
def test_other_conventions_are_recognised_in_a_world_whose_axes_somebody_chose(tmp_path, sharp, up, words):
    """Of a world with up at -Y or -Z, OpenCV's axes look like those of one who stands in a room: the pictures tell."""
    pytest.importorskip("pycolmap")
    turn, views, frames = np.eye(4), scene.ring(12, 360, 25.0, 240), []
    turn[:3, :3] = UPS[up]
    for number, (rgb, view) in enumerate(zip(sharp, views)):
        Image.fromarray(rgb).save(tmp_path / f"{number}.png")
        matrix = turn @ np.array(scene.to_opengl(view))
        matrix = WRONG[words](matrix) if words else matrix
        frames.append({"file_path": f"{number}.png", "transform_matrix": matrix.tolist()})
    write(tmp_path, {"camera_angle_x": np.radians(40.0), "frames": frames})
    capture = read(tmp_path / "transforms.json")
    assert said(capture, words) if words else not said(capture, "matrices")
    assert scene.rotation_errors(capture.views, views).max() < 1e-3


def test_what_stands_upright_is_believed_where_pictures_do_not_say_otherwise():
    views = [dataclasses.replace(v, rotation=np.diag([-1.0, 1.0, -1.0]) @ v.rotation) for v in scene.ring(8, 360, 0.0)]
    poses = np.stack([v.rotation for v in views]), np.stack([v.position for v in views])
    for explained, odd in ((None, False), ([0.3, 0.5], False), ([0.0, 0.3], False), ([0.1, 0.8], True)):
        assert bool(as_meant(*poses, lambda _, explained=explained: explained)[2]) is odd


def test_somebody_who_looks_around_in_a_room_is_believed(folder):
    def outward(number, frame):
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 0] *= -1.0  # turned about its own up axis
        matrix[:3, 2] *= -1.0
        level = np.arctan2(matrix[1, 2], matrix[0, 2])
        back, up = np.array([np.cos(level), np.sin(level), 0.0]), np.array([0.0, 0.0, 1.0])
        matrix[:3, :3] = np.stack([np.cross(up, back), up, back], axis=1)
        frame["transform_matrix"] = matrix.tolist()

    assert not said(changed(folder, outward), "matrices")


def test_of_very_many_frames_some_are_read_evenly(folder, monkeypatch):
    monkeypatch.setattr(transforms, "MOST_PICTURES", 4)
    capture = read(folder / "transforms.json")
    assert len(capture.views) == 4 and said(capture, "4 of 8 pictures are used")


def test_pictures_together_have_a_bound(folder, monkeypatch):
    monkeypatch.setattr(estimate, "MOST_PIXELS", 8 * 48 * 36)
    capture = read(folder / "transforms.json")
    assert_true(capture)
    assert sum(view.rgb.shape[0] * view.rgb.shape[1] for view in capture.views) <= 8 * 48 * 36 * 1.05


@pytest.mark.parametrize(
    "lens",
    [
        {"camera_model": "OPENCV", "k1": -0.1, "k2": 0.02, "k3": 0.05, "k4": 0.01},
        {"camera_model": "FULL_OPENCV", "k1": -0.1, "k2": 0.02, "k3": 0.05, "k4": 0.0, "k5": 0.0, "k6": 0.0},
        {"camera_model": "OPENCV_FISHEYE", "k1": 0.02, "k2": 0.0, "k3": 0.0, "k4": 0.0},
    ],
)
def test_lenses_with_more_terms_are_read(folder, lens):
    write(folder, {**edited(folder), **lens})
    assert_true(read(folder / "transforms.json"))


def test_a_fisheye_sees_a_ray_where_its_model_says():
    lens = Lens(PinholeCamera(200, 200, 80.0, 80.0, 100.0, 100.0), k1=0.05, k3=-0.01, fisheye=True)
    angle = np.radians(40.0)
    u, v = lens.distorted(np.array([0.0, np.tan(angle)]), np.array([0.0, 0.0]))
    assert (
        np.allclose(u, [100.0, 100.0 + 80.0 * angle * (1.0 + 0.05 * angle**2 - 0.01 * angle**6)]) and (v == 100).all()
    )
    picture, _, camera = straightened(np.full((200, 200, 3), 7, np.uint8), None, lens)
    assert (picture == 7).all() and 0.0 < camera.fx < 400.0


def test_a_turned_lens_sees_the_turned_ray_at_the_turned_pixel():
    turn = np.array([[0, -1], [1, 0]])
    lens = Lens(PinholeCamera(200, 120, 90.0, 80.0, 110.0, 50.0), 0.1, -0.02, 0.01, 0.03)
    x, y = np.array([0.3, -0.2]), np.array([0.1, 0.25])
    u, v = lens.distorted(x, y)
    a, b = lens.turned(turn).distorted(*(turn @ np.stack([x, y])))
    assert np.allclose(turn @ np.stack([u - 100.0, v - 60.0]), np.stack([a - 60.0, b - 100.0]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
@pytest.mark.parametrize("name", ["transforms.json", "x_par.txt"])
def test_a_list_that_is_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(Unable, match="pipe"):
        registered(gather([tmp_path / name], quiet()), quiet())
