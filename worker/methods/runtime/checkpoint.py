# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading published weights safely, and fitting them to a network by name and shape.

A checkpoint is data from somewhere: whatever is wrong with it becomes one sentence (`ValueError`, and `Unable` for the
user), and program code in a pickle is never run.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...core.errors import Unable
from .loading import remedy

SHOWN = 3
"""How many of the tensors that do not fit are named in the error."""


def check_finite(values: Tensor, place: Path) -> None:
    """Raises Unable where what weights in `place` gave is not finite."""
    if not values.isfinite().all():
        raise Unable(f"the weights in {place} give numbers that are not finite: {remedy(place)}")


def read_pickle(path: Path) -> object:
    """What `torch.save` wrote, if it is nothing but tensors and plain values. Raises ValueError."""
    try:
        return _read_pickle(path)
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is damaged, cut off or not a checkpoint ({_first_line(error)})") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a `.safetensors` file, or of a flat state dict written by `torch.save`, on the CPU.

    They stay in the file, mapped into memory, and are read as they are used: loading takes no time and no second copy.
    Raises ValueError where the file is damaged, is something else, or holds more than tensors.
    """
    read = load_file if path.suffix == ".safetensors" else _read_pickle
    try:
        content = read(path)
    except (SafetensorError, RuntimeError, EOFError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is damaged, cut off or not a checkpoint ({_first_line(error)})") from None
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path.name} is not a plain list of tensors, so it is the checkpoint of something else")
    return dict(content)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
    except pickle.UnpicklingError as error:
        if "global" in str(error).lower():
            raise ValueError(f"{path.name} holds program code and not only tensors, so it was not loaded") from None
        message = "is damaged, or holds more than tensors, perhaps program code, so it was not loaded"
        raise ValueError(f"{path.name} {message}") from None


def fit(network: nn.Module, tensors: Mapping[str, Tensor], file: str) -> None:
    """Makes the tensors the network's own, in float32 and without copying where they are that already.

    Raises ValueError naming the first that are missing, too many, or of another shape or kind; `file` is who is to
    blame.
    """
    wanted = network.state_dict()
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    faults += [f"{name} is unknown" for name in tensors if name not in wanted]
    for name, place in wanted.items():
        found = tensors.get(name, place)
        if found.shape != place.shape:
            faults.append(f"{name} is {tuple(found.shape)} and not {tuple(place.shape)}")
        elif not found.is_floating_point():
            faults.append(f"{name} holds {str(found.dtype).removeprefix('torch.')} numbers")
    if faults:
        rest = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(f"{file} does not fit its configuration: {'; '.join(faults[:SHOWN])}{rest}")
    network.load_state_dict({name: tensors[name].float() for name in wanted}, strict=True, assign=True)
