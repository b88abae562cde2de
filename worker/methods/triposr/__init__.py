# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of a thing to a radiance field, a function of space that can be asked anywhere. Must not know JSON or meshes.

One photo goes through TripoSR (Tochilkin et al. 2024, arXiv:2403.02151), which imagines what it cannot see. Of several
photos the cameras are found, and a field is fitted to what they show; that needs no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ...core.errors import Unable
from ...core.job import Job, Span
from ...store.weights import HubFile, HubModel, WeightStore
from ...wire.protocol import BackendInfo, ModelInfo, OptionInfo, Value
from .. import Options, Task
from ..multiview_fit import engines

if TYPE_CHECKING:
    import numpy as np

    from ...core.representations import Field
    from ...pictures.load import Picture
    from .reconstructor import Reconstructor

NAME, LICENCE = "triposr", "MIT"
PHOTOS = "photos"

_LEARNING = "2"
"""To be raised whenever several photos are learned in another way: what was kept before is then learned anew."""

HUB = HubModel(
    "stabilityai/TripoSR",
    "5b521936b01fbe1890f6f9baed0254ab6351c04a",
    (
        HubFile("config.yaml", 987, "74ca708ce086bf68e97709ea6b3d91f14717921c04691e84043f0eb8fcc68e62"),
        HubFile("model.ckpt", 1_677_246_742, "429e2c6b22a0923967459de24d67f05962b235f79cde6b032aa7ed2ffcd970ee"),
    ),
)

OPTIONS = (
    OptionInfo(
        "grid",
        "Grid",
        "int",
        256,
        "Cells along the field's longest side from which the surface is made: finer detail, more time.",
        32,
        1024,
    ),
    OptionInfo("faces", "Faces", "int", 50_000, "Triangles of the mesh, at most.", 100, 4_000_000, unit="faces"),
    OptionInfo("texture", "Texture", "int", 1024, "Longer side of the texture.", 64, 8192, unit="pixels"),
    OptionInfo(
        "photo",
        "Photo Texture",
        "bool",
        True,
        "Where the photo sees the surface, use its own sharp pixels; the field colours the rest.",
    ),
    OptionInfo(
        "smooth",
        "Smoothing",
        "int",
        20,
        "Rounds of smoothing that keep the volume. 0: as the field says.",
        0,
        100,
    ),
    OptionInfo(
        "threshold",
        "Threshold",
        "float",
        25.0,
        "Density at which matter begins: lower makes thin parts thicker, higher cuts haze away.",
        0.1,
        1000.0,
        models=(NAME,),
    ),
    OptionInfo(
        "fill",
        "Fill",
        "float",
        0.85,
        "How much of the picture that the network sees is filled by the object; 0.85 is what it was made for.",
        0.4,
        1.0,
        models=(NAME,),
    ),
    OptionInfo(
        "training",
        "Training",
        "choice",
        "balanced",
        "How long several photos are learned, and how finely.",
        choices=("fast", "balanced", "high"),
        models=(PHOTOS,),
    ),
    OptionInfo(
        "subject",
        "Subject",
        "choice",
        "auto",
        "What becomes of several photos: the object alone, cut out of each, or all that they show. auto: the object "
        "where photos go around one.",
        choices=("auto", "object", "scene"),
        models=(PHOTOS,),
    ),
    OptionInfo(
        "engine",
        "Engine",
        "choice",
        "auto",
        "What learns several photos. auto: for balanced and high nerfstudio's two where they are installed beside an "
        "NVIDIA card, else our own grid.",
        choices=engines.NAMES,
        models=(PHOTOS,),
    ),
    OptionInfo(
        "size",
        "Size",
        "float",
        2.0,
        "Longest side of the mesh. 0: as the field says.",
        0.0,
        10000.0,
        unit="metres",
    ),
    OptionInfo("origin", "Origin", "choice", "base", "Where the object's origin lies.", choices=("base", "centre")),
)

PRESETS: dict[str, dict[str, Value]] = {
    "fast": {"training": "fast", "grid": 128, "faces": 20_000, "texture": 1024},
    "balanced": {"training": "balanced", "grid": 256, "faces": 50_000, "texture": 1024},
    "high": {"training": "high", "grid": 512, "faces": 100_000, "texture": 2048},
}


class Backend:
    """The NeRF backend; see backends.Backend for what each method promises."""

    makes = "solid"
    representation_options = ("fill", "training", "subject", "engine")

    def __init__(self) -> None:
        self._loaded: tuple[str, Reconstructor] | None = None

    def describe(self, weights: WeightStore) -> BackendInfo:
        help = "One object from one photo, whose unseen sides are imagined, or from several photos all around it."
        here = weights.find(NAME, HUB) is not None
        source = f"https://huggingface.co/{HUB.repo}"
        what = "A radiance field from one photo of one object."
        model = ModelInfo(NAME, "TripoSR", LICENCE, True, HUB.bytes, here, source, what)
        learn = "A radiance field fitted to several photos of a thing, or to a video."
        several = ModelInfo(
            PHOTOS, "Several photos", "GPL-3.0-or-later", True, 0, True, "included", learn, several=True
        )
        return BackendInfo("nerf", "NeRF", help, NAME, (model, several), OPTIONS, PRESETS)

    def revision(self, model: str, weights: WeightStore) -> str:
        if model == PHOTOS:
            # else "auto" would find what another engine or matte once left
            return f"{_LEARNING} {engines.installed()} {_matte().revision(weights)}"
        folder = weights.find(NAME, HUB)  # a folder filled by hand may hold other weights of that name
        times = _times(folder) if folder else []
        return f"{HUB.revision} {times} {_matte().revision(weights)}"

    def remarks(self, model: str, weights: WeightStore) -> tuple[str, ...]:
        return weights.remarks(NAME, HUB) if model == NAME else ()

    def download(self, model: str, weights: WeightStore, job: Job | Span) -> int:
        from ..matting import saliency

        if model == PHOTOS:  # needs it only where photos show more than the object
            return saliency.download(weights, job)
        if weights.find(NAME, HUB) is None:
            weights.download(NAME, HUB, job.span(0.0, 0.99))
        return HUB.bytes + saliency.download(weights, job.span(0.99, 1.0))

    def suited(self, pictures: tuple[Picture, ...], options: Options, default: str) -> str:
        return default if len(pictures) == 1 else PHOTOS

    def generate(self, task: Task, job: Job | Span) -> Field:
        if task.model == PHOTOS:
            from ..multiview_fit import fit as nerf_photos

            return nerf_photos.field(nerf_photos.learned(task, job), task.device)
        if len(task.pictures) != 1:
            raise Unable(f"TripoSR takes one photo, not {len(task.pictures)}: choose one, or the model for several")
        task.weights.require(NAME, HUB, LICENCE)
        job.report(0.0, "cutting the object out")
        picture = _matte().without_background(task.pictures[0], task.weights, NAME)
        job.report(0.1, "loading the network")
        reconstructor = self._load(task)
        arrays = reconstructor(picture, float(task.options["fill"]), job.span(0.2, 1.0))
        return self.restored(arrays, task)

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task) -> Field:
        if task.model == PHOTOS:
            from ..multiview_fit import fit as nerf_photos

            return nerf_photos.field(arrays, task.device)
        from ..runtime import devices  # which need what the environment nerf does not have
        from . import reconstructor as nerf_inference  # which need what the environment nerf does not have

        return nerf_inference.field(arrays, devices.pick(task.device), float(task.options["threshold"]))

    def unload(self) -> None:
        if self._loaded:
            from ..runtime import devices

            self._loaded = None
            devices.release()

    def _load(self, task: Task) -> Reconstructor:
        folder = task.weights.require(NAME, HUB, LICENCE)
        which = f"{folder} {_times(folder)} {task.device}"
        if self._loaded is None or self._loaded[0] != which:
            from . import reconstructor as nerf_inference

            self.unload()
            self._loaded = (which, nerf_inference.load(folder, task.device))
        return self._loaded[1]


def _times(folder: Path) -> list[int]:
    """When the files were written, which tells other weights of the same name."""
    return [(folder / file.name).stat().st_mtime_ns for file in HUB.files]


def _matte() -> ModuleType:
    from ..matting import matte  # on use: it brings numpy

    return matte
