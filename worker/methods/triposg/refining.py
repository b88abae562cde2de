# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to a shape that depth and the included generator begin and a large network finishes: the runner of the
method `refined` (see ..method). A list of steps: what comes first is another method of the table's, or a shape that is
there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Begun, Field, Layers
from ...core.view import PinholeCamera
from ...pictures.gather import Inputs
from ...pictures.padded import padded_on_white
from ...pictures.silhouette import solid_part
from .. import with_network
from ..matting import matte
from ..method import Network, Task
from . import files, refiner
from . import network as triposg
from .coarse import Coarse, Seen, between
from .refiner import Refiner, Wishes

FIRST = "hybrid-included"
"""The network of the method whose shape is refined."""

LAYOUTS = {"hybrid-triposg": files.TRIPOSG, "hybrid-detailgen3d": files.DETAILGEN3D}

NO_COLOUR = "the refined shape has no colours of its own: the photo is laid onto what it shows"

_SHARES = (0.02, 0.2)  # of the time: until the thing is cut out, and its coarse shape is there
_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])  # the camera in the origin that looks along -z, y up


def load(network: Network, folder: Path, device: str) -> Refiner:
    """What is in `folder`. Quick: reads sizes only. Raises Unable."""
    return refiner.load(folder, device, LAYOUTS[network.name])


def run(task: Task, loaded: Refiner, job: Job | Span) -> Field:
    """The field of the thing in the task's picture. What it is made of is told to `on_coarse` before. Of a shape that
    is known, in its place and without colours."""
    options = task.options
    wishes = Wishes(options.seed, options.steps, options.strength, options.guidance or None)
    if isinstance(task.known, Begun):
        return _of_begun(task, loaded, wishes, task.known, job)
    loaded.require(wishes, Seen(np.zeros((1, 3)), np.zeros(3), options.trust))
    job.report(0.0, "cutting the object out")
    picture = matte.without_background(task.picture, task.weights, task.network.name)
    begun, coarse = _SHARES
    layers = _first(replace(task, inputs=Inputs((picture,))), job.span(begun, coarse))
    task.on_coarse(layers)
    try:
        mesh, seen = between(layers)
    except ValueError as error:
        raise Unable(str(error)) from None
    white, alpha = _on_white(picture.rgb, picture.alpha)
    arrays = loaded(mesh, white, wishes, Seen(seen, np.zeros(3), options.trust), job.span(coarse, 1.0))
    notes = np.array((*layers.notes, NO_COLOUR), np.str_)
    return _field({**arrays, "focal": np.array(layers.view.camera.fx), "subject": alpha, "notes": notes}, task)


def _of_begun(task: Task, loaded: Refiner, wishes: Wishes, begun: Begun, job: Job | Span) -> Field:
    """The shape that is there, refined. The networks know things from before: it is turned about the vertical until
    the camera is there, and the field's own rotation turns it back."""
    turn, view = _to_the_front(begun), begun.view
    view = replace(view, rotation=view.rotation @ turn.T, position=turn @ view.position)
    white, _ = _on_white(view.rgb, view.mask)
    seen = Seen(begun.seen @ turn.T, view.position, task.options.trust)
    arrays = loaded(Coarse(begun.vertices @ turn.T, begun.faces), white, wishes, seen, job)
    return replace(refiner.field(arrays, task.device, (view,)), to_gltf=turn.T)


def _to_the_front(begun: Begun) -> np.ndarray:
    """The rotation (3, 3) about y after which the camera stands before the shape, towards +z."""
    x, _, z = begun.view.position - (begun.vertices.min(axis=0) + begun.vertices.max(axis=0)) / 2.0
    length = float(np.hypot(x, z))
    if length < 1e-9:
        return np.eye(3)
    sine, cosine = x / length, z / length
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])


def _on_white(rgb: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The thing as the networks are shown it, and what of its mask (H, W) is it."""
    solid = solid_part(alpha)
    return padded_on_white(rgb, solid, triposg.MARGIN)[0], solid


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Field:
    return _field(arrays, task)


def _first(task: Task, job: Span) -> Layers:
    """The coarse shape."""
    method, network = with_network(FIRST)
    options = method.options(seed=task.options.seed)
    return method.run(replace(task, network=network, options=options, on_coarse=lambda coarse: None), job)


def _field(arrays: Mapping[str, np.ndarray], task: Task) -> Field:
    height, width = arrays["subject"].shape
    focal = float(arrays["focal"])
    camera = PinholeCamera.centred(width, height, focal)
    view = matte.thing_view(task.picture, arrays["subject"], camera, rotation=_FROM_CAMERA, exact=False)
    return refiner.field(arrays, task.device, (view,), tuple(np.asarray(arrays["notes"]).tolist()))
