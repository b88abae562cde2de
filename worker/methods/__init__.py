# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of backends: each turns pictures into a learned 3D representation. Must not know JSON or meshes.

To add one, write `worker/backends/<name>.py` with a class `Backend` (see the protocol below) and add its line to TABLE.
A backend's module is imported on use and imports torch on use, so that describing what is offered takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..core.errors import MethodUnavailable, Invalid
from ..core.job import Job, Span
from ..store.weights import WeightStore
from ..core.options import Value

if TYPE_CHECKING:  # only named here: numpy and Pillow would slow the worker's first answer
    import numpy as np

    from ..wire.protocol import BackendInfo, OptionInfo

    from ..core.representations import Representation
    from ..pictures.load import Picture

TABLE = {
    "depth": ".depth",
    "nerf": ".triposr",
    "diffusion": ".triposg",
}

Options = dict[str, Value]


@dataclass(frozen=True)
class Task:
    """What a backend is asked for: pictures, which of its models, a value for each of its options.

    ordered: whether neighbouring pictures are frames of a video. cameras: a file that lists pictures and their cameras;
    then `pictures` is empty. on_preview: hears pictures (H, W, 3) uint8 sRGB of what is made so far.
    """

    pictures: tuple[Picture, ...]
    model: str
    options: Options
    device: str
    weights: WeightStore
    ordered: bool = False
    cameras: Path | None = None
    on_preview: Callable[[np.ndarray], None] = lambda picture: None


class Backend(Protocol):
    """What every backend offers."""

    makes: str
    """What becomes of the representation: "relief" for what one photo shows in depth, "solid" for a field."""

    representation_options: tuple[str, ...]
    """Names of the options on which the representation depends; the others only shape the mesh."""

    def describe(self, weights: WeightStore) -> BackendInfo:
        """What the panel shows. Cheap, without torch."""

    def revision(self, model: str, weights: WeightStore) -> str:
        """What tells the model's weights from others of its name, for the cache."""

    def remarks(self, model: str, weights: WeightStore) -> tuple[str, ...]:
        """Sentences for the user about the weights that are used."""

    def download(self, model: str, weights: WeightStore, job: Job | Span) -> int:
        """Fetches the weights of `model`; returns their bytes."""

    def suited(self, pictures: tuple[Picture, ...], options: Options, default: str) -> str:
        """The model for these pictures where the user named none: the default, or one that is made for such."""

    def generate(self, task: Task, job: Job | Span) -> Representation:
        """Pictures to representation. Raises Unable and its kin; hears a cancel at each report."""

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task) -> Representation:
        """The representation whose `to_arrays` these are, for the same task, without the network."""

    def unload(self) -> None:
        """Gives the memory of loaded networks back."""


@cache
def get(name: str) -> Backend:
    """The backend of that name, the same object each time. Raises MethodUnavailable."""
    if name not in TABLE:
        raise MethodUnavailable(f"there is no backend {name!r}: choose one of {', '.join(TABLE)}")
    return import_module(TABLE[name], __package__).Backend()


def settle(info: BackendInfo, preset: str, chosen: Options) -> Options:
    """A value for each option: the default, unless the preset, unless the user says otherwise. Raises Invalid."""
    if preset not in info.presets:
        raise Invalid(f"there is no preset {preset!r}: choose one of {', '.join(info.presets)}")
    options = {option.name: option for option in info.options}
    for name in chosen:
        if name not in options:
            raise Invalid(f"the backend {info.name} has no option {name!r}: choose one of {', '.join(options)}")
    values = {name: option.default for name, option in options.items()} | info.presets[preset] | chosen
    return {name: _checked(options[name], value) for name, value in values.items()}


def choose_model(info: BackendInfo, model: str | None) -> str:
    """The asked-for model, or the backend's default. Raises Invalid where there is none of that name."""
    names = [offered.name for offered in info.models]
    if model is not None and model not in names:
        raise Invalid(f"the backend {info.name} has no model {model!r}: choose one of {', '.join(names)}")
    return model or info.default_model


def _checked(option: OptionInfo, value: Value) -> Value:
    kinds = {"bool": bool, "int": int, "float": (int, float), "choice": str}
    if not isinstance(value, kinds[option.kind]) or (option.kind != "bool" and isinstance(value, bool)):
        raise Invalid(f"{option.name} must be of kind {option.kind}, not {value!r}")
    if option.kind == "choice" and value not in option.choices:
        raise Invalid(f"{option.name} must be one of {', '.join(option.choices)}, not {value!r}")
    low, high = option.minimum, option.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise Invalid(f"{option.name} must lie between {low:g} and {high:g}, not {value:g}")
    return float(value) if option.kind == "float" else value
