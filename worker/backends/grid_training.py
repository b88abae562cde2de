# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a radiance field on a grid to posed pictures, and makes it a field with a surface.

The stages of a plan follow each other, each with a finer grid: first as densities, which find the shape from nothing
(or from the outlines, where the pictures are cut out); then as signed distances, begun from what the cameras see in
that density, because a surface that light does not pass is what a mesh needs. Imported on use: it brings torch.
Knows captures and `networks.grid_field`; must not know requests, meshes or files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..networks import grid_field
from ..networks.grid_field import Grid, Rays, Samples
from ..poses.capture import TO_GLTF, Capture
from ..representations import Field, View
from ..wire.jobs import Job, Span
from . import devices
from .grid_space import Lattice, Photo, fused_distance, grown, hull, photos_of, redistanced

PREVIEW_SECONDS, PREVIEW_PIXELS = 4.0, 128
_UNIT = 1.0 / 128.0  # of the world: the length to which numbers of a density refer
_HAZE = -2.0  # where densities begin: light passes some ten cells
_NOTHING = 0.02  # cells with less optical depth than this are left out of the next grid
_MARGIN = 0.05  # how much of a picture's size around the thing is learned as well
_BAND = 3.5  # cells around a surface in which a signed distance is optimised
_SOFT, _SHARP = 1.0, 5.0  # sharpness of surfaces per cell, at a stage's beginning and after four fifths of it
_MATTE = 0.1  # weight of opacities' errors beside colours'
_PLAIN = 0.003  # share by which colours depend less on the direction after each step, lest that explains wrong shapes
_SMOOTH, _EVEN, _REGULARISED = 0.01, 0.01, 8192
_FINE = 0.5  # cells between samples of pictures of what was learned
_BATCH = 1 << 16  # points that are asked for at once
_CHUNK = 8192  # rays that are rendered at once without gradients


@dataclass(frozen=True)
class Stage:
    """cells: along the box's longest side. steps: of the optimisation."""

    kind: Literal["density", "surface"]
    cells: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """pixels: longest side of the pictures that are learned. rays: per step. stride: between samples, in cells."""

    pixels: int
    rays: int
    stages: tuple[Stage, ...]
    stride: float = 0.5
    seed: int = 0


PRESETS = {
    "fast": Plan(200, 4096, (Stage("density", 64, 250), Stage("surface", 128, 500))),
    "balanced": Plan(400, 4096, (Stage("density", 96, 500), Stage("surface", 128, 500), Stage("surface", 192, 1000))),
    "high": Plan(800, 8192, (Stage("density", 128, 1500), Stage("surface", 192, 1500), Stage("surface", 320, 3000))),
}


@dataclass(frozen=True, eq=False)
class Trained:
    """What was learned. arrays: what `field` needs. psnr: of the learned pictures in dB, over the last steps.
    steps: how many were done. stopped: whether before the plan's end."""

    arrays: dict[str, np.ndarray]
    psnr: float
    steps: int
    stopped: bool


@dataclass(frozen=True, eq=False)
class Model:
    """Numbers on a grid. shape: (V, 1) raw densities or signed distances in cells. colours: (V, 12).

    distance: for a surface, the same distances on all corners of the lattice, as they were when the stage began.
    sharpness: how suddenly a surface is opaque, per cell; 0 for a density.
    """

    lattice: Lattice
    grid: Grid
    shape: Tensor
    colours: Tensor
    distance: np.ndarray | None
    sharpness: float

    def depth(self, samples: Samples, step: float) -> Tensor:
        """(N,) optical depths of samples that are `step` apart."""
        raw = grid_field.interpolated(self.shape, samples.rows, samples.weights)[:, 0]
        if self.distance is None:
            return grid_field.density_depth(raw, step / _UNIT)
        return grid_field.surface_depth(raw, self.sharpness, samples)


@dataclass(frozen=True, eq=False)
class Pool:
    """Pixels to learn from: rays ready for a grid, their colours (R, 3) times matte, and mattes (R,)."""

    rays: Rays
    colour: Tensor
    matte: Tensor


def train(
    capture: Capture,
    plan: Plan,
    job: Job | Span,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
) -> Trained:
    """Learns the capture. Same capture, plan and device, same result.

    job.report hears every step, and may raise to cancel. on_preview: hears pictures (h, w, 3) uint8 of what is learned,
    from the first shot's place, every few seconds. stop: asked every step; True ends the learning, and what there is
    then becomes the result. Raises Unable where there are too few pictures or nothing to see in them.
    """
    chosen = devices.pick(device)
    with devices.memory_guard(chosen):
        run = _Run(photos_of(capture.shots, plan.pixels, chosen), capture.bounds, plan, job, on_preview, stop)
        return run.result()


class _Run:
    """One training."""

    def __init__(
        self,
        photos: list[Photo],
        bounds: np.ndarray,
        plan: Plan,
        job: Job | Span,
        on_preview: Callable[[np.ndarray], None],
        stop: Callable[[], bool],
    ) -> None:
        self._photos, self._bounds, self._plan, self._job, self._stop = photos, bounds, plan, job, stop
        self._on_preview, self._shown, self._small = on_preview, time.monotonic(), photos[0].resized(PREVIEW_PIXELS)
        self._device = photos[0].position.device
        self._random = torch.Generator(self._device).manual_seed(plan.seed)
        self._step, self._error, self._stopped = 0, math.nan, False
        self._total = sum(stage.steps for stage in plan.stages)
        self._pixels = sum(photo.colour[..., 0].numel() for photo in photos)
        pixels = zip(*(_pixels(photo) for photo in photos))
        self._origin, self._direction, self._colour, self._matte = (torch.cat(values) for values in pixels)

    def result(self) -> Trained:
        model: Model | None = None
        for stage in self._plan.stages:
            if self._stopped and model is not None and model.distance is not None:
                break
            self._job.report(self._step / self._total, "preparing the grid")
            model = self._begun(stage, model)
            model = self._learned(stage, model)
        psnr = -10.0 * math.log10(self._error) if self._error > 0.0 else math.nan
        return Trained(_arrays(model), psnr, self._step, self._stopped)

    def _begun(self, stage: Stage, before: Model | None) -> Model:
        lattice = Lattice.over(self._bounds, stage.cells)
        if stage.kind == "surface":
            return _surface(self._photos, lattice, before, self._plan.stride)
        return _haze(self._photos, lattice)

    def _learned(self, stage: Stage, model: Model) -> Model:
        pool, length = self._pool(model)
        model.shape.requires_grad_()
        model.colours.requires_grad_()
        rates = (0.1, 0.05) if stage.kind == "density" else (0.03, 0.03)
        groups = [{"params": [model.shape], "lr": rates[0]}, {"params": [model.colours], "lr": rates[1]}]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=self._device.type != "mps")
        fade = 0.1 ** (1.0 / max(stage.steps, 1)) if stage.kind == "surface" else 1.0
        neighbours = _neighbours(model) if stage.kind == "surface" else None
        for number in range(stage.steps):
            self._stopped = self._stopped or self._stop()
            if self._stopped:
                break
            model = replace(model, sharpness=_sharpness(stage, number))
            loss = self._loss(model, pool, length)
            if neighbours is not None:
                loss = loss + self._roughness(model, neighbours)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.colours.view(-1, 3, 4)[:, :, 1:] *= 1.0 - _PLAIN
            for group in optimizer.param_groups:
                group["lr"] *= fade
            self._tell(model, float(loss.detach()), length)
        return replace(model, shape=model.shape.detach(), colours=model.colours.detach())

    def _pool(self, model: Model) -> tuple[Pool, float]:
        """The rays that touch the model's grid, and the distance between their samples."""
        length = self._plan.stride * model.lattice.spacing
        rays = grid_field.cast(model.grid, self._origin, self._direction, length)
        hit = rays.segments.any(1).nonzero()[:, 0]
        self._origin, self._direction, self._colour, self._matte = (  # later grids lie within this one
            values[hit] for values in (self._origin, self._direction, self._colour, self._matte)
        )
        return Pool(rays[hit], self._colour, self._matte), length

    def _loss(self, model: Model, pool: Pool, length: float) -> Tensor:
        count = self._plan.rays
        some = torch.randint(len(pool.matte), (count,), generator=self._random, device=self._device)
        shift = torch.rand(count, generator=self._random, device=self._device)
        behind = torch.rand(count, 3, generator=self._random, device=self._device)
        rays, matte = pool.rays[some], pool.matte[some]
        samples = grid_field.sampled(model.grid, rays, length, shift)
        seen = grid_field.rendered(model.depth(samples, length), model.colours, samples, rays.direction)
        found = seen.colour + (1.0 - seen.opacity[:, None]) * behind
        error = (found - pool.colour[some] - (1.0 - matte[:, None]) * behind).square().mean()
        whole = float(error.detach()) * len(pool.matte) / self._pixels  # the other rays are right
        self._error = whole if math.isnan(self._error) else 0.95 * self._error + 0.05 * whole
        return error + _MATTE * (seen.opacity - matte).square().mean()

    def _roughness(self, model: Model, neighbours: Tensor) -> Tensor:
        """How far a signed distance's slope is from one, and its value from its neighbours' mean, at some places."""
        cells = model.grid.rows[self._some(len(model.grid.rows))]
        corners = model.shape[:, 0][cells].view(-1, 2, 2, 2)
        slope = torch.stack([corners.diff(dim=axis).mean((1, 2, 3)) for axis in (1, 2, 3)], 1)
        around = neighbours[self._some(len(neighbours))]
        bend = model.shape[:, 0][around[:, 1:]].mean(1) - model.shape[around[:, 0], 0]
        return _EVEN * (slope.norm(dim=1) - 1.0).square().mean() + _SMOOTH * bend.square().mean()

    def _some(self, count: int) -> Tensor:
        return torch.randint(count, (_REGULARISED,), generator=self._random, device=self._device)

    def _tell(self, model: Model, loss: float, length: float) -> None:
        self._step += 1
        psnr = -10.0 * math.log10(max(self._error, 1e-10))
        said = f"step {self._step} of {self._total}, loss {loss:.4f}, {psnr:.1f} dB"
        self._job.report(self._step / self._total, "learning the shape", said)
        if time.monotonic() - self._shown > PREVIEW_SECONDS:
            self._on_preview(_picture(model, self._small, length))
            self._shown = time.monotonic()


def _pixels(photo: Photo) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A photo's rays' origins and directions, colours and mattes; only around the thing, where that is known."""
    matte = torch.ones_like(photo.colour[..., 0]) if photo.matte is None else photo.matte
    near = grown(matte > 0.02, math.ceil(_MARGIN * max(matte.shape))).view(-1)
    origin, direction = photo.rays()
    return origin[near], direction[near], photo.colour.view(-1, 3)[near], matte.view(-1)[near]


def _sharpness(stage: Stage, number: int) -> float:
    if stage.kind == "density":
        return 0.0
    return _SOFT * (_SHARP / _SOFT) ** min(1.0, number / (0.8 * stage.steps))


def _haze(photos: list[Photo], lattice: Lattice) -> Model:
    """A thin grey haze wherever matter can be."""
    grid = Grid.of(hull(photos, lattice), lattice.origin(photos[0].position.device), lattice.spacing)
    shape = torch.full((len(grid.places), 1), _HAZE, device=grid.low.device)
    return Model(lattice, grid, shape, shape.new_zeros(len(shape), grid_field.COLOURS), None, 0.0)


def _surface(photos: list[Photo], lattice: Lattice, before: Model, stride: float) -> Model:
    """Signed distances, begun from a density as its cameras see it, or from a coarser surface."""
    if before.distance is None:
        small = [photo.resized(2 * before.lattice.cells[0]) for photo in photos]
        seen = [_distances(before, photo, stride) for photo in small]
        distance = fused_distance(small, seen, lattice)
    else:
        distance = _resampled(before, lattice)
    device = before.grid.low.device
    whole = torch.from_numpy(distance).to(device)
    near = functional.max_pool3d((whole.abs() < _BAND)[None, None].float(), 2, 1)[0, 0] > 0
    grid = Grid.of(near, lattice.origin(device), lattice.spacing)
    x, y, z = (grid.places - 1).unbind(1)  # the grid has a layer more
    shape = whole[x, y, z][:, None].contiguous()
    return Model(lattice, grid, shape, before.grid.at(before.colours, grid.points, 0.0), distance, _SOFT)


def _neighbours(model: Model) -> Tensor:
    """(M, 7) rows of corners that have all six neighbours in the grid: their own first."""
    places, shape = model.grid.places, [n + 3 for n in model.grid.cell.shape]
    row = torch.full(shape, -1, dtype=torch.long, device=places.device)
    x, y, z = (places + 1).unbind(1)
    row[x, y, z] = torch.arange(len(places), device=places.device)
    moves = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
    around = torch.stack([row[x + i, y + j, z + k] for i, j, k in moves], 1)
    return around[(around >= 0).all(1)]


@torch.no_grad()
def _distances(model: Model, photo: Photo, stride: float) -> Tensor:
    """(H W,) how far each pixel of a photo sees."""
    length, origin, direction = stride * model.lattice.spacing, *photo.rays()
    found = []
    for start, way in zip(origin.split(_CHUNK), direction.split(_CHUNK)):
        samples = grid_field.sampled(model.grid, grid_field.cast(model.grid, start, way, length), length)
        found.append(grid_field.median_distance(model.depth(samples, length), samples))
    return torch.cat(found)


@torch.no_grad()
def _picture(model: Model, photo: Photo, length: float, background: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: the model from a photo's place."""
    origin, direction = photo.rays()
    found = []
    for start, way in zip(origin.split(_CHUNK), direction.split(_CHUNK)):
        samples = grid_field.sampled(model.grid, grid_field.cast(model.grid, start, way, length), length)
        seen = grid_field.rendered(model.depth(samples, length), model.colours, samples, way)
        found.append(seen.colour + (1.0 - seen.opacity[:, None]) * background)
    pixels = torch.cat(found).clamp(0.0, 1.0).view(photo.colour.shape)
    return (pixels * 255.0).round().to(torch.uint8).cpu().numpy()


def _resampled(model: Model, lattice: Lattice) -> np.ndarray:
    """A surface's distances at another lattice's corners, in its cells."""
    whole = torch.from_numpy(_whole(model))
    points = lattice.corners(torch.device("cpu"))
    found = _at(whole, model.lattice, points) * (model.lattice.spacing / lattice.spacing)
    return redistanced(found.view(lattice.samples).numpy())


def _whole(model: Model) -> np.ndarray:
    """A surface's distances in cells on all corners: as optimised in its band, elsewhere to what came out there.

    On the band's edge the sign cannot change, or a surface would begin where the band ends.
    """
    whole, grid = model.distance.copy(), model.grid
    x, y, z = (grid.places.cpu().numpy() - 1).T
    before, after = whole[x, y, z], model.shape.detach()[:, 0].cpu().numpy()
    edge = np.ones(len(x), bool)
    edge[_neighbours(model)[:, 0].cpu().numpy()] = False
    whole[x, y, z] = np.where(edge & (after * before <= 0.0), np.copysign(0.5, before), after)
    return redistanced(whole)


def _arrays(model: Model) -> dict[str, np.ndarray]:
    return {
        "distance": _whole(model).astype(np.float16),
        "occupied": np.packbits((model.grid.cell[1:-1, 1:-1, 1:-1] >= 0).cpu().numpy()),
        "colours": model.colours.detach().cpu().numpy().astype(np.float16),
        "low": np.array(model.lattice.low),
        "numbers": np.array([model.lattice.spacing, model.sharpness]),
    }


def restored(arrays: Mapping[str, np.ndarray], device: torch.device) -> Model:
    """The surface that a training's arrays describe."""
    distance = np.asarray(arrays["distance"]).astype(np.float32)
    spacing, sharpness = map(float, arrays["numbers"])
    lattice = Lattice(tuple(map(float, arrays["low"])), spacing, tuple(n - 1 for n in distance.shape))
    occupied = np.unpackbits(arrays["occupied"], count=math.prod(lattice.cells)).reshape(lattice.cells)
    grid = Grid.of(torch.from_numpy(occupied).to(device) > 0, lattice.origin(device), spacing)
    x, y, z = (grid.places - 1).unbind(1)
    shape = torch.from_numpy(distance).to(device)[x, y, z][:, None]
    colours = torch.from_numpy(np.asarray(arrays["colours"]).astype(np.float32)).to(device)
    return Model(lattice, grid, shape, colours, distance, sharpness)


def picture(arrays: Mapping[str, np.ndarray], view: View, device: torch.device, background: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: what a camera in the capture's world sees of what was learned."""
    rotation, position = (
        torch.tensor(values, dtype=torch.float32, device=device) for values in (view.rotation, view.position)
    )
    blank = torch.zeros(view.camera.height, view.camera.width, 3, device=device)
    model = restored(arrays, device)
    length = _FINE * model.lattice.spacing
    return _picture(model, Photo(blank, None, view.camera, rotation, position), length, background)


def field(arrays: Mapping[str, np.ndarray], device: torch.device) -> Field:
    """The field that a training's arrays describe: a signed distance, in the capture's world.

    Its colour is that which is seen from straight ahead.
    """
    model = restored(arrays, device)
    whole, spacing = torch.from_numpy(model.distance).to(device), model.lattice.spacing
    usual = model.colours.mean(0)

    def value(points: Tensor) -> Tensor:
        return -spacing * _at(whole, model.lattice, points)

    def colour(points: Tensor) -> Tensor:
        moves = 0.5 * spacing * torch.eye(3, device=points.device)
        inwards = torch.stack([value(points + move) - value(points - move) for move in moves], 1)
        numbers = model.grid.at(model.colours - usual, points, 0.0) + usual
        return grid_field.coloured(numbers, functional.normalize(inwards, dim=1)).clamp(0.0, 1.0)

    low = np.array(model.lattice.low)
    bounds = np.stack([low, low + np.array(model.lattice.cells) * spacing])
    return Field(_asked(value, device), _asked(colour, device), bounds, TO_GLTF, arrays)


def _asked(function: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """The function of (N, 3) for numpy's arrays, in batches, on the device."""

    def ask(points: np.ndarray) -> np.ndarray:
        asked = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
        with devices.memory_guard(device), torch.inference_mode():
            return torch.cat([function(part.to(device)).cpu() for part in asked.split(_BATCH)]).numpy()

    return ask


def _at(values: Tensor, lattice: Lattice, points: Tensor) -> Tensor:
    """(N,) what values (X + 1, Y + 1, Z + 1) at a lattice's corners are at points (N, 3), clamped to its box."""
    size = torch.tensor(lattice.cells, device=points.device) * lattice.spacing
    place = (points - lattice.origin(points.device)) / size * 2.0 - 1.0
    options = {"mode": "bilinear", "padding_mode": "border", "align_corners": True}
    asked = place.flip(1)[None, None, None]  # the last axis first
    return functional.grid_sample(values[None, None], asked, **options).view(-1)
