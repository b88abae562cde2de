# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.cameras.registration import Registration
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures import load
from image_to_3d.worker.pictures.gather import gather
from PIL import Image

VIEWS = scene.ring(6, 360, 25.0, 96)
SHAPE = scene.painted_box()


def job() -> Job:
    return Job(lambda *_: None)


def read(path: Path, job: Job | None = None) -> Capture:
    job = job or Job(lambda *_: None)
    inputs = gather([path], job)
    return capture_of(inputs, registered(inputs, job), job)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures with alpha, and a transforms.json as NeRF's synthetic scenes have it."""
    (tmp_path / "train").mkdir()
    frames = []
    for number, view in enumerate(VIEWS):
        picture = scene.photo(SHAPE, view, "", alpha=True)
        Image.fromarray(np.dstack([picture.rgb, picture.alpha])).save(tmp_path / "train" / f"r_{number}.png")
        frames.append({"file_path": f"./train/r_{number}", "transform_matrix": scene.to_opengl(view)})
    write(tmp_path, {"camera_angle_x": np.radians(40.0), "frames": frames})
    return tmp_path


def write(folder: Path, content: object) -> None:
    (folder / "transforms.json").write_text(json.dumps(content))


def edited(folder: Path) -> dict:
    return json.loads((folder / "transforms.json").read_text())


def test_cameras_see_the_thing_where_the_pictures_show_it(folder):
    capture = read(folder / "transforms.json")
    assert [view.name for view in capture.views] == [f"r_{number}" for number in range(6)]
    assert not capture.unbounded and np.isclose(np.ptp(capture.bounds, axis=0).max(), 1.0)
    assert np.allclose(capture.bounds.mean(0), 0.0)
    found, true = capture.views, VIEWS
    assert scene.rotation_errors(found, true).max() < 1e-3
    a, b = (np.stack([view.position for view in views]) for views in (found, true))
    distances = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (a, b)]
    ratio = distances[0][~np.eye(6, dtype=bool)] / distances[1][~np.eye(6, dtype=bool)]
    assert np.ptp(ratio) < 1e-6 and a[:, 2].min() > 0
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    box = capture.bounds[0] + corners * np.ptp(capture.bounds, axis=0)
    for view in capture.views:
        p = (box - view.position) @ view.rotation.T
        u = p[:, 0] / p[:, 2] * view.camera.fx + view.camera.cx
        shown = np.flatnonzero((view.mask > 128).any(0))
        assert u.min() <= shown[0] + 1 and u.max() >= shown[-1]


@pytest.mark.parametrize("where", ["top", "frame"])
def test_focal_lengths_stand_once_or_in_each_frame_and_for_other_pixels(folder, where):
    content, focal = edited(folder), 48.0 / np.tan(np.radians(20.0))
    del content["camera_angle_x"]
    lens = {"fl_x": 4 * focal, "fl_y": 4 * focal, "cx": 192.0, "cy": 192.0, "w": 384, "h": 384}
    for target in [content] if where == "top" else content["frames"]:
        target.update(lens)
    write(folder, content)
    camera = read(folder / "transforms.json").views[0].camera
    assert np.allclose((camera.fx, camera.fy, camera.cx, camera.cy), (focal, focal, 48, 48))


def test_pictures_of_a_bent_lens_are_straightened(folder):
    content = edited(folder)
    write(folder, {**content, "k1": -0.2, "camera_model": "OPENCV"})
    straight = read(folder / "transforms.json").views[0].rgb
    write(folder, content)
    assert (straight != read(folder / "transforms.json").views[0].rgb).mean() > 0.1


def spoil(content: dict) -> dict[str, str]:
    """Four frames spoilt, each in its way, and what has to be said about each."""
    frames = content["frames"]
    frames[0]["file_path"] = "./train/gone"
    frames[1]["transform_matrix"] = np.diag([1.0, 1.0, 0.0, 1.0]).tolist()
    frames[2]["transform_matrix"][0][0] = float("nan")
    frames[3]["transform_matrix"] = [[1, 2], [3, 4]]
    return {"r_1": "singular", "r_2": "not finite", "r_3": "4 x 4", "gone": "missing"}


def test_frames_that_are_wrong_are_left_out_and_named(folder):
    content = edited(folder)
    said = spoil(content)
    write(folder, content)
    capture = read(folder / "transforms.json")
    assert [view.name for view in capture.views] == ["r_4", "r_5"]
    note = next(note for note in capture.notes if "left out" in note)
    assert "4 of 6" in note and all(name in note and reason in note for name, reason in said.items())


def test_a_mirrored_camera_is_no_camera_and_a_scaled_one_is(folder):
    content = edited(folder)
    for number, factor in ((0, (-1.0, 1.0, 1.0)), (1, (3.0, 3.0, 3.0))):
        matrix = np.array(content["frames"][number]["transform_matrix"])
        matrix[:3, :3] *= factor
        content["frames"][number]["transform_matrix"] = matrix.tolist()
    write(folder, content)
    capture = read(folder / "transforms.json")
    assert [view.name for view in capture.views] == [f"r_{number}" for number in range(1, 6)]
    assert scene.rotation_errors(capture.views, VIEWS[1:]).max() < 1e-3


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "not valid JSON"),
        ("[]", "no frames"),
        ('{"frames": []}', "no frames"),
        ('{"frames": [{"transform_matrix": 3}]}', "0 usable pictures of 1"),
        ('{"frames": [7, {"file_path": "x.png"}]}', "0 usable pictures of 2"),
    ],
)
def test_a_file_that_is_no_list_of_cameras_is_told_in_one_sentence(tmp_path, content, words):
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(Unable, match=words) as raised:
        read(tmp_path / "transforms.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"camera_angle_x": None}, "neither camera_angle_x nor fl_x"),
        ({"camera_angle_x": 40.0}, "no field of view"),
        ({"camera_angle_x": "wide"}, "not a number"),
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR"),
        ({"camera_model": "THIN_PRISM_FISHEYE"}, "THIN_PRISM"),
        ({"camera_model": "FULL_OPENCV", "k5": 0.1}, "k5"),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, "p1"),
        ({"k1": 1e9}, "distortion"),
        ({"w": 0.4, "h": 0.4}, "no number of pixels"),
        ({"w": -96, "h": -96}, "no number of pixels"),
        ({"w": float("nan")}, "not a number"),
        ({"fl_x": 10**400}, "not a number"),
        ({"fl_x": 1e-200, "camera_angle_x": None}, "focal"),
        ({"cx": 1e12}, "does not fit"),
        ({"w": 400, "h": 200}, "does not fit"),
    ],
)
def test_cameras_that_make_no_sense_are_told_in_one_sentence(folder, change, words):
    write(folder, {**edited(folder), **change})
    with pytest.raises(Unable, match=words):
        read(folder / "transforms.json")


def test_a_folder_with_a_list_of_cameras_is_read_by_it(folder):
    assert len(read(folder).views) == 6


def test_reading_stops_when_it_should(folder):
    stopped = job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        read(folder / "transforms.json", stopped)


def test_middlebury_lists_are_read_and_missing_pictures_said(tmp_path):
    lines = ["7"]
    for number, view in enumerate(VIEWS):
        c, t = view.camera, -view.rotation @ view.position
        k = [c.fx, 0, c.cx - 0.5, 0, c.fy, c.cy - 0.5, 0, 0, 1]
        lines.append(" ".join(map(str, [f"{number}.png", *k, *view.rotation.ravel(), *t])))
        Image.fromarray(scene.photo(SHAPE, view, "", backdrop=0).rgb).save(tmp_path / f"{number}.png")
    lines.append(lines[-1].replace("5.png", "6.png"))
    (tmp_path / "box_par.txt").write_text("\n".join(lines))
    capture = read(tmp_path / "box_par.txt")
    assert scene.rotation_errors(capture.views, VIEWS).max() < 1e-3
    assert capture.notes[1].endswith(": 1") and not capture.unbounded
    (tmp_path / "box_par.txt").write_text("2\na.png 1 2 3\n")
    with pytest.raises(Unable, match="21 numbers"):
        read(tmp_path / "box_par.txt")


@pytest.mark.parametrize("stretch, is_read", [(1.005, True), (1.1, False)])
def test_axes_may_differ_in_length_by_what_rounding_does(folder, stretch, is_read):
    content = edited(folder)
    matrix = np.array(content["frames"][0]["transform_matrix"])
    matrix[:3, 0] *= stretch
    content["frames"][0]["transform_matrix"] = matrix.tolist()
    write(folder, content)
    assert ("r_0" in [view.name for view in read(folder / "transforms.json").views]) is is_read


@pytest.mark.parametrize("width, is_read", [(385, True), (430, False)])
def test_a_cameras_pixels_have_the_pictures_shape_but_for_rounding(folder, width, is_read):
    write(folder, {**edited(folder), "w": width, "h": 384})
    if is_read:
        assert len(read(folder / "transforms.json").views) == 6
    else:
        with pytest.raises(Unable, match="does not fit"):
            read(folder / "transforms.json")


def test_a_picture_that_is_cut_off_is_left_out_and_named(folder):
    path = folder / "train" / "r_2.png"
    path.write_bytes(path.read_bytes()[:-900])
    capture = read(folder / "transforms.json")
    assert [view.name for view in capture.views] == [f"r_{k}" for k in (0, 1, 3, 4, 5)]
    assert "r_2.png is damaged" in capture.notes[1]


def test_a_picture_that_was_turned_is_read_upright(folder):
    """Its pixels lie on their side, and EXIF says so; the camera is that of the upright picture."""
    upright = Image.open(folder / "train" / "r_0.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.crop((0, 8, 96, 88)).rotate(90, expand=True).save(folder / "train" / "turned.jpg", exif=exif, quality=95)
    content = edited(folder)
    content["frames"][0]["file_path"] = "train/turned.jpg"
    write(folder, content)
    [first, *_] = read(folder / "transforms.json").views
    assert (first.camera.width, first.camera.height) == (96, 80) and first.rgb.shape == (80, 96, 3)


def test_a_registration_survives_its_arrays(folder):
    inputs = gather([folder], Job(lambda *_: None))
    made = registered(inputs, Job(lambda *_: None))
    again = Registration.from_arrays(made.to_arrays())
    assert (again.pictures, again.lenses, again.axes_given, again.notes) == (
        made.pictures, made.lenses, made.axes_given, made.notes,
    )  # fmt: skip
    for name in ("rotations", "positions"):
        assert np.array_equal(getattr(again, name), getattr(made, name))
    found = dataclasses.replace(made, pictures=(0, 3), points=np.ones((2, 3)), sightings=np.array([3, 4]), notes=())
    again = Registration.from_arrays(found.to_arrays())
    assert again.pictures == (0, 3) and again.notes == () and again.sightings.tolist() == [3, 4]


def test_a_picture_that_is_reduced_when_it_is_read_has_a_camera_of_its_own_pixels(folder, monkeypatch):
    whole = read(folder / "transforms.json").views[0]
    monkeypatch.setattr(load, "MAX_SIDE", 48)
    small = read(folder / "transforms.json").views[0]
    assert small.rgb.shape == (48, 48, 3) and small.camera == whole.camera.scaled(48, 48)
