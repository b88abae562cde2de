# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that find the thing a photo is of, whatever is behind it: published ONNX files, run by onnxruntime.

U2-Net (Qin et al. 2020, arXiv:2005.09007), here its small form, and IS-Net (Qin et al. 2022, arXiv:2203.03041), as
rembg publishes them. onnxruntime is imported on use: it takes half a second. Must not know what becomes of the matte.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.errors import WeightsMissing, Unable
from ...core.job import Job, Span
from ...store.weights import HubFile, WebModel, WeightStore

_REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"


@dataclass(frozen=True)
class MatteNetwork:
    """A network from a square photo (1, 3, size, size) to the subject's share (1, 1, size, size), its first output.

    mean, deviation: what is taken off the photo's values in [0, 1], and what they are divided by. brightest: whether
    they are first divided by the photo's largest one, as this network's training did.
    """

    name: str
    licence: str
    published: WebModel
    size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    brightest: bool

    @property
    def bytes(self) -> int:
        return self.published.bytes


U2NETP = MatteNetwork(
    "u2netp",
    "Apache-2.0",
    WebModel(
        _REMBG,
        (HubFile("u2netp.onnx", 4_574_861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"),),
    ),
    320,
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
    True,
)
ISNET = MatteNetwork(
    "isnet-general-use",
    "Apache-2.0",
    WebModel(
        _REMBG,
        (
            HubFile(
                "isnet-general-use.onnx",
                178_648_008,
                "60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            ),
        ),
    ),
    1024,
    (0.5, 0.5, 0.5),
    (1.0, 1.0, 1.0),
    False,
)
NETWORKS = (ISNET, U2NETP)
"""Best first."""


def installed(weights: WeightStore) -> MatteNetwork | None:
    """The best network whose file is on this machine."""
    return next((network for network in NETWORKS if weights.find(network.name, network.published)), None)


def require(weights: WeightStore, model: str) -> MatteNetwork:
    """As `installed`, but raises WeightsMissing. `model`: the backend's model whose download brings the smallest one."""
    if network := installed(weights):
        return network
    what = f"the network {U2NETP.name} ({U2NETP.bytes / 1e6:.1f} MB, {U2NETP.licence})"
    message = f"{what}, which finds the object in a photo, is not on this machine: download it first, or cut out"
    raise WeightsMissing(f"{message} the object yourself", model, U2NETP.bytes, U2NETP.licence)


def download(weights: WeightStore, job: Job | Span, network: MatteNetwork = U2NETP) -> int:
    """Fetches a network's file unless it is here already; returns its bytes. Raises Unable, Cancelled."""
    if weights.find(network.name, network.published) is None:
        weights.download(network.name, network.published, job)
    return network.bytes


def matte(network: MatteNetwork, weights: WeightStore, rgb: np.ndarray) -> np.ndarray:
    """The subject's share (size, size) float32 in [0, 1] of the photo (H, W, 3) uint8, squeezed into a square.

    The network's file must be there. Raises Unable if it cannot be loaded, or gives no numbers.
    """
    folder = weights.find(network.name, network.published)
    path = folder / network.published.files[0].name
    small = Image.fromarray(rgb).resize((network.size, network.size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    values = np.asarray(small, np.float32)
    values = values / (max(float(values.max()), 1.0) if network.brightest else 255.0)
    values = (values - np.float32(network.mean)) / np.float32(network.deviation)
    found = _run(path, np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    if found.shape != (1, 1, network.size, network.size) or not np.isfinite(found).all():
        raise Unable(f"{path.name} gave no matte: remove the folder {folder} and download it again")
    return np.clip(found[0, 0], 0.0, 1.0)


def _run(path: Path, values: np.ndarray) -> np.ndarray:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.log_severity_level = 3  # errors only, and those are raised as well
    failures = (
        *(errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf),
        *(errors.NoModel, errors.NoSuchFile, errors.NotImplemented, errors.RuntimeException),
    )
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs, outputs = session.get_inputs(), session.get_outputs()
        return session.run([outputs[0].name], {inputs[0].name: values})[0]
    except failures as error:
        reason = str(error).strip().splitlines()[0]
        message = f"{path.name} cannot be used ({reason}): remove the folder {path.parent} and download it again"
        raise Unable(message) from None


def _cores() -> int:
    """How many cores this process may use; onnxruntime would take all that there are, and pin its threads to them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
