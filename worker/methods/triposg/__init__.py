# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to a whole object, sampled by diffusion: what the photo leaves open is imagined, by each seed in its own
way. Must not know JSON, meshes or other backends.

Our own generator ships with the product and gives two layers; the others give fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ...core.errors import Unable
from ...core.job import Job, Span
from ...store.weights import WeightStore
from ...wire.protocol import BackendInfo, ModelInfo, OptionInfo, Value
from .. import Options, Task
from .models import MODELS, Model, times

if TYPE_CHECKING:
    import numpy as np

    from ...core.representations import Representation
    from ...pictures.load import Picture
    from ..layers.sampling import Imagination
    from ..shap_e import generator as shap_e_inference
    from . import generator as triposg_inference

INCLUDED = "included"
FILE = Path(__file__).parent.parent.parent / "included" / "generator.safetensors"


_BY_NAME = {model.name: model for model in MODELS}
_PUBLISHED = tuple(_BY_NAME)

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
        models=(INCLUDED,),
    ),
    OptionInfo(
        "sampler_steps",
        "Steps",
        "int",
        50,
        "Steps from noise to a shape: more are slower, and more exact.",
        1,
        200,
        models=_PUBLISHED,
    ),
    OptionInfo(
        "variety",
        "Variety",
        "float",
        0.3,
        "How far from the likeliest shape seeds may lead. 0: all give the likeliest. 1: as various as things are.",
        0.0,
        1.5,
        models=(INCLUDED,),
    ),
    OptionInfo(
        "guidance",
        "Guidance",
        "float",
        0.0,
        "How closely the shape keeps to the photo; 1 takes half the time. 0: what the model was made for.",
        0.0,
        20.0,
        models=_PUBLISHED,
    ),
    OptionInfo(
        "grid",
        "Grid",
        "int",
        256,
        "Cells along the field's longest side from which the surface is made: finer detail, more time.",
        32,
        1024,
        models=_PUBLISHED,
    ),
    OptionInfo("faces", "Faces", "int", 50_000, "Triangles of the mesh, at most.", 100, 4_000_000, unit="faces"),
    OptionInfo("texture", "Texture", "int", 2048, "Longer side of the texture.", 64, 8192, unit="pixels"),
    OptionInfo(
        "photo",
        "Photo Texture",
        "bool",
        True,
        "Where the photo sees the surface, use its own sharp pixels.",
        models=_PUBLISHED,
    ),
    OptionInfo(
        "smooth",
        "Smoothing",
        "int",
        5,
        "Rounds of smoothing that keep the volume. 0: as the field says.",
        0,
        100,
        models=_PUBLISHED,
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
    "fast": {"steps": 8, "sampler_steps": 25, "grid": 256, "faces": 20_000, "texture": 1024},
    "balanced": {"steps": 16, "sampler_steps": 50, "grid": 384, "faces": 50_000, "texture": 2048},
    "high": {"steps": 32, "sampler_steps": 75, "grid": 512, "faces": 100_000, "texture": 4096},
}


class Backend:
    """The Diffusion backend; see backends.Backend for what each method promises."""

    makes = "solid"
    representation_options = ("seed", "steps", "variety", "sampler_steps", "guidance")

    def __init__(self) -> None:
        self._loaded: tuple[str, Imagination | triposg_inference.Generator | shap_e_inference.Generator] | None = None

    def describe(self, weights: WeightStore) -> BackendInfo:
        help = "One object from one photo of it: a new guess at what the photo does not show with each seed."
        what = "Our own small generator: no download, works everywhere, rounder and less exact than large ones."
        own = ModelInfo(INCLUDED, "Included", "GPL-3.0-or-later", True, 0, FILE.is_file(), "included", what)
        models = (own, *(_info(model, weights) for model in MODELS))
        return BackendInfo("diffusion", "Diffusion", help, INCLUDED, models, OPTIONS, PRESETS)

    def revision(self, model: str, weights: WeightStore) -> str:
        if model == INCLUDED:
            own = hashlib.sha256(FILE.read_bytes()).hexdigest() if FILE.is_file() else ""
            return f"{own} {_matte().revision(weights)}"
        folder = _BY_NAME[model].folder(weights)  # filled by hand it may hold other weights of that name
        return f"{_BY_NAME[model].hub.revision} {times(folder)} {_matte().revision(weights)}"

    def remarks(self, model: str, weights: WeightStore) -> tuple[str, ...]:
        return () if model == INCLUDED else weights.remarks(model, _BY_NAME[model].hub)

    def download(self, model: str, weights: WeightStore, job: Job | Span) -> int:
        from ..matting import saliency

        if model == INCLUDED:  # needs it only where a photo shows more than the object
            return saliency.download(weights, job)
        hub = _BY_NAME[model].hub
        if _BY_NAME[model].folder(weights) is None:
            weights.download(model, hub, job.span(0.0, 0.99))
        return hub.bytes + saliency.download(weights, job.span(0.99, 1.0))

    def suited(self, pictures: tuple[Picture, ...], options: Options, default: str) -> str:
        return default

    def generate(self, task: Task, job: Job | Span) -> Representation:
        if len(task.pictures) != 1:
            raise Unable(f"Diffusion takes one photo, not {len(task.pictures)}: choose one")
        options, model = task.options, _BY_NAME.get(task.model)
        folder = model.required(task.weights) if model else FILE.parent
        job.report(0.0, "cutting the object out")
        picture = _matte().without_background(task.pictures[0], task.weights, task.model)
        job.report(0.1, "loading the network")
        generator, seed, rest = self._load(model, folder, task.device), int(options["seed"]), job.span(0.2, 1.0)
        if model is None:
            return generator(picture, seed, int(options["steps"]), float(options["variety"]), rest)
        guidance = float(options["guidance"]) or model.guidance
        return self.restored(generator(picture, seed, int(options["sampler_steps"]), guidance, rest), task)

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task) -> Representation:
        if task.model == INCLUDED:
            from ...core.representations import from_arrays

            return from_arrays(arrays)
        from ..runtime import devices

        return _module(_BY_NAME[task.model]).field(arrays, devices.pick(task.device))

    def unload(self) -> None:
        if self._loaded:
            from ..runtime import devices

            self._loaded = None
            devices.release()

    def _load(
        self, model: Model | None, folder: Path, device: str
    ) -> Imagination | triposg_inference.Generator | shap_e_inference.Generator:
        which = f"{folder} {times(folder) if model else FILE} {device}"
        if self._loaded is None or self._loaded[0] != which:
            self.unload()
            self._loaded = (which, _generator(model, folder, device))
        return self._loaded[1]


def _generator(
    model: Model | None, folder: Path, device: str
) -> Imagination | triposg_inference.Generator | shap_e_inference.Generator:
    """The network, once it is sure that there is enough memory for it."""
    if model is None:
        from ..layers import sampling as generator_inference

        return generator_inference.load(FILE, device)
    from ..runtime import memory

    found = _module(model).load(folder, device)
    memory.require(found.device, found.needed(), {})  # all presets need the same
    return found


def _module(model: Model) -> ModuleType:
    return import_module(model.module, __package__)


def _info(model: Model, weights: WeightStore) -> ModelInfo:
    here = model.folder(weights) is not None
    source = f"https://huggingface.co/{model.hub.repo}"
    return ModelInfo(model.name, model.label, model.licence, True, model.hub.bytes, here, source, model.help)


def _matte() -> ModuleType:
    from ..matting import matte  # on use: it brings numpy

    return matte
