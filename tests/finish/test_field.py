# SPDX-License-Identifier: GPL-3.0-or-later
"""From a field to a finished thing: upright, facing the viewer, sized, closed, with the photo where it fits."""

import dataclasses

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Field
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish.asset import Asset
from image_to_3d.worker.finish.dispatch import finished
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.pipeline.select import settings

TO_GLTF = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # x to the viewer, y right, z up
FACING = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
SIDE, DISTANCE, FOCAL = 160, 3.0, 240.0


def block(points: np.ndarray) -> np.ndarray:
    """Half sides 0.3 to the viewer, 0.2 across, 0.5 up; a lump of 0.1 on top; a crumb far away."""
    box = (np.array([0.3, 0.2, 0.5]) - np.abs(points)).min(axis=1)
    lump = 0.1 - np.linalg.norm(points - (0.0, 0.0, 0.55), axis=1)
    crumb = 0.03 - np.linalg.norm(points - (0.0, 0.7, 0.7), axis=1)
    return np.maximum(np.maximum(box, lump), crumb).astype(np.float32)


def green(points: np.ndarray) -> np.ndarray:
    return np.tile(np.float32([0.1, 0.6, 0.1]), (len(points), 1))


def seen_subject() -> np.ndarray:
    """The block's outline from the camera, (SIDE, SIDE) uint8."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    x, y = (columns - SIDE / 2) / FOCAL, (SIDE / 2 - rows) / FOCAL
    near, top = DISTANCE - 0.3, DISTANCE
    inside = (np.abs(x) * near < 0.2) & (np.abs(y) * near < 0.5)
    return np.uint8(255) * (inside | (np.hypot(x * top, y * top - 0.55) < 0.1)).astype(np.uint8)


def field(value=block, mask=None, rgb=None) -> Field:
    """Of a red photo, where no other is given."""
    camera = PinholeCamera(SIDE, SIDE, FOCAL, FOCAL, SIDE / 2, SIDE / 2)
    rgb = np.zeros((SIDE, SIDE, 3), np.uint8) + np.uint8([200, 30, 30]) if rgb is None else rgb
    view = View(camera, FACING, np.array([DISTANCE, 0.0, 0.0]), rgb, mask, exact=False)
    return Field(value, green, np.array([[-0.8] * 3, [0.8] * 3]), TO_GLTF, dict, (view,))


def made(found: Field, job: Job | None = None, **chosen) -> Asset:
    options = settings(with_network("triposr")[0], "fast", {"grid": 64, "faces": 2000, "texture": 128, **chosen})
    return finished(found, options.finish, job or Job(lambda *_: None))


def welded(mesh) -> np.ndarray:
    """Faces with the copies of vertices along seams made one again."""
    _, number = np.unique(mesh.vertices, axis=0, return_inverse=True)
    return number.ravel()[mesh.faces]


def colours_towards(mesh, direction) -> np.ndarray:
    """(N, 3) texture colours at the middles of the faces that look that way."""
    corners = mesh.vertices[mesh.faces].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    chosen = normal @ np.asarray(direction, float) > 0.95 * np.linalg.norm(normal, axis=1)
    uv = mesh.uv[mesh.faces[chosen]].mean(axis=1)
    size = mesh.texture.shape[0]
    return mesh.texture[(uv[:, 1] * size).astype(int), (uv[:, 0] * size).astype(int)]


def test_a_field_becomes_a_closed_thing_that_stands_upright_and_faces_the_viewer():
    asset = made(field(), size=1.6, smooth=0)
    low, high = asset.mesh.bounds
    across, up, deep = high - low
    assert up == pytest.approx(1.6, abs=1e-3) and low[1] == pytest.approx(0, abs=1e-3)
    assert across / up == pytest.approx(0.4 / 1.15, abs=0.02) and deep / up == pytest.approx(0.6 / 1.15, abs=0.02)
    assert is_closed(welded(asset.mesh)) and not asset.double_sided
    assert len(asset.mesh.faces) <= 2000
    top = asset.mesh.vertices[asset.mesh.vertices[:, 1] > 1.5]
    assert np.abs(top[:, [0, 2]]).max() < 0.2  # the lump is above


def with_a_lump(points: np.ndarray) -> np.ndarray:
    """The block, and beside it a ball with a fifteenth of its surface."""
    return np.maximum(block(points), 0.12 - np.linalg.norm(points - (0.0, 0.6, 0.0), axis=1)).astype(np.float32)


def test_a_lump_beside_the_thing_stays_only_where_the_outline_shows_two_things():
    alone = seen_subject()
    both = alone.copy()
    both[70:90, 118:138] = 255
    parts = [trimesh.Trimesh(*sides).body_count for sides in map(closed_of, (alone, both, None))]
    assert parts == [1, 2, 2]


def closed_of(mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    mesh = made(field(with_a_lump, mask), photo=False).mesh
    return mesh.vertices, mesh.faces


def test_the_photo_is_the_texture_where_it_sees_the_thing_and_the_field_behind_it():
    mesh = made(field(mask=seen_subject())).mesh
    front, back = colours_towards(mesh, (0, 0, 1)).astype(int), colours_towards(mesh, (0, 0, -1)).astype(int)
    assert np.median(front, axis=0) == pytest.approx([200, 30, 30], abs=6)
    assert len(back) and (np.abs(back - [200, 30, 30]).sum(axis=1) > 60).all()
    plain = made(field(mask=seen_subject()), photo=False).mesh
    assert np.median(colours_towards(plain, (0, 0, 1)), axis=0) == pytest.approx([25, 153, 25], abs=4)


def test_the_camera_sees_the_thing_where_the_photo_shows_it():
    asset = made(field(mask=seen_subject()), size=1.15, origin="base")
    [camera] = asset.cameras
    x, y, z = camera.position
    assert (x, z) == pytest.approx((0.0, DISTANCE), abs=0.15) and y == pytest.approx(0.5, abs=0.1)
    assert camera.rotation[0] == pytest.approx(1.0, abs=0.01)
    assert (camera.width, camera.height) == (SIDE, SIDE)


def test_each_view_comes_back_as_a_camera_and_its_photo_in_the_same_order():
    found = field(mask=seen_subject())
    [view] = found.views
    views = [dataclasses.replace(view, name=name, exact=True) for name in ("first", "second")]
    asset = made(dataclasses.replace(found, views=tuple(views)))
    assert [camera.name for camera in asset.cameras] == [photo.name for photo in asset.photos] == ["first", "second"]
    assert all(photo.rgb is view.rgb for photo in asset.photos)
    for photo in asset.photos:  # in glTF's axes, before the mesh was sized
        assert photo.position == pytest.approx([0.0, 0.0, DISTANCE])
        assert photo.rotation == pytest.approx(np.diag([1.0, -1.0, -1.0]))


def test_field_of_view_and_shift_describe_the_photos_frame():
    """Blender's: a shift of 1 is one longer side of the picture; all pixels are square."""
    found = field()
    view = View(PinholeCamera(64, 48, 50.0, 60.0, 33.0, 22.5), FACING, np.array([DISTANCE, 0.0, 0.0]), name="askew")
    [camera] = made(dataclasses.replace(found, views=(view,)), photo=False).cameras
    assert (camera.width, camera.height) == (64, 40)
    assert np.tan(np.radians(camera.fov_degrees) / 2.0) * 50.0 == pytest.approx(32.0)
    assert camera.shift == pytest.approx((-1.0 / 64.0, (22.5 - 24.0) * 50.0 / 60.0 / 64.0))


def test_a_camera_without_a_picture_is_a_camera_and_colours_nothing():
    found = field(mask=seen_subject())
    alone = dataclasses.replace(found, views=(View(found.views[0].camera, FACING, np.array([DISTANCE, 0.0, 0.0])),))
    asset = made(alone)
    assert len(asset.cameras) == 1 and asset.photos == () and asset.warnings == ()
    assert np.median(colours_towards(asset.mesh, (0, 0, 1)), axis=0) == pytest.approx([25, 153, 25], abs=4)
    assert made(dataclasses.replace(alone, views=(*alone.views, *found.views))).photos == ()


def slanted(points: np.ndarray) -> np.ndarray:
    """The block, cut behind so that it looks the same from the front and no side is like another."""
    return np.minimum(block(points), 0.15 + points @ np.float32([1.0, 0.9, 0.35])).astype(np.float32)


@pytest.mark.parametrize("value, words", [(block, "mirror image"), (slanted, "patches of what it shows")])
def test_a_shape_without_colours_has_those_of_the_photo_mirrored_or_in_patches_and_says_which(value, words):
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[:, :, 0] = np.where(np.arange(SIDE)[:, None] // 8 % 2, 240, 20)
    asset = made(dataclasses.replace(field(value, seen_subject(), stripes), colour=None))
    assert [words in said for said in asset.warnings] == [True]
    front, back = colours_towards(asset.mesh, (0, 0, 1)), colours_towards(asset.mesh, (0, 0, -1))
    assert np.ptp(front[:, 0].astype(int)) > 150
    assert np.ptp(back[:, 0].astype(int)) > (150 if value is block else 80), "the stripes go on behind"


def test_a_photo_of_another_outline_is_not_smeared_over_the_thing():
    other = np.zeros((SIDE, SIDE), np.uint8)
    other[70:74, 10:150] = 255
    asset = made(field(mask=other))
    assert any("outline" in warning for warning in asset.warnings)
    assert np.median(colours_towards(asset.mesh, (0, 0, 1)), axis=0) == pytest.approx([25, 153, 25], abs=4)


@pytest.mark.parametrize(
    "value, words",
    [
        (lambda points: np.full(len(points), -1, np.float32), "nowhere inside"),
        (lambda points: np.full(len(points), 1, np.float32), "inside everywhere"),
        (lambda points: np.full(len(points), np.nan, np.float32), "finite"),
    ],
)
def test_a_field_without_a_surface_is_one_sentence(value, words):
    with pytest.raises(Unable, match=words) as caught:
        made(field(value))
    assert len(str(caught.value).splitlines()) == 1


def test_a_cancel_is_heard_in_every_stage():
    stages = []

    def run(stop: str | None) -> None:
        def notify(progress: float, stage: str, message: str, remaining: float | None) -> None:
            stages.append(stage)
            if stage == stop:
                job.cancel()

        job = Job(notify)
        made(field(mask=seen_subject()), job)

    run(None)
    last = stages[-1]
    assert len(set(stages)) >= 6
    for stage in set(stages) - {last}:  # each is heard at the next report
        with pytest.raises(Cancelled):
            run(stage)


def test_a_field_that_fits_no_picture_has_its_own_colours_and_no_camera():
    bare = field()
    asset = made(Field(bare.value, bare.colour, bare.bounds, bare.to_gltf, dict, notes=("turned its own way",)))
    assert is_closed(welded(asset.mesh)) and asset.cameras == ()
    assert (abs(colours_towards(asset.mesh, (0, 0, 1)) - [26, 153, 26]) <= 1).all()
    assert asset.warnings == ("turned its own way",)
