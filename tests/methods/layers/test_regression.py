# SPDX-License-Identifier: GPL-3.0-or-later
"""The method layers: the front and back of a cut-out thing, by the network that ships."""

import numpy as np
import pytest
from image_to_3d.tests.methods.asked import run, silent, task
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.methods.layers import REGRESSION, regression
from image_to_3d.worker.pictures import silhouette
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.store.weights import WeightStore


@pytest.fixture
def weights(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "none")


def cut_out(is_thing: np.ndarray, alpha: bool = True) -> Picture:
    """A red thing, (120, 160) bool, on nothing or on plain white."""
    rgb = np.where(is_thing[..., None], [200, 40, 30], [255, 255, 255]).astype(np.uint8)
    return Picture(rgb, np.where(is_thing, 255, 0).astype(np.uint8) if alpha else None, None, "thing", "thing")


def ball(alpha: bool = True) -> Picture:
    rows, columns = np.indices((120, 160))
    return cut_out((rows - 60) ** 2 + (columns - 80) ** 2 < 45**2, alpha)


def pan() -> Picture:
    """A disc with a handle to the right of it, blue at its end."""
    rows, columns = np.indices((120, 160))
    disc = (rows - 60) ** 2 + (columns - 50) ** 2 < 40**2
    shown = cut_out(disc | ((abs(rows - 60) < 6) & (columns > 60) & (columns < 150)))
    shown.rgb[55:66, 110:150] = (30, 40, 200)
    return shown


@pytest.mark.parametrize("alpha", [True, False])
def test_a_ball_is_seen_as_round(weights, alpha):
    found = run(task("included-object", weights, ball(alpha)))
    inner = found.front[16:-16, 16:-16]  # the outline's pixels are not quite symmetric
    np.testing.assert_allclose(inner[:, ::-1], inner, atol=0.06)
    middle = found.front.shape[0] // 2
    thick = found.back[middle, middle] - found.front[middle, middle]
    assert 1.0 < thick < 2.4  # half sides; a ball's is 1.75
    assert found.back_colour[middle, middle, 0] > 100 > found.back_colour[middle, middle, 2]


def test_the_mirror_image_of_a_thing_is_seen_as_its_mirror_image(weights):
    """Of one that is not symmetric, and which the network alone sees otherwise when it is turned over."""
    shown = pan()
    turned = Picture(shown.rgb[:, ::-1].copy(), shown.alpha[:, ::-1].copy(), None, "turned", "turned")
    found, mirrored = (run(task("included-object", weights, picture)) for picture in (shown, turned))
    assert mirrored.window.left + mirrored.window.side == 160 - found.window.left
    _, inside = silhouette.cut_out(shown.rgb, shown.alpha > 0, found.window, len(found.front))
    for name, most in (("front", 1e-4), ("back", 1e-4), ("back_colour", 1.0)):
        seen, other = (getattr(layers, name).astype(float) for layers in (found, mirrored))
        assert np.abs(other - seen[:, ::-1])[inside[:, ::-1]].max() <= most
        assert np.abs(seen - seen[:, ::-1])[inside & inside[:, ::-1]].mean() > 10 * most, "the thing is not symmetric"


def test_a_scene_is_refused(weights):
    rows, columns = np.mgrid[:120, :160]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    with pytest.raises(Unable, match="cut it out"):
        run(task("included-object", weights, Picture(rgb, None, None, "", "scene")))


def test_the_layers_say_where_in_the_photo_the_thing_is_and_which_camera_took_it(weights):
    found = run(task("included-object", weights, ball(alpha=False)))
    assert found.view.mask[60, 80] == 255 and found.view.mask[0, 0] == 0
    assert found.window.left + found.window.side / 2 == pytest.approx(80, abs=1)
    assert found.view.camera.fov_degrees == pytest.approx(regression.DEFAULT_FOV)


def test_the_same_layers_come_back_from_their_arrays_without_the_network(weights, monkeypatch):
    wanted = task("included-object", weights, ball())
    made = run(wanted)
    monkeypatch.setattr(regression, "load", lambda *_: pytest.fail("it was loaded"))
    again = regression.restored(made.to_arrays(), wanted, silent())
    assert again.window == made.window and (again.view.mask == made.view.mask).all()
    assert again.view.rgb is wanted.picture.rgb and again.view.camera == made.view.camera
    for name in ("front", "back", "back_colour"):
        assert (getattr(again, name) == getattr(made, name)).all()


def test_a_cancel_is_heard_between_the_two_runs(weights):
    checks = []

    def check() -> None:
        checks.append(True)
        raise Cancelled

    with pytest.raises(Cancelled):
        regression.load(REGRESSION, REGRESSION.file, "cpu")(ball(), check)
    assert checks == [True]


def test_nonsense_from_the_network_becomes_the_inflated_outline():
    mask, height = np.ones((8, 8), bool), np.full((8, 8), 0.5, np.float32)
    for front, back in ((-30 * height, 30 * height), (height, -height), (height * np.nan, height)):
        found = regression.believed(front, back, height, mask)
        assert (found[0] == -height).all() and (found[1] == height).all()
    for thick in (0.05, 0.5):  # a plate's is a tenth of its outline's
        assert (regression.believed(-height * thick, height * thick, height, mask)[1] == height * thick).all()


def test_the_back_of_what_is_of_two_colours_is_of_both_and_takes_none_from_outside():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    front = np.zeros((40, 40, 3), np.float32)
    front[:, :20], front[:, 20:] = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    grey = np.full((3, 40, 40), 0.5, np.float32)
    found = regression.behind(grey, front * mask[..., None], mask)
    left, right = found[20, 6].astype(int), found[20, 33].astype(int)
    assert left == pytest.approx([182, 64, 73], abs=2) and right == pytest.approx([73, 64, 182], abs=2)
    assert (found[~mask] == 128).all()
