# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd lists of cameras: a capture with finite numbers, or one sentence."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
from counting import Counts
from image_to_3d.tests.cameras import scene
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.gather import gather
from odd import changed, text_of
from PIL import Image


def run(count: int, seed: int, folder: Path) -> Counts:
    counts, good = Counts(), _good(folder)
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        (folder / "transforms.json").write_bytes(text_of(changed(good, generator), generator))
        counts.try_one(f"list {number}", lambda: _read(folder / "transforms.json"), (Unable,))
    return counts


def _good(folder: Path) -> dict:
    """Six pictures of 24 x 18 pixels, in a file with all that such files have."""
    frames = []
    for number, view in enumerate(scene.ring(6, 360, 25.0, 24)):
        rgb = np.random.default_rng(number).integers(0, 255, (18, 24, 3), np.uint8)
        Image.fromarray(rgb).save(folder / f"{number}.png")
        Image.fromarray(np.uint8(255) * (rgb[..., 0] > 99)).save(folder / f"mask{number}.png")
        frame = {"file_path": f"{number}.png", "transform_matrix": scene.to_opengl(view)}
        frames.append(frame | ({"mask_path": f"mask{number}.png"} if number % 2 else {"k1": 0.01}))
    lens = {"w": 24, "h": 18, "fl_x": 30.0, "fl_y": 30.0, "cx": 12.0, "cy": 9.0, "camera_angle_x": 0.7}
    return json.loads(json.dumps({**lens, "k2": 0.0, "p1": 0.0, "camera_model": "OPENCV", "frames": frames}))


def _read(path: Path) -> None:
    job = Job(lambda *_: None)
    inputs = gather([path], job)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        capture = capture_of(inputs, registered(inputs, job), job)
    numbers = [capture.bounds, *(view.position for view in capture.views), *(view.rotation for view in capture.views)]
    assert all(np.isfinite(each).all() for each in numbers), "numbers that are not finite"
    assert all("\n" not in note for note in capture.notes), "a note of several lines"
