# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures with cameras that benches learn from, and those of them that are held out to be compared with."""

from __future__ import annotations

import math
import os
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
import torch
from image_to_3d.worker.cameras.capture import Capture
from image_to_3d.worker.cameras.estimate import capture_of, registered
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.multiview_fit.grid_space import ViewTensors
from image_to_3d.worker.pictures.gather import gather

CPU = torch.device("cpu")
HELD_OUT = 8  # every so manieth picture


def captured(*chosen: Path) -> Capture:
    """The capture of pictures, a folder of them or a list of cameras."""
    job = Job(lambda *_: None)
    inputs = gather(chosen, job)
    return capture_of(inputs, registered(inputs, job), job)


def named(name: str) -> Capture:
    """The set of that name. Raises SystemExit with a reason where it is not there."""
    shared = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    path = shared / "data" / "multiview" / name / "transforms.json"
    if not path.is_file():
        raise SystemExit(f"there is no {path}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return captured(path)


def on_white(view: ViewTensors) -> np.ndarray:
    """(H, W, 3) float64 in [0, 1]."""
    colour = view.colour.double().numpy()
    return colour if view.mask is None else colour + 1.0 - view.mask.double().numpy()[..., None]


def psnr(found: np.ndarray, true: np.ndarray) -> float:
    return -10.0 * math.log10(np.square(found / 255.0 - true).mean())
