# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to a whole object, sampled by diffusion: what the photo leaves open is imagined, by each seed in its own
way. Must not know JSON, meshes or other backends.

Our own generator ships with the product and gives two layers; the others give fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import Unable
from ..store.weights import WeightStore
from ..wire.jobs import Job, Span
from ..wire.protocol import BackendInfo, ModelInfo, OptionInfo, Value
from . import Options, Task

if TYPE_CHECKING:
    import numpy as np

    from ..pictures.load import Picture
    from ..representations import Representation
    from .generator_inference import Imagination

INCLUDED = "included"
TRIPOSG = "triposg"
FILE = Path(__file__).parent.parent / "included" / "generator.safetensors"

OPTIONS = (
    OptionInfo(
        "seed",
        "Seed",
        "int",
        0,
        "Another number imagines another back; the same number gives the same object.",
        0,
        2**31 - 1,
    ),
    OptionInfo(
        "steps",
        "Steps",
        "int",
        16,
        "Steps from noise to a shape: more are slower, and more exact.",
        1,
        200,
    ),
    OptionInfo(
        "variety",
        "Variety",
        "float",
        0.7,
        "How far from the likeliest shape seeds may lead. 0: all give the likeliest. 1: as various as things are.",
        0.0,
        1.5,
        models=(INCLUDED,),
    ),
    OptionInfo(
        "guidance",
        "Guidance",
        "float",
        7.0,
        "How closely the shape keeps to the photo; more makes it plainer. 1 takes half the time.",
        1.0,
        20.0,
        models=(TRIPOSG,),
    ),
    OptionInfo(
        "grid",
        "Grid",
        "int",
        256,
        "Cells along the field's longest side from which the surface is made: finer detail, more time.",
        32,
        1024,
        models=(TRIPOSG,),
    ),
    OptionInfo("faces", "Faces", "int", 50_000, "Triangles of the mesh, at most.", 100, 4_000_000, unit="faces"),
    OptionInfo("texture", "Texture", "int", 2048, "Longer side of the texture.", 64, 8192, unit="pixels"),
    OptionInfo(
        "photo",
        "Photo Texture",
        "bool",
        True,
        "Where the photo sees the surface, use its own sharp pixels.",
        models=(TRIPOSG,),
    ),
    OptionInfo(
        "smooth",
        "Smoothing",
        "int",
        5,
        "Rounds of smoothing that keep the volume. 0: as the field says.",
        0,
        100,
        models=(TRIPOSG,),
    ),
    OptionInfo(
        "size",
        "Size",
        "float",
        2.0,
        "Longest side of the mesh. 0: as the generator says.",
        0.0,
        10000.0,
        unit="metres",
    ),
    OptionInfo("origin", "Origin", "choice", "base", "Where the object's origin lies.", choices=("base", "centre")),
)

PRESETS: dict[str, dict[str, Value]] = {
    "fast": {"steps": 8, "grid": 256, "faces": 20_000, "texture": 1024},
    "balanced": {"steps": 16, "grid": 384, "faces": 50_000, "texture": 2048},
    "high": {"steps": 32, "grid": 512, "faces": 100_000, "texture": 4096},
}


class Backend:
    """The Diffusion backend; see backends.Backend for what each method promises."""

    makes = "solid"
    representation_options = ("seed", "steps", "variety")

    def __init__(self) -> None:
        self._loaded: tuple[str, Imagination] | None = None

    def describe(self, weights: WeightStore) -> BackendInfo:
        help = "One object from one photo of it: a new guess at what the photo does not show with each seed."
        what = "Our own small generator: no download, works everywhere, rounder and less exact than large ones."
        own = ModelInfo(INCLUDED, "Included", "GPL-3.0-or-later", True, 0, FILE.is_file(), "included", what)
        return BackendInfo("diffusion", "Diffusion", help, INCLUDED, (own,), OPTIONS, PRESETS)

    def revision(self, model: str, weights: WeightStore) -> str:
        own = hashlib.sha256(FILE.read_bytes()).hexdigest() if FILE.is_file() else ""
        return f"{own} {_matte().revision(weights)}"

    def remarks(self, model: str, weights: WeightStore) -> tuple[str, ...]:
        return ()

    def download(self, model: str, weights: WeightStore, job: Job | Span) -> int:
        from ..pictures import saliency

        return saliency.download(weights, job)

    def suited(self, pictures: tuple[Picture, ...], options: Options, default: str) -> str:
        return default

    def generate(self, task: Task, job: Job | Span) -> Representation:
        if len(task.pictures) != 1:
            raise Unable(f"Diffusion takes one photo, not {len(task.pictures)}: choose one")
        options = task.options
        job.report(0.0, "cutting the object out")
        picture = _matte().without_background(task.pictures[0], task.weights, task.model)
        job.report(0.2, "loading the network")
        imagine = self._load(task)
        seed, steps, variety = int(options["seed"]), int(options["steps"]), float(options["variety"])
        return imagine(picture, seed, steps, variety, job.span(0.5, 1.0))

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task) -> Representation:
        from ..representations import from_arrays

        return from_arrays(arrays)

    def unload(self) -> None:
        if self._loaded:
            from . import devices

            self._loaded = None
            devices.release()

    def _load(self, task: Task) -> Imagination:
        if self._loaded is None or self._loaded[0] != task.device:
            from . import generator_inference

            self.unload()
            self._loaded = (task.device, generator_inference.load(FILE, task.device))
        return self._loaded[1]


def _matte() -> ModuleType:
    from ..pictures import matte  # on use: it brings numpy

    return matte
