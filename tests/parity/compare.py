# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares each stage of a network with its recorded reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]
Stages = Callable[[Path, Arrays, str], dict[str, np.ndarray]]

TABLE = {
    "detailgen3d": ".detailgen3d",
    "moge": ".moge",
    "triposg": ".triposg",
    "triposr": ".triposr",
}
"""Network -> module with stages(checkpoint folder, recorded arrays, device): our array for each name of the set."""

TOLERANCE = 1e-4
"""Largest relative error of a stage that passes."""


def compared(network: str, folder: Path, device: str = "cpu", tolerance: float = TOLERANCE) -> dict:
    """The report. Raises OSError, ValueError where the set cannot be run.

    For each stage the largest difference, `absolute` and `relative` to the largest reference value of that stage (so
    that values near zero do not divide by nothing), and `rms`, root mean square difference over that of the reference.
    A stage of another shape, or that is not finite where the reference is, has a `fault` and does not pass.
    """
    reference = _loaded(folder, "reference.npz")
    recorded, final = {**_loaded(folder, "inputs.npz"), **reference}, set(reference)
    stages: Stages = import_module(TABLE[network], __package__).stages
    ours = stages(folder / "checkpoint", recorded, device)
    found = {name: _errors(values, recorded[name]) for name, values in ours.items() if name in recorded}
    if not final & set(found):
        raise ValueError(f"reference.npz has no stage of {network}")
    failed = [name for name, errors in found.items() if not errors.get("relative", np.inf) <= tolerance]
    summary = {"network": network, "device": device, "tolerance": tolerance, "passed": not failed, "failed": failed}
    return {**summary, "stages": found, "not_compared": sorted(final - set(found))}


def _loaded(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of that file, and of those beside it that were added to it: `encode_<name>` and the like."""
    arrays: dict[str, np.ndarray] = {}
    for path in [folder / name, *sorted(folder.glob(f"*_{name}"))]:
        with np.load(path) as file:
            arrays |= file
    return arrays


def _errors(ours: np.ndarray, reference: np.ndarray) -> dict[str, float | str]:
    if ours.shape != reference.shape:
        return {"fault": f"of shape {ours.shape} and not {reference.shape}"}
    there = np.isfinite(reference)
    if not np.array_equal(np.isfinite(ours), there):
        return {"fault": "finite elsewhere than the reference"}
    ours, reference = ours[there].astype(np.float64), reference[there].astype(np.float64)
    difference, size = np.abs(ours - reference), np.abs(reference)
    rms = np.sqrt((difference**2).mean() / max((size**2).mean(), 1e-30))
    largest = float(difference.max())
    return {"absolute": largest, "relative": largest / max(float(size.max()), 1e-30), "rms": float(rms)}
