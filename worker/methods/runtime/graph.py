# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a convolutional network as a graph in the ONNX format, node by node, for onnxruntime to run.

The networks that ship are trained with torch (worker/training), which takes a second of the processor and 200 MB to
import; a graph is written in milliseconds from the weights that lie in their files, so that it can be of no others.
ONNX is a message of Protocol Buffers, of whose encoding this needs two kinds of fields: whole numbers, and bytes with
their length (https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .sessions import Session, opened

_IR_VERSION, _OPERATORS = 9, 18  # of the format, and of the set of operators: every onnxruntime since 1.17 knows them
_FLOATS, _WHOLE = 1, 7  # the format's numbers for float32 and int64
_GROUP = 8  # channels that are normalised together
_LEAST = 16  # pixels of a side that every network here takes


class Graph:
    """A network that is being written. Values are (1, C, H, W) unless said otherwise, and told by their names.

    tensors: the weights, named as torch's modules name them.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors
        self._nodes: list[bytes] = []
        self._held: list[bytes] = []
        self._weights: dict[str, np.ndarray] = {}

    def node(self, kind: str, *inputs: str, **attributes: int | str | Sequence[int]) -> str:
        """The one output of an operator of that name."""
        output = f"value.{len(self._nodes)}"
        parts = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, kind)]
        parts += [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return output

    def constant(self, values: np.ndarray) -> str:
        """An array that is no weight."""
        name = f"constant.{len(self._held)}"
        self._held.append(_bytes(5, _shape_of(name, values) + _bytes(9, values.tobytes())))
        return name

    def weight(self, name: str, part: slice = slice(None)) -> str:
        """A tensor, or some of its rows. Raises KeyError where there is none."""
        own = name if part == slice(None) else f"{name}.{part.start}"
        self._weights[own] = np.ascontiguousarray(self._tensors[name][part], dtype=np.float32)
        return own

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def add(self, x: str, y: str) -> str:
        return self.node("Add", x, y)

    def beside(self, *values: str) -> str:
        """Channels of one beside those of the others."""
        return self.node("Concat", *values, axis=1)

    def convolution(self, x: str, name: str, stride: int = 1) -> str:
        """Zero-padded, so that only the stride makes it smaller."""
        bias = [self.weight(f"{name}.bias")] if f"{name}.bias" in self._tensors else []
        around = [self._tensors[f"{name}.weight"].shape[-1] // 2] * 4
        return self.node("Conv", x, self.weight(f"{name}.weight"), *bias, pads=around, strides=[stride] * 2)

    def layer(self, x: str, name: str, stride: int = 1) -> str:
        """A convolution and its normalisation: by the batch's moments where they are known, else by groups."""
        x, norm = self.convolution(x, f"{name}.0", stride), f"{name}.1"
        if f"{norm}.running_mean" in self._tensors:
            names = ("weight", "bias", "running_mean", "running_var")
            return self.node("BatchNormalization", x, *(self.weight(f"{norm}.{each}") for each in names))
        count = len(self._tensors[f"{norm}.weight"]) // _GROUP
        groups = self.node("Reshape", x, self.constant(np.int64([0, count, -1])))
        plain = (self.constant(values) for values in (np.ones(count, np.float32), np.zeros(count, np.float32)))
        normed = self.node("Reshape", self.node("InstanceNormalization", groups, *plain), self.node("Shape", x))
        weight, bias = (self._everywhere(self.weight(f"{norm}.{each}"), 0) for each in ("weight", "bias"))
        return self.add(self.node("Mul", normed, weight), bias)

    def residual(self, x: str, name: str) -> str:
        """Two layers around a shortcut."""
        inner = self.relu(self.layer(x, f"{name}.first"))
        return self.relu(self.add(x, self.layer(inner, f"{name}.second")))

    def level(self, x: str, number: int, blocks: int) -> str:
        """Residual blocks; each level after the first halves its input before."""
        name, first = f"levels.{number}", 0
        if number:
            x, first = self.relu(self.layer(x, f"{name}.0", 2)), 2
        for block in range(first, first + blocks):
            x = self.residual(x, f"{name}.{block}")
        return x

    def linear(self, x: str, name: str, part: slice = slice(None)) -> str:
        """(1, C) -> (1, K); part: of the rows."""
        return self.node("Gemm", x, self.weight(f"{name}.weight", part), self.weight(f"{name}.bias", part), transB=1)

    def perceptron(self, x: str, first: str, second: str) -> str:
        """Two linear layers, (1, C) -> (1, K)."""
        return self.linear(self.relu(self.linear(x, first)), second)

    def pooled(self, x: str, how: str = "Mean") -> str:
        """The (1, C) means, or what else the format can reduce to."""
        return self.node(f"Reduce{how}", x, self.constant(np.int64([2, 3])), keepdims=0)

    def everywhere(self, x: str, vector: str) -> str:
        """Adds (1, C) to every place."""
        return self.add(x, self._everywhere(vector, 1))

    def _everywhere(self, vector: str, axes: int) -> str:
        """A vector's channels with two more sides behind them; axes: those that come before."""
        return self.node("Unsqueeze", vector, self.constant(np.int64([axes + 1, axes + 2])))

    def resized_as(self, x: str, other: str) -> str:
        """Bilinear, to another's height and width; pixels are areas."""
        size = self.node("Concat", self.node("Shape", x, end=2), self.node("Shape", other, start=2), axis=0)
        return self.node("Resize", x, "", "", size, mode="linear")

    def doubled(self, x: str) -> str:
        """Each pixel becomes four."""
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", x, "", self.constant(np.float32([1, 1, 2, 2])), **how)

    def finished(self, inputs: Mapping[str, Sequence[int | str]], outputs: Sequence[str]) -> Session:
        """The network, ready to run. inputs: their shapes, sides that may differ by a name.

        It is run once on next to nothing: not before that does onnxruntime compare all shapes. Raises ValueError where
        the weights do not fit; MemoryError.
        """
        parts = [_bytes(1, node) for node in self._nodes] + [_text(2, "network")] + self._held
        parts += [_bytes(5, _shape_of(name, values) + _ELSEWHERE) for name, values in self._weights.items()]
        parts += [_bytes(11, _value(name, sides)) for name, sides in inputs.items()]
        parts += [_bytes(12, _value(name)) for name in outputs]
        operators = _bytes(8, _number(2, _OPERATORS))
        made = opened(_number(1, _IR_VERSION) + _bytes(7, b"".join(parts)) + operators, self._weights)
        sizes = ([side if isinstance(side, int) else _LEAST for side in sides] for sides in inputs.values())
        made(*(np.zeros(size, np.float32) for size in sizes))
        return made


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as their complement
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _attribute(name: str, value: int | str | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _shape_of(name: str, values: np.ndarray) -> bytes:
    """The beginning of a tensor: its sides, its kind of numbers and its name."""
    kind = _WHOLE if values.dtype == np.int64 else _FLOATS
    return b"".join(_number(1, side) for side in values.shape) + _number(2, kind) + _text(8, name)


_ELSEWHERE = _bytes(13, _text(1, "location") + _text(2, "weights")) + _number(14, 1)
"""The end of a tensor whose values are handed over beside the graph."""


def _value(name: str, sides: Sequence[int | str] | None = None) -> bytes:
    """An input or output of float32, of any shape where none is told."""
    kind = _number(1, _FLOATS)
    if sides is not None:
        dimensions = (_number(1, side) if isinstance(side, int) else _text(2, side) for side in sides)
        kind += _bytes(2, b"".join(_bytes(1, each) for each in dimensions))
    return _text(1, name) + _bytes(2, _bytes(1, kind))
