# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing is told apart from the ground that it stands on, by what its photos see in common."""

from dataclasses import replace

import numpy as np
import pytest
from image_to_3d.tests import render
from image_to_3d.tests.cameras import scene
from image_to_3d.tests.methods.test_stereo import on_ground
from image_to_3d.worker.cameras.capture import TO_GLTF, Capture
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.view import View
from image_to_3d.worker.methods.multiview_fit import ground, mattes
from image_to_3d.worker.store.weights import WeightStore

BOUNDS = np.array([[-0.9, -0.8, -0.5], [0.9, 0.8, 0.6]])


def seen(shape: render.Shape, view: View) -> render.Rendered:
    c = view.camera
    place = render.View(c.width, c.height, c.fx, c.fy, c.cx, c.cy, view.position, (scene.FLIP @ view.rotation).T)
    return render.render(shape, place, samples=2)


@pytest.fixture(scope="module")
def taken() -> tuple[Capture, list[np.ndarray]]:
    """Photos all around a box on the ground, in a world whose z is up, and where the box is in each."""
    views, boxes = [], []
    for view in scene.ring(13, 360.0, 35.0, 104):
        boxes.append(np.isfinite(seen(scene.painted_box(), view).depth))
        turned = {"rotation": view.rotation @ TO_GLTF, "position": TO_GLTF.T @ view.position}
        views.append(replace(view, rgb=seen(on_ground(), view).colour, **turned))
    return Capture(tuple(views), np.zeros((0, 3), np.float32), BOUNDS, True), boxes


def test_a_box_is_cut_from_its_ground_without_any_network(taken, monkeypatch, tmp_path):
    monkeypatch.setattr(ground, "_CELLS", 80)
    capture, boxes = taken
    found = mattes.cut_out(capture, "object", WeightStore(tmp_path), "photos")
    assert not found.unbounded and "ground" in found.notes[-1]
    masks = [view.mask >= 128 for view in found.views]
    assert np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(masks, boxes)]) > 0.8
    wide, deep, _ = np.ptp(found.bounds, axis=0)
    assert deep / wide == pytest.approx(scene.SIZE[2] / scene.SIZE[0], abs=0.1)


def test_without_anything_in_common_there_is_no_ground(taken, monkeypatch):
    monkeypatch.setattr(ground, "_CELLS", 32)
    capture, _ = taken
    grey = tuple(replace(view, rgb=np.full_like(view.rgb, 90)) for view in capture.views[:4])
    assert ground.outlines(replace(capture, views=grey)) is None


@pytest.mark.parametrize("seen, kept", [("sharper", False), ("another", True), ("nothing", True)])
def test_a_network_that_is_shown_little_else_makes_the_outline_sharper(monkeypatch, tmp_path, seen, kept):
    row, column = np.mgrid[:80, :80]
    rough, sharp = (np.uint8(255 * (np.hypot(row - 30, column - 40) < radius)) for radius in (14.0, 15.0))
    view = replace(scene.ring(1, size=80)[0], rgb=np.dstack([sharp] * 3))

    def alpha(picture, *_):
        if seen == "nothing":
            raise Unable("nothing there")
        found = picture.rgb[..., 0].copy()
        found[:, -3:] = 255  # beside the thing
        return found if seen == "sharper" else 255 - found

    monkeypatch.setattr(mattes.matte, "subject_alpha", alpha)
    found = mattes._sharper(view, rough, WeightStore(tmp_path), "photos")
    assert np.array_equal(found, rough if kept else sharp)
