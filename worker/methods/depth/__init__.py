# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to its depth map, or one cut-out thing to its front and back. Must not know JSON, meshes or other backends.

Three kinds of networks: our own for scenes and our own for things, which ship with the product, and Depth Anything V2
(Yang et al. 2024, arXiv:2406.09414), whose relative models give inverse depth up to scale and shift, and whose metric
ones give metres.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import Unable
from ...core.job import Job, Span
from ...store.weights import HubFile, HubModel, WeightStore
from ...wire.protocol import BackendInfo, ModelInfo, OptionInfo, Value
from .. import Options, Task

if TYPE_CHECKING:
    import numpy as np

    from ...core.representations import Representation
    from ...pictures.load import Picture
    from ..layers.regression import ObjectEstimator
    from .estimator import Estimator

OBJECT_MODEL = "included-object"
INCLUDED = Path(__file__).parent.parent.parent / "included" / "depth.safetensors"
OBJECT = Path(__file__).parent.parent.parent / "included" / "object.safetensors"

OPTIONS = (
    OptionInfo(
        "detail",
        "Detail",
        "float",
        1.0,
        "Size at which the network sees the photo; 1 is what it was made for.",
        0.5,
        2.0,
    ),
    OptionInfo(
        "mirror",
        "Mirror and average",
        "bool",
        False,
        "Run the network on the mirrored photo too and average: steadier depth, twice the time.",
    ),
    OptionInfo(
        "fov",
        "Field of view",
        "float",
        0.0,
        "Across the photo's longer side. 0: from the network or the photo's own data, else 55.",
        0.0,
        150.0,
        unit="degrees",
    ),
    OptionInfo(
        "near",
        "Nearest",
        "float",
        1.0,
        "Distance of the nearest point, for networks that know no scale.",
        0.01,
        1000.0,
        unit="metres",
    ),
    OptionInfo(
        "far",
        "Farthest",
        "float",
        4.0,
        "Distance of the farthest point: smaller gives a flatter relief. Metric networks are cut off here.",
        0.02,
        10000.0,
        unit="metres",
    ),
    OptionInfo(
        "grid", "Grid", "int", 576, "Points along the longer side before simplification.", 32, 2048, unit="pixels"
    ),
    OptionInfo("faces", "Faces", "int", 100_000, "Triangles of the mesh, at most.", 100, 4_000_000, unit="faces"),
    OptionInfo(
        "texture",
        "Texture",
        "int",
        2048,
        "Longer side of the texture, never larger than the photo.",
        64,
        8192,
        unit="pixels",
    ),
    OptionInfo("cut", "Cut at edges", "bool", True, "Cut the surface where one thing stands in front of another."),
    OptionInfo(
        "background",
        "Background",
        "choice",
        "auto",
        "auto: cut away what the photo's transparency marks. cut: a plain background too. keep: everything stays.",
        choices=("auto", "cut", "keep"),
    ),
    OptionInfo("solid", "Solid", "bool", False, "Close sides and back to a solid that can be printed."),
    OptionInfo(
        "size",
        "Size",
        "float",
        2.0,
        "Longest side of the mesh. 0: as the depth says. Metric networks keep their metres.",
        0.0,
        10000.0,
        unit="metres",
    ),
    OptionInfo("origin", "Origin", "choice", "base", "Where the object's origin lies.", choices=("base", "centre")),
)

PRESETS: dict[str, dict[str, Value]] = {
    "fast": {"detail": 0.75, "grid": 320, "faces": 30_000, "texture": 1024},
    "balanced": {"detail": 1.0, "grid": 576, "faces": 100_000, "texture": 2048},
    "high": {"detail": 1.0, "mirror": True, "grid": 1024, "faces": 300_000, "texture": 4096},
}


@dataclass(frozen=True)
class Model:
    """One line of the table of networks: where it is published, or, for our own, which file of the product it is."""

    name: str
    label: str
    licence: str
    help: str
    hub: HubModel | None = None
    file: Path = INCLUDED


def _depth_anything(repo: str, revision: str, config: tuple[int, str | None], weights: tuple[int, str]) -> HubModel:
    files = (HubFile("config.json", *config), HubFile("model.safetensors", *weights))
    return HubModel(f"depth-anything/{repo}", revision, files)


MODELS = (
    Model(
        "depth-anything-v2-small",
        "Depth Anything V2 small",
        "Apache-2.0",
        "Sharp relative depth for any photo.",
        _depth_anything(
            "Depth-Anything-V2-Small-hf",
            "5426e4f0f36572d16453bbda7a8389317b1bef99",
            (950, "c56698d3643dde1f83ea2212759e6b31a22b8f827246a36dd007ee8a22b3ff75"),
            (99_173_660, "3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70"),
        ),
    ),
    Model(
        "depth-anything-v2-metric-indoor-small",
        "Depth Anything V2 metric, indoors",
        "Apache-2.0",
        "Depth in metres, up to 20, for rooms.",
        _depth_anything(
            "Depth-Anything-V2-Metric-Indoor-Small-hf",
            "8078d68a9c75a972131914f6afd0c1723be0da7f",
            (1063, "0b1d9fc591693d16b864249a9cfcf5264c8c00be999c1643fa1c64dc105d55f8"),
            (99_173_660, "e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3"),
        ),
    ),
    Model(
        "depth-anything-v2-metric-outdoor-small",
        "Depth Anything V2 metric, outdoors",
        "Apache-2.0",
        "Depth in metres, up to 80, for streets.",
        _depth_anything(
            "Depth-Anything-V2-Metric-Outdoor-Small-hf",
            "fd2c22027eaf20374204f14099b8341e1925ad39",
            (1063, None),
            (99_173_660, "ad065c77a7421ca55159a1f0db9433397a607690f2d76bb8a6fc54b1be7a3124"),
        ),
    ),
    Model(
        "included",
        "Included",
        "GPL-3.0-or-later",
        "Our own small network: no download, works everywhere, less exact.",
    ),
    Model(
        "included-object",
        "Included, one object",
        "GPL-3.0-or-later",
        "Our own small network for a cut-out object: closed, with a back. Chosen by itself for such pictures.",
        file=OBJECT,
    ),
)
_BY_NAME = {model.name: model for model in MODELS}


class Backend:
    """The Depth backend; see backends.Backend for what each method promises."""

    makes = "relief"
    representation_options = ("detail", "mirror")

    def __init__(self) -> None:
        self._loaded: tuple[tuple[str, str], Estimator | ObjectEstimator] | None = None

    def describe(self, weights: WeightStore) -> BackendInfo:
        models = tuple(_info(model, weights) for model in MODELS)
        default = MODELS[0].name if models[0].here else "included"
        help = "One photo to a relief: what the photo shows, in depth. A cut-out object gets a back as well."
        return BackendInfo("depth", "Depth", help, default, models, OPTIONS, PRESETS)

    def revision(self, model: str, weights: WeightStore) -> str:
        hub = _BY_NAME[model].hub
        if hub is None:
            return hashlib.sha256(_BY_NAME[model].file.read_bytes()).hexdigest()
        folder = weights.find(model, hub)  # a folder filled by hand may hold other weights of that name
        return f"{hub.revision} {(folder / hub.files[-1].name).stat().st_mtime_ns if folder else ''}"

    def remarks(self, model: str, weights: WeightStore) -> tuple[str, ...]:
        hub = _BY_NAME[model].hub
        return weights.remarks(model, hub) if hub else ()

    def download(self, model: str, weights: WeightStore, job: Job | Span) -> int:
        hub = _BY_NAME[model].hub
        if hub is None:
            return 0
        weights.download(model, hub, job)
        return hub.bytes

    def suited(self, pictures: tuple[Picture, ...], options: Options, default: str) -> str:
        if len(pictures) != 1 or options["background"] == "keep" or not OBJECT.is_file():
            return default
        from ..matting import matte

        background = pictures[0].background
        return OBJECT_MODEL if background is not None and matte.is_one_thing(~background) else default

    def generate(self, task: Task, job: Job | Span) -> Representation:
        if len(task.pictures) != 1:
            raise Unable(f"Depth takes one photo, not {len(task.pictures)}: choose one")
        picture, options = task.pictures[0], task.options
        job.report(0.0, "loading the network")
        estimator = self._load(task)
        if task.model == OBJECT_MODEL:
            job.report(0.5, "seeing both sides")
            return estimator(picture, job.check)
        job.report(0.5, "estimating depth")
        return estimator(picture.on_backdrop(), float(options["detail"]), bool(options["mirror"]), job.check)

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task) -> Representation:
        from ...core.representations import from_arrays

        return from_arrays(arrays)

    def unload(self) -> None:
        if self._loaded:
            from ..runtime import devices

            self._loaded = None
            devices.release()

    def _load(self, task: Task) -> Estimator | ObjectEstimator:
        if self._loaded is None or self._loaded[0] != (task.model, task.device):
            model = _BY_NAME[task.model]
            folder = task.weights.require(model.name, model.hub, model.licence) if model.hub else None
            self.unload()
            estimator = _estimator(model, folder, task.device)
            self._loaded = ((task.model, task.device), estimator)
        return self._loaded[1]


def _estimator(model: Model, folder: Path | None, device: str) -> Estimator | ObjectEstimator:
    if model.name == OBJECT_MODEL:
        from ..layers import regression as object_inference

        return object_inference.load_included(model.file, device)
    from . import estimator as depth_inference

    if folder is None:
        return depth_inference.load_included(model.file, device)
    return depth_inference.load_depth_anything(folder, device)


def _info(model: Model, weights: WeightStore) -> ModelInfo:
    here = model.file.is_file() if model.hub is None else weights.find(model.name, model.hub) is not None
    bytes = model.hub.bytes if model.hub else 0
    source = f"https://huggingface.co/{model.hub.repo}" if model.hub else "included"
    return ModelInfo(model.name, model.label, model.licence, True, bytes, here, source, model.help)
