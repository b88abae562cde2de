# SPDX-License-Identifier: GPL-3.0-or-later
"""What every training of several photos has in common: what comes of it, and what is told and shown meanwhile.

Imported on use: it brings torch. Must not know what is learned, nor how.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...core.job import Job, Span
from .grid_model import Model

PREVIEW_SECONDS, PREVIEW_PIXELS = 4.0, 128
_SPARE = 20.0  # previews take no more than one part in so many of the time
_MEMORY = 0.95  # of the error so far is kept at each step: the PSNR is that of some twenty steps


@dataclass(frozen=True, eq=False)
class Trained:
    """What was learned. model: as `grid_result.rounded` leaves it. gains: (V, 3) float32, by how much each view is
    brighter than what was learned, in each colour. psnr: of the learned pictures in dB, over the last steps. steps: how
    many were done. stopped: whether before the plan's end."""

    model: Model
    gains: np.ndarray
    psnr: float
    steps: int
    stopped: bool


class Teller:
    """Tells of each of `total` steps, and shows a picture every few seconds. steps: how many were done."""

    def __init__(self, job: Job | Span, total: int, on_preview: Callable[[np.ndarray], None]) -> None:
        self._job, self._total, self._on_preview = job, total, on_preview
        self.steps, self._error, self._due = 0, math.nan, time.monotonic() + PREVIEW_SECONDS

    def tell(self, stage: str, message: str = "") -> None:
        """Raises Cancelled."""
        self._job.report(self.steps / self._total, stage, message)

    @property
    def psnr(self) -> float:
        return -10.0 * math.log10(max(self._error, 1e-10)) if self._error > 0.0 else math.nan

    def step(self, error: float, picture: Callable[[], np.ndarray]) -> None:
        """After a step. error: mean square of the colours'. picture: (H, W, 3) uint8. Raises Cancelled."""
        self.steps += 1
        self._error = error if math.isnan(self._error) else _MEMORY * self._error + (1.0 - _MEMORY) * error
        self.tell("learning the shape", f"step {self.steps} of {self._total}")
        start = time.monotonic()
        if start >= self._due:
            self._on_preview(picture())
            end = time.monotonic()
            self._due = end + max(PREVIEW_SECONDS, _SPARE * (end - start))


def as_picture(colours: Tensor, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of colours (H W, 3), clipped."""
    return (colours.view(height, width, 3).clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy()
