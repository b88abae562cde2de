# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits splats to views: 3D Gaussian splatting as Markov chain Monte Carlo (Kheradmand et al. 2024, arXiv:2404.09591).

Their number grows to a limit; what is transparent is put where something is; a little noise lets centres wander, the
more the less opaque they are. Losses, rates and rhythm are the paper's, with the rates raised for hundreds of steps in
place of tens of thousands. Brings torch; knows captures, not requests or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional

from ....cameras.capture import TO_GLTF, Capture
from ....core.errors import Unable
from ....core.harmonics import basis
from ....core.job import Job, Span
from ....core.representations import Distances, Splats
from ....core.view import View
from ..training import Teller
from . import rasterise
from .rasterise import Camera, Seen
from .start import Start, begun, shaped

_RATES = {"centres": 2e-3, "scales": 2e-2, "rotations": 5e-3, "opacities": 5e-2, "harmonics": 2e-2}
"""Of Adam. Published for 30,000 steps: 1.6e-4 (falling to a hundredth), 5e-3, 1e-3, 5e-2, 2.5e-3; set on lego at 100
pixels, where half and twice of all lost .3 and .6 dB."""

_SHAPED = 0.3  # of the time, for the surface on which splats begin

_FALL = 0.05
"""To which share the centres' rate falls."""

_STRUCTURE = 0.2
"""Share of the loss that is structural similarity, as published; the rest is absolute differences."""

_OPACITY, _SCALE = 0.01, 0.01
"""Weights of mean opacity and mean scale, as in the paper: what is not needed fades and is moved. Not of what begins on
a surface, where all is needed: with them a bottle's splats had opacities of .1 and lay 1 % too deep."""

_NOISE = 5e5 * 1.6e-4 / 2e-3
"""Of the centres' wandering, per rate: the paper's, for its own rate."""

_FADED, _EVERY, _GROWTH = 0.005, 25, 1.25
"""Below which opacity a splat is moved; steps between that (the paper: 100 of 30,000); by how much their number then
grows at most (1.05 there)."""

_FIRST_DEGREE = 0.5
"""Share of the steps after which colours may depend on the direction."""


@dataclass(frozen=True)
class Plan:
    """pixels: longest side of the pictures, of each stage. steps: of each. most: splats. degree: of the harmonics.
    cells: along the surface on which they begin."""

    pixels: tuple[int, ...]
    steps: tuple[int, ...]
    most: int
    degree: int = 1
    cells: int = 128
    seed: int = 0


PRESETS = {
    "fast": Plan((64, 128), (150, 150), 6_000, 0),
    "balanced": Plan((64, 128, 200), (300, 400, 500), 20_000, 1, 192),
    "high": Plan((100, 200, 400), (1000, 2000, 3000), 100_000, 2, 256),
}


@dataclass(frozen=True, eq=False)
class Learned:
    """splats: in glTF's axes and a unit of the capture. psnr: of the last pictures in dB. steps: how many were done.
    stopped: before the plan's end."""

    splats: Splats
    psnr: float
    steps: int
    stopped: bool


def learn(
    capture: Capture,
    plan: Plan,
    job: Job | Span,
    device: torch.device,
    on_preview: Callable[[np.ndarray], None] = lambda picture: None,
    stop: Callable[[], bool] = lambda: False,
) -> Learned:
    """Learns the capture; `stop` is asked at every step, and what there is then is the result. Raises Unable where no
    splat has a place to begin."""
    shape = shaped(capture, plan.pixels[-1], plan.cells, job.span(0.0, _SHAPED))
    start = begun(capture, plan.most, plan.seed, shape)
    learning = job if shape is None else job.span(_SHAPED, 1.0)
    learned = _Learning(capture, start, plan, learning, device, on_preview, stop).result()
    return replace(learned, splats=replace(learned.splats, shape=shape and _as_gltf(shape)))


class _Learning:
    def __init__(self, capture, start: Start, plan: Plan, job, device, on_preview, stop):
        self.capture, self.plan, self.device, self.stop = capture, plan, device, stop
        self.random = torch.Generator().manual_seed(plan.seed)
        self.values = {name: value.to(device).requires_grad_() for name, value in start.tensors(plan.degree).items()}
        self.adam = torch.optim.Adam(
            [{"params": [value], "lr": _RATES[name], "name": name} for name, value in self.values.items()], eps=1e-15
        )
        self.total, self.done, self.loose = sum(plan.steps), 0, not start.normals.any()
        self.teller = Teller(job, self.total, on_preview)

    def result(self) -> Learned:
        stopped = False
        for pixels, steps in zip(self.plan.pixels, self.plan.steps):
            shots = [_Shot.of(view, pixels, self.device) for view in self.capture.views]
            for _ in range(steps):
                if stopped := self.stop():
                    break
                self._step(shots)
            if stopped:
                break
        with torch.no_grad():
            splats = _as_splats(self._rendered(), self.capture)
        if not len(splats):
            raise Unable("nothing was left of what was learned: more photos, or more of the thing in them, would help")
        return Learned(splats, self.teller.psnr, self.done, stopped)

    def _rendered(self) -> dict[str, Tensor]:
        """The values as `rasterise.render` takes them."""
        degree = self.plan.degree if self.done >= _FIRST_DEGREE * self.total else 0
        return {
            "centres": self.values["centres"],
            "scales": self.values["scales"].exp(),
            "rotations": functional.normalize(self.values["rotations"], dim=1),
            "opacities": self.values["opacities"].sigmoid(),
            "harmonics": self.values["harmonics"][:, : (degree + 1) ** 2],
        }

    def _step(self, shots: list[_Shot]) -> None:
        share = self.done / self.total
        shot = shots[int(torch.randint(len(shots), (1,), generator=self.random))]
        background = torch.rand(3, generator=self.random).to(self.device) if shot.mask is not None else shot.mean
        seen = rasterise.render(shot.camera, **self._rendered())
        made, wanted = seen.on(background), shot.on(background)
        difference = (made - wanted).abs().mean()
        loss = (1.0 - _STRUCTURE) * difference + _STRUCTURE * (1.0 - ssim(made, wanted))
        if self.loose:
            opacities, scales = self.values["opacities"].sigmoid(), self.values["scales"].exp()
            loss = loss + _OPACITY * opacities.mean() + _SCALE * scales.mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        rate = _RATES["centres"] * _FALL**share
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        self.done += 1
        error = float((made.detach() - wanted).square().mean())
        if self.loose:
            self._wander(rate)
        if self.done % _EVERY == 0 and share < 0.9:
            self._move()
        self.teller.step(error, lambda: _picture(seen))

    @torch.no_grad()
    def _wander(self, rate: float) -> None:
        """Noise along each splat's own axes, gone where it is opaque."""
        scales, opacities = self.values["scales"].exp(), self.values["opacities"].sigmoid()
        noise = torch.randn(scales.shape, generator=self.random).to(self.device)
        gone = torch.sigmoid(100.0 * ((1.0 - opacities) - 0.995))[:, None]
        rotations = functional.normalize(self.values["rotations"], dim=1)
        moved = _rotated(rotations, _rotated(_inverse(rotations), noise) * scales**2)
        self.values["centres"] += _NOISE * rate * gone * moved

    @torch.no_grad()
    def _move(self) -> None:
        """Puts what has faded where something is, and lets the number grow."""
        opacities = self.values["opacities"].sigmoid()
        faded = (opacities <= _FADED).nonzero()[:, 0]
        weights = torch.where(opacities > _FADED, opacities, torch.zeros_like(opacities)).cpu()
        more = max(min(int(_GROWTH * len(opacities)), self.plan.most) - len(opacities), 0)
        if not (len(faded) + more and float(weights.sum()) > 0.0):
            return
        drawn = torch.multinomial(weights, len(faded) + more, True, generator=self.random).to(self.device)
        self._share(drawn)
        into, added = drawn[: len(faded)], drawn[len(faded) :]
        for group in self.adam.param_groups:
            value, name = group["params"][0], group["name"]
            value[faded] = value[into]
            grown = torch.cat([value, value[added]]).requires_grad_()
            state = self.adam.state.pop(value, {})
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key][drawn] = 0.0
                    state[key][faded] = 0.0
                    state[key] = torch.cat([state[key], torch.zeros_like(value[added])])
            group["params"] = [grown]
            self.adam.state[grown] = state
            self.values[name] = grown

    def _share(self, drawn: Tensor) -> None:
        """Makes each splat that is about to be there several times so faint and small that together they look as it
        did (the paper's equation 9)."""
        many = torch.bincount(drawn, minlength=len(self.values["opacities"])) + 1
        some = (many > 1).nonzero()[:, 0]
        count = many[some].clamp_max(50)
        old = self.values["opacities"][some].sigmoid().clamp(1e-6, 1.0 - 1e-6)
        new = 1.0 - (1.0 - old) ** (1.0 / count)
        sums = torch.zeros_like(old)
        for total in range(1, int(count.max()) + 1):
            inner = torch.zeros_like(old)
            for k in range(total):
                inner = inner + math.comb(total - 1, k) * (-1) ** k / math.sqrt(k + 1) * new ** (k + 1)
            sums = sums + torch.where(count >= total, inner, torch.zeros_like(inner))
        factor = (old / sums.clamp_min(1e-6)).clamp(0.05, 1.0)
        self.values["opacities"][some] = torch.logit(new.clamp(_FADED, 1.0 - 1e-6))
        self.values["scales"][some] += factor.log()[:, None]


@dataclass(frozen=True)
class _Shot:
    """One view to learn from. rgb: (H, W, 3) in [0, 1]; mask: (H, W, 1), or None; mean: (3,), what shines through."""

    camera: Camera
    rgb: Tensor
    mask: Tensor | None
    mean: Tensor

    @classmethod
    def of(cls, view: View, pixels: int, device: torch.device) -> _Shot:
        camera = Camera.of(view, pixels, device)
        rgb = _reduced(view.rgb, camera).to(device) / 255.0
        mask = None if view.mask is None else _reduced(view.mask[..., None], camera).to(device) / 255.0
        return cls(camera, rgb, mask, rgb.mean((0, 1)))

    def on(self, background: Tensor) -> Tensor:
        return self.rgb if self.mask is None else self.rgb * self.mask + background * (1.0 - self.mask)


def _reduced(picture: np.ndarray, camera: Camera) -> Tensor:
    """(H, W, C) float32 of the camera's size, by areas."""
    rows = torch.tensor(picture, dtype=torch.float32).permute(2, 0, 1)[None]
    return functional.interpolate(rows, (camera.height, camera.width), mode="area")[0].permute(1, 2, 0)


def ssim(one: Tensor, other: Tensor, size: int = 11) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) of pictures (H, W, 3) in [0, 1], in windows of `size` pixels."""
    pair = torch.stack([one, other]).permute(0, 3, 1, 2)
    size = min(size, *one.shape[:2])

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, size, 1)

    a, b = pair
    means = mean(pair)
    ma, mb = means
    aa, bb, ab = (mean((left * right)[None])[0] for left, right in ((a, a), (b, b), (a, b)))
    top = (2 * ma * mb + 1e-4) * (2 * (ab - ma * mb) + 9e-4)
    return (top / ((ma * ma + mb * mb + 1e-4) * (aa - ma * ma + bb - mb * mb + 9e-4))).mean()


def _rotated(rotations: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (N, 3) by unit quaternions (N, 4)."""
    w, axis = rotations[:, :1], rotations[:, 1:]
    across = 2.0 * torch.linalg.cross(axis, vectors)
    return vectors + w * across + torch.linalg.cross(axis, across)


def _inverse(rotations: Tensor) -> Tensor:
    return rotations * torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=rotations.dtype, device=rotations.device)


def _picture(seen: Seen) -> np.ndarray:
    return (seen.on(seen.colours.new_ones(3)).detach().clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy()


def _as_splats(values: dict[str, Tensor], capture: Capture) -> Splats:
    """In glTF's axes, without what cannot be seen."""
    keep = values["opacities"] > 4.0 * _FADED
    arrays = {name: value[keep].cpu().numpy() for name, value in values.items()}
    own = Rotation.from_quat(arrays["rotations"], scalar_first=True)
    rotations = (Rotation.from_matrix(TO_GLTF) * own).as_quat(scalar_first=True).astype(np.float32)
    harmonics = _turned(arrays["harmonics"])
    centres = (arrays["centres"] @ TO_GLTF.T).astype(np.float32)
    splats = Splats(centres, arrays["scales"], rotations, arrays["opacities"], harmonics)
    return replace(splats, notes=capture.notes)


def _as_gltf(shape: Distances) -> Distances:
    """The same in glTF's axes (x, z, -y)."""
    low, high = shape.bounds

    def turned(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.ascontiguousarray(np.flip(values.transpose(0, 2, 1), 2))

    low = np.array([low[0], low[2], -high[1]])
    return Distances(turned(shape.values), low, shape.spacing, turned(shape.known))


def _turned(harmonics: np.ndarray) -> np.ndarray:
    """Coefficients (N, K, 3) of the same colours in glTF's axes: fitted exactly, as turned harmonics are harmonics of
    the same degree."""
    degree = round(harmonics.shape[1] ** 0.5) - 1
    directions = np.random.default_rng(0).normal(size=(64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turn = np.linalg.lstsq(basis(directions @ TO_GLTF.T, degree), basis(directions, degree), rcond=None)[0]
    return np.einsum("jk,nkc->njc", turn, harmonics).astype(np.float32)
