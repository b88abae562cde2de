# SPDX-License-Identifier: GPL-3.0-or-later
"""Many photos to a field: cameras found, an engine's numbers fitted to the photos. Imported by the NeRF backend on use.

Must not know JSON or meshes.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from ...cameras.capture import Capture
from ...cameras.estimate import capture_of_gathered
from ...core.job import Job, Span
from ...core.representations import Field
from ...core.view import PinholeCamera, View
from ...pictures.gather import Inputs
from .. import Task
from ..runtime import devices
from . import engines, grid_result
from . import mattes as photo_mattes

_QUALITY = 95  # of the photos that are kept for textures made again


def learned(task: Task, job: Job | Span) -> dict[str, np.ndarray]:
    """What `field` makes the field of. Raises Unable where cameras cannot be found."""
    training, device = str(task.options["training"]), str(devices.pick(task.device))
    engine = engines.chosen(str(task.options["engine"]), training, device)
    gathered = Inputs(task.pictures, task.ordered, task.cameras, ())
    capture = capture_of_gathered(gathered, job.span(0.0, 0.25))
    job.report(0.25, "cutting the object out")
    capture = photo_mattes.cut_out(capture, str(task.options["subject"]), task.weights, task.model)
    trained = engines.trained(engine, capture, training, job.span(0.3, 1.0), task.on_preview, device)
    return {**trained.arrays, **_kept(capture)}


def field(arrays: Mapping[str, np.ndarray], device: str) -> Field:
    """The field that `learned` found, with the photos that it was learned from."""
    bare = grid_result.field(arrays, devices.pick(device))
    pictures = tuple(_posed(arrays, number) for number in range(len(arrays["cameras"])))
    notes = tuple(bytes(arrays["notes"]).decode().splitlines())
    return dataclasses.replace(bare, pictures=pictures, notes=notes)


def _kept(capture: Capture) -> dict[str, np.ndarray]:
    """The photos as JPEG, their mattes as PNG, and their cameras."""
    kept: dict[str, np.ndarray] = {}
    for number, shot in enumerate(capture.shots):
        kept[f"photo{number}"] = _encoded(shot.rgb, "JPEG", quality=_QUALITY, subsampling=0)
        if shot.alpha is not None:
            kept[f"matte{number}"] = _encoded(shot.alpha, "PNG")
    views = [shot.view for shot in capture.shots]
    cameras = [(c.width, c.height, c.fx, c.fy, c.cx, c.cy) for c in (view.camera for view in views)]
    rotations, positions = [view.rotation for view in views], [view.position for view in views]
    notes = np.frombuffer("\n".join(capture.notes).encode(), np.uint8)
    return {
        **kept,
        "cameras": np.array(cameras),
        "rotations": np.array(rotations),
        "positions": np.array(positions),
        "notes": notes,
        "names": np.array([shot.name for shot in capture.shots]),
    }


def _encoded(values: np.ndarray, kind: str, **options: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind, **options)
    return np.frombuffer(stream.getvalue(), np.uint8)


def _decoded(data: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data.tobytes())))


def _posed(arrays: Mapping[str, np.ndarray], number: int) -> View:
    width, height, *focal_and_centre = map(float, arrays["cameras"][number])
    camera = PinholeCamera(int(width), int(height), *focal_and_centre)
    matte = arrays.get(f"matte{number}")
    rgb = _decoded(arrays[f"photo{number}"])
    if "gains" in arrays:  # exposures as they were learned: evened, or seams show where photos meet
        rgb = np.rint(np.clip(rgb / arrays["gains"][number], 0.0, 255.0)).astype(np.uint8)
    return View(
        rgb,
        None if matte is None else _decoded(matte),
        View(camera, arrays["rotations"][number], arrays["positions"][number]),
        exact=True,
        name=str(arrays["names"][number]),
    )
