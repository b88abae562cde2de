# SPDX-License-Identifier: GPL-3.0-or-later
"""Repaints renders with a pipeline of diffusers: a core.repaint.Repainter. Brings torch on use.

What is known keeps its pixels: the pipeline is told a mask where it takes one, and only what is unknown is taken of
what it painted. It works at the size that it was trained for, whatever the render's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from ...core.errors import MethodUnavailable, Unable
from ...core.job import Job, Span
from ..method import Network
from .broken import opening

if TYPE_CHECKING:  # take seconds
    import torch
    from diffusers import DiffusionPipeline

PROMPT = (
    "The same object as in the reference picture, photographed from another side before a plain background, with the "
    "same shape, colours, materials and light; its missing parts completed."
)

SIDE = 1024
"""Pixels of the longer side at which is painted: what FLUX.2 klein and most of today's pipelines were trained for."""

_MULTIPLE = 32
"""Pixels that a side is a multiple of: every pipeline's, 8 to 32."""

_DISTILLED = {"Flux2KleinInpaintPipeline": {"num_inference_steps": 4, "guidance_scale": 1.0}}
"""How pipelines are run that were distilled to few steps, as published; others take their own numbers."""


def load(network: Network, folder: Path, device: str) -> Painter:
    """Reads names and sizes only. folder: the pipeline's, or its model_index.json. Raises MethodUnavailable without
    diffusers; Unable where the folder holds no pipeline that repaints."""
    from ..runtime import devices

    folder = folder if folder.is_dir() else folder.parent
    return Painter(folder, devices.pick(device), _kind(folder))


class Painter:
    """A core.repaint.Repainter. Its networks are read when it first paints, and stay."""

    draws = True

    def __init__(self, folder: Path, device: torch.device, kind: type[DiffusionPipeline], side: int = SIDE):
        self.folder, self.device, self.kind, self.side = folder, device, kind, side
        self._held: tuple[DiffusionPipeline, dict[str, Any]] | None = None

    def repaint(
        self,
        picture: np.ndarray,
        unknown: np.ndarray,
        references: Sequence[np.ndarray],
        strength: float,
        seed: int,
        job: Job | Span,
    ) -> np.ndarray:
        """As core.repaint says."""
        share = np.clip(np.asarray(unknown, np.float32), 0.0, 1.0)
        if strength <= 0.0 or not share.any():
            return picture.copy()
        job.report(0.0, "loading the network")
        pipeline, prompt = self._pipeline(job)
        size = _size(picture.shape[:2], self.side)
        asked = {
            **prompt,
            "image": _picture(picture, size),
            "mask_image": _mask(share, size),
            "strength": min(strength, 1.0),
            **_DISTILLED.get(self.kind.__name__, {}),
            "height": size[1],
            "width": size[0],
        }
        if references:
            asked["image_reference"] = [_padded(reference, self.side) for reference in references]
        painted = self._painted(pipeline, asked, seed, job)
        painted = np.asarray(Image.fromarray(painted).resize(picture.shape[1::-1], Image.Resampling.LANCZOS))
        mixed = picture + share[..., None] * (painted.astype(np.float32) - picture)
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _painted(self, pipeline: DiffusionPipeline, asked: dict[str, Any], seed: int, job: Job | Span) -> np.ndarray:
        """What the pipeline makes of all that it takes of `asked`, (H, W, 3) uint8."""
        import torch

        from ..runtime import memory

        known = inspect.signature(self.kind.__call__).parameters
        taken = {name: value for name, value in asked.items() if name in known and value is not None}
        if "callback_on_step_end" in known:
            taken["callback_on_step_end"] = _telling(job)
        generator = torch.Generator().manual_seed(seed)  # of the CPU, so that a seed means the same everywhere
        with memory.guard(self.device), torch.inference_mode():
            result = pipeline(**taken, generator=generator, output_type="np").images[0]
        if not np.isfinite(result).all():
            raise Unable(f"the network in {self.folder} gave nothing that can be shown: name another repainter")
        return np.rint(np.clip(result[..., :3], 0.0, 1.0) * 255.0).astype(np.uint8)

    def _pipeline(self, job: Job | Span) -> tuple[DiffusionPipeline, dict[str, Any]]:
        """The pipeline on its device, and what it is told as the prompt: encoded once where it can be, after which
        what encodes it, half of a modern pipeline, is let go."""
        if self._held is None:
            from . import placing

            with opening(self.folder):
                self._held = placing.placed(self.kind, self.folder, self.device, PROMPT, job)
        return self._held


def _telling(job: Job | Span) -> Callable[..., dict[str, Any]]:
    """Reports each step, and so hears a cancel."""

    def tell(pipeline: DiffusionPipeline, step: int, _time: object, told: dict[str, Any]) -> dict[str, Any]:
        count = max(getattr(pipeline, "num_timesteps", step + 1), 1)
        job.report(min((step + 1) / count, 1.0), "painting", f"step {step + 1} of {count}")
        return told

    return tell


def _size(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) at which a picture of shape (H, W) is painted."""
    scale = side / max(shape)
    height, width = (max(round(length * scale / _MULTIPLE), 1) * _MULTIPLE for length in shape)
    return width, height


def _picture(picture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def _mask(unknown: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """White where anything is unknown, and wider by half of what a pipeline sees as one: a border that is only partly
    known is painted whole, and mixed afterwards."""
    mask = Image.fromarray(np.uint8(255) * (unknown > 0.0)).resize(size, Image.Resampling.BILINEAR)
    grown = ndimage.maximum_filter(np.asarray(mask), _MULTIPLE // 2 + 1)
    return Image.fromarray(np.where(grown > 0, 255, 0).astype(np.uint8))


def _padded(picture: np.ndarray, side: int) -> Image.Image:
    """A square of that side with the whole picture on the colour of its corner: several must be of one size."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), tuple(picture[0, 0].tolist()))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _kind(folder: Path) -> type[DiffusionPipeline]:
    """The class of diffusers that repaints with what is in the folder: that of inpainting, else of image to image, by
    diffusers' own way of calling them, else the folder's own where it takes a picture."""
    try:
        import diffusers
    except ImportError:
        raise MethodUnavailable("repainting needs diffusers, which is not installed: choose another") from None
    with opening(folder):
        own = str(diffusers.DiffusionPipeline.load_config(folder)["_class_name"])
    stem = own.removesuffix("Pipeline").removesuffix("Img2Img").removesuffix("Inpaint")
    for name in (f"{stem}InpaintPipeline", f"{stem}Img2ImgPipeline", own):
        kind = getattr(diffusers, name, None)
        if kind is not None and {"image", "prompt"} <= inspect.signature(kind.__call__).parameters.keys():
            return kind
    raise Unable(f"{own} in {folder} makes no picture of a picture: choose a pipeline that does")
