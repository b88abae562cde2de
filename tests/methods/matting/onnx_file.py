# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a tiny ONNX file by hand: a 1 x 1 convolution over three channels and a sigmoid, of a photo's size."""

from collections.abc import Sequence

import numpy as np


def colour_network(size: int, weights: Sequence[float], bias: float) -> bytes:
    """The file of a network (1, 3, size, size) -> (1, 1, size, size): sigmoid(weights . channels + bias)."""
    graph = b"".join(
        (
            _part(1, _node("Conv", ("in", "w", "b"), "sum")),
            _part(1, _node("Sigmoid", ("sum",), "out")),
            _part(2, b"tiny"),
            _part(5, _tensor("w", (1, 3, 1, 1), weights)),
            _part(5, _tensor("b", (1,), (bias,))),
            _part(11, _value("in", (1, 3, size, size))),
            _part(12, _value("out", (1, 1, size, size))),
        )
    )
    return _number(1, 8) + _part(7, graph) + _part(8, _part(1, b"") + _number(2, 13))


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _node(kind: str, inputs: Sequence[str], output: str) -> bytes:
    return b"".join(_part(1, name.encode()) for name in inputs) + _part(2, output.encode()) + _part(4, kind.encode())


def _tensor(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    dimensions = b"".join(_number(1, side) for side in shape)
    return dimensions + _number(2, 1) + _part(8, name.encode()) + _part(9, np.asarray(values, "<f4").tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_part(1, _number(1, side)) for side in shape)
    return _part(1, name.encode()) + _part(2, _part(1, _number(1, 1) + _part(2, dimensions)))
