# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs graphs in the ONNX format by onnxruntime, on the processor: the one place that knows it.

onnxruntime is imported on use. Must not know what the graphs are for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_FULL = ("bad_alloc", "allocate")
"""What onnxruntime's errors say where memory is full."""


@dataclass(frozen=True)
class Session:
    """A graph that is ready to run: arrays in the order of its inputs -> arrays in that of its outputs."""

    inner: Any
    kept: tuple[Any, ...] = ()  # the weights, which are read where they lie

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Raises ValueError where the graph does not take these; MemoryError."""
        names = [each.name for each in self.inner.get_inputs()]
        with _told():
            return self.inner.run(None, dict(zip(names, inputs, strict=True)))


def opened(graph: Path | bytes, weights: Mapping[str, np.ndarray] | None = None) -> Session:
    """A graph that lies in a file, or that was made. weights: what it calls by name and does not hold.

    Raises ValueError in a few words where the graph is damaged, or goes with other weights; MemoryError.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside a busy Blender that would wait
    options.log_severity_level = 3  # errors only, and those are raised as well
    given = {name: onnxruntime.OrtValue.ortvalue_from_numpy(values) for name, values in (weights or {}).items()}
    with _told():
        if given:
            options.add_external_initializers(list(given), list(given.values()))
        inner = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Session(inner, tuple((weights or {}).values()))


@contextmanager
def _told() -> Iterator[None]:
    """Turns what onnxruntime raises, none of it kin to Python's own errors, into ValueError or MemoryError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    failures = (
        *(errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf),
        *(errors.NoModel, errors.NoSuchFile, errors.NotImplemented, errors.RuntimeException),
    )
    try:
        yield
    except failures as error:
        reason = str(error).strip().splitlines()[0]
        full = any(words in reason for words in _FULL)
        raise (MemoryError if full else ValueError)(reason) from None


def _threads() -> int:
    """As many as OMP_NUM_THREADS says, which torch obeys too, else as this process may use cores: onnxruntime would
    take all that there are, and pin its threads to them."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
