# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that find the thing a photo is of, whatever is behind it: published ONNX files.

Must not know what becomes of the matte.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.errors import Unable, WeightsMissing
from ...store.weights import WeightStore
from ..method import Network
from ..runtime.sessions import opened
from . import ISNET, NETWORKS, U2NETP


@dataclass(frozen=True)
class _Preparation:
    """From a square photo (1, 3, size, size) to the subject's share (1, 1, size, size), a network's first output.

    mean, deviation: what is taken off the photo's values in [0, 1], and what they are divided by. brightest: whether
    they are first divided by the photo's largest one, as this network's training did.
    """

    size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    brightest: bool


_PREPARATIONS = {
    U2NETP.name: _Preparation(320, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True),
    ISNET.name: _Preparation(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), False),
}


def installed(weights: WeightStore) -> Network | None:
    """The best network whose file is on this machine."""
    return next((network for network in NETWORKS if network.is_here(weights)), None)


def require(weights: WeightStore, asked_by: str) -> Network:
    """As `installed`, but raises WeightsMissing. `asked_by`: the network whose download brings the smallest one."""
    if network := installed(weights):
        return network
    what = f"the network {U2NETP.name} ({U2NETP.bytes / 1e6:.1f} MB, {U2NETP.licence})"
    message = f"{what}, which finds the object in a photo, is not on this machine: download it first, or cut out"
    raise WeightsMissing(f"{message} the object yourself", asked_by, U2NETP.bytes, U2NETP.licence)


def matte(network: Network, weights: WeightStore, rgb: np.ndarray) -> np.ndarray:
    """The subject's share (size, size) float32 in [0, 1] of the photo (H, W, 3) uint8, squeezed into a square.

    The network's file must be there. Raises Unable if it cannot be loaded, or gives no numbers.
    """
    how, folder = _PREPARATIONS[network.name], network.folder(weights)
    path = folder / network.published.files[0].name
    small = Image.fromarray(rgb).resize((how.size, how.size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    values = np.asarray(small, np.float32)
    values = values / (max(float(values.max()), 1.0) if how.brightest else 255.0)
    values = (values - np.float32(how.mean)) / np.float32(how.deviation)
    found = _run(path, np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    if found.shape != (1, 1, how.size, how.size) or not np.isfinite(found).all():
        raise Unable(f"{path.name} gave no matte: remove the folder {folder} and download it again")
    return np.clip(found[0, 0], 0.0, 1.0)


def _run(path: Path, values: np.ndarray) -> np.ndarray:
    try:
        return opened(path)(values)[0]
    except ValueError as error:
        message = f"{path.name} cannot be used ({error}): remove the folder {path.parent} and download it again"
        raise Unable(message) from None
