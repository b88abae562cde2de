# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing from eight sides, one after the other: the runner of the method `views` (see ..method). A list of steps over
the table's methods; knows their representations, and none of their networks.

It begins with what Hybrid makes of the photo. Each next camera is moved aside; what is fused so far is rendered there;
the generator, told the front as far as the photo shows it, looks at that, and what it sees is fused. In a second round
each view is made again with all others known. Views are renders of what is fused, so that they agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import Front, Layers, Views
from ...core.view import PinholeCamera, View
from ...geometry.around import angles, looking
from ...geometry.mesh import Mesh
from ...geometry.texturing.photo import Sight, sampled
from ...geometry.texturing.seen import Seen, middle_of
from ...pictures.gather import Inputs
from ...pictures.load import Picture
from ...pictures.silhouette import solid_part, window_around, without_specks
from ...pictures.views_folder import contact_sheet
from .. import with_network
from ..matting import matte
from ..method import Task
from .fusing import Fused, Solid

HYBRID, GENERATOR = "hybrid-included", "included-generator"
"""Networks of the methods that are used."""

TURNS = (45.0, -45.0, 90.0, -90.0, 135.0, -135.0, 180.0)
"""Degrees around the thing from the photo's place, in the order in which they are made: always beside what is known
best."""

PIXELS = 160
"""Along a view's side."""

IMAGINED = 0.4
"""How far is believed what no photo shows, beside a photo."""

_TOLD = 0.5  # trust in the photo, from which on the generator is told how deep it is
_OFF = (0.05, 0.1)  # half sides by which what is told may be wrong, in the first round and in the next
_STEPS, _VARIETY = 8, 0.0  # of the generator: the likeliest, as samples of several sides do not agree


def run(task: Task, loaded: None, job: Job | Span) -> Views:
    """The views around what the task's picture shows."""
    job.report(0.0, "cutting the object out")
    picture = matte.without_background(task.picture, task.weights, task.network.name)
    base = _base(task, picture, job.span(0.05, 0.4))
    photo = _raised(base)
    fused = Fused(Solid.of(base, photo, 1.0), photo)
    count = task.options.rounds * len(TURNS)
    for number in range(count):
        if job.is_enough():
            break
        job.report(0.4 + 0.6 * number / count, "looking from the side", f"view {number + 1} of {count}")
        turn, again = TURNS[number % len(TURNS)], number >= len(TURNS)
        mesh = fused.mesh(without=turn)
        view = _aside(mesh, photo, turn)
        fused.join(turn, _looked(task, mesh, view, base, photo, _OFF[int(again)]))
        task.on_preview(contact_sheet([photo, *(fused.sides[each].view for each in sorted(fused.sides))]))
    mesh = fused.mesh()
    made = [_rendered(mesh, _aside(mesh, photo, turn), base, photo)[:2] for turn in sorted(TURNS)]
    pictures, depths = zip((photo, Seen.of(mesh, photo).depths), *made)
    return Views(pictures, depths, base.notes, fused.layers(base))


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Views:
    height, width = task.picture.rgb.shape[:2]
    camera = PinholeCamera.centred(width, height, float(arrays["camera 0"][0]))
    return Views.from_arrays(arrays, matte.thing_view(task.picture, arrays["mask 0"], camera).rgb)


def _base(task: Task, picture: Picture, job: Job | Span) -> Layers:
    """What Hybrid makes of the picture, whose view is the user's own."""
    method, network = with_network(HYBRID)
    own = replace(task, inputs=Inputs((picture,)), network=network, options=method.options(seed=task.options.seed))
    found = method.run(own, job)
    return replace(found, view=matte.thing_view(task.picture, solid_part(picture.alpha), found.view.camera))


def _raised(base: Layers) -> View:
    """The photo's view in a world in which the thing stands upright; its camera is the origin."""
    flip = np.diag([1.0, -1.0, -1.0])
    up = np.array([0.0, -1.0, 0.0]) if base.up is None else base.up
    raised = Rotation.align_vectors([0.0, 1.0, 0.0], flip @ up)[0].as_matrix()
    return replace(base.view, rotation=flip @ raised.T, position=np.zeros(3))


def _aside(mesh: Mesh, photo: View, turn: float) -> View:
    """The view of the whole mesh from so many degrees beside the photo's place, as high."""
    yaw, pitch = angles(mesh, photo)
    return looking(mesh, yaw + turn, pitch, PIXELS)


def _rendered(mesh: Mesh, view: View, base: Layers, photo: View) -> tuple[View, np.ndarray, np.ndarray]:
    """The view with what it sees of the mesh, in the photo's colours and those behind it; its depth; and how far the
    photo shows each pixel, (H, W)."""
    seen, sight = Seen.of(mesh, view), Sight(photo, mesh.vertices, mesh.faces)
    points = seen.points
    trust, place = sight.trust(points, seen.normals)
    window = base.window
    at = (place - (window.left, window.top)) / window.side * len(base.back_colour)
    behind = sampled(base.back_colour, at) / 255.0
    colours = trust[:, None] * sight.painter(place)(place) + (1.0 - trust[:, None]) * behind
    rgb = seen.laid(np.rint(255.0 * np.clip(colours, 0.0, 1.0)).astype(np.uint8), 0)
    mask = seen.laid(np.full(len(points), 255, np.uint8), 0)
    shown = seen.laid(trust, np.float32(0.0))
    believed = np.where(mask > 0, IMAGINED + (1.0 - IMAGINED) * shown, 0.0).astype(np.float32)
    return replace(view, rgb=rgb, mask=mask, confidence=IMAGINED * believed), seen.depths, shown


def _looked(task: Task, mesh: Mesh, view: View, base: Layers, photo: View, off: float) -> Solid | None:
    """What the generator sees in the view, told the front as far as the photo shows it; None where it sees nothing."""
    shown, depth, trust = _rendered(mesh, view, base, photo)
    method, network = with_network(GENERATOR)
    middle = middle_of(mesh, view)
    window = window_around(without_specks(solid_part(shown.mask) >= 128))
    unit = middle * window.side / 2.0 / view.camera.fx
    known = ndimage.binary_erosion(trust > _TOLD)
    front = np.where(known, (np.where(known, depth, 0.0) - middle) / unit, 0.0).astype(np.float32)
    told = Front(window.cropped(front), window.cropped(known), False, True, off) if known.any() else None
    options = method.options(seed=task.options.seed, steps=_STEPS, variety=_VARIETY)
    picture = Picture(shown.rgb, shown.mask, view.camera.fov_degrees, "", "view")
    own = Task(Inputs((picture,)), network, options, task.device, task.weights, known=told)
    try:
        layers = method.run(own, Job(lambda *report: None))
    except Unable:
        return None
    return Solid.of(layers, replace(shown, confidence=None), middle)
