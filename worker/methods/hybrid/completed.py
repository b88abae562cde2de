# SPDX-License-Identifier: GPL-3.0-or-later
"""A thing whose front a depth network saw and whose rest a generator imagined: the runner of the method `hybrid` (see
..method). A list of steps over the table's methods; knows their representations, and none of their networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from PIL import Image

from ...core.errors import Unable
from ...core.job import Job, Span
from ...core.representations import DepthMap, Front, Layers
from ...core.view import PinholeCamera
from ...pictures.gather import Inputs
from ...pictures.load import Picture
from ...pictures.silhouette import seen_through
from .. import with_network
from ..matting import matte
from ..method import Method, Network, Task
from .fronts import front_of, settled
from .fusion import apart, behind, continued, enlarged, fused

GENERATOR, DEPTH = "included-generator", "included"
"""Networks of the methods that are used."""

_FIRST_STEPS, _STEPS = 4, 16
"""Of the sampler, for a first guess and for what is made in the end, which is Diffusion's where no front is told."""

_FINER = 2
"""So many times as fine as the generator's layers are those that carry the depth's detail."""

NOT_SEEN = "the depth network's front does not agree with the shape of the thing, so the front is the generator's guess"


def run(task: Task, loaded: None, job: Job | Span) -> Layers:
    """Both sides of what the task's picture shows; a first guess is told to `on_coarse`."""
    job.report(0.0, "cutting the object out")
    picture = matte.without_background(task.picture, task.weights, task.network.name)
    guess = guessed(task, picture, job.span(0.1, 0.25))
    task.on_coarse(guess)
    depth = _depth(task, picture, job.span(0.25, 0.6)) if task.options.trust else None
    return completed(task, picture, guess, depth, job.span(0.6, 1.0))


def restored(arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Layers:
    height, width = task.picture.rgb.shape[:2]
    focal = float(arrays["focal"])
    camera = PinholeCamera.centred(width, height, focal)
    return Layers.from_arrays(arrays, matte.thing_view(task.picture, arrays["mask"], camera))


def completed(task: Task, picture: Picture, guess: Layers, depth: DepthMap | None, job: Job | Span) -> Layers:
    """What depth and generator make of a thing together. picture: cut out. guess: the generator's, that knows no depth.
    depth: of the whole picture, None where there is none."""
    if depth is not None and task.picture.fov_degrees is None and (depth.metric or depth.proportional):
        guess = replace(guess, view=replace(guess.view, camera=depth.view.camera))
    size = _FINER * len(guess.front)
    found = None if depth is None else front_of(depth, guess, size, task.options.trust)
    front, share = found or (None, 0.0)
    made = replace(_imagined(task, picture, front, _STEPS, task.options.strength, job), view=guess.view)
    if front is None:
        return replace(made, notes=(*made.notes, *((NOT_SEEN,) if depth is not None else ())))
    return _together(made, front, share)


def _together(made: Layers, front: Front, share: float) -> Layers:
    """The generator's layers with the seen front in its place."""
    size = len(front.depth)
    own, back = enlarged(made.front, made.back, size)
    seen = settled(front, own)
    inside = seen_through(made.window, made.view.mask, size) >= 128
    large = np.where(front.where, share * seen + (1.0 - share) * own, own)
    sure = np.full(seen.shape, np.sqrt(share))
    both = fused(large, continued(seen, front.where), sure, front.where, inside)
    both, back = apart(both, behind(both, own, back, inside), front.where, inside)
    colour = Image.fromarray(made.back_colour).resize((size, size), Image.Resampling.BICUBIC)
    return replace(made, front=both.astype(np.float32), back=back.astype(np.float32), back_colour=np.asarray(colour))


def guessed(task: Task, picture: Picture, job: Job | Span) -> Layers:
    """What is likeliest for who knows no depth, in few steps."""
    return _imagined(task, picture, None, _FIRST_STEPS, 0.0, job)


def _imagined(task: Task, picture: Picture, known: Front | None, steps: int, variety: float, job: Job | Span) -> Layers:
    """The generator's layers of the thing."""
    method, network = with_network(GENERATOR)
    options = method.options(seed=task.options.seed, steps=steps, variety=variety)
    return method.run(_task(task, picture, network, options, known), job)


def _depth(task: Task, picture: Picture, job: Job | Span) -> DepthMap | None:
    """What the best depth network that is here says of the photo, None where it says nothing."""
    method, network = _best(task)
    photo = replace(picture, alpha=None) if picture.is_whole else picture
    try:
        return method.run(_task(task, photo, network, method.options()), job)
    except Unable:
        return None


def _best(task: Task) -> tuple[Method, Network]:
    method, own = with_network(DEPTH)
    here = [each for each in method.networks if each.is_here(task.weights)]
    return method, max(here, key=lambda each: each.quality, default=own)


def _task(task: Task, picture: Picture, network: Network, options: object, known: Front | None = None) -> Task:
    return Task(Inputs((picture,)), network, options, task.device, task.weights, known=known)
