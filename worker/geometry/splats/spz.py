# SPDX-License-Identifier: GPL-3.0-or-later
"""SPZ, the compressed file of splats that Blender 5.3 reads: gzip of a header of 16 bytes and one column per attribute.

Niantic's format, versions 2 and 3 (https://github.com/nianticlabs/spz), in the axes of glTF (x right, y up, z back).
Positions are fixed-point of 24 bits, scales logarithms in sixteenths, rotations the three smaller parts of a quaternion
in 10 bits each, opacities and colours bytes, harmonics bytes of which 5 or 4 bits are used.
"""

from __future__ import annotations

import gzip
import io
import math
import struct

import numpy as np

from ...core.representations import Splats

_HEADER = struct.Struct("<IIIBBBB")
_MAGIC, _VERSION = 0x5053474E, 3
_COLOUR = 0.15
"""The coefficient of degree 0 is stored as so many times itself, and a half."""

_BITS, _MOST_BITS = 23, 18
"""Of a position: all but the sign; those behind the point at most, a quarter of a millimetre's hundredth."""

_COEFFICIENTS = (0, 3, 8, 15)
_LARGEST = 200_000_000
"""Bytes that a file may unpack to where it is read: seven million splats."""


def encode(splats: Splats) -> bytes:
    """The file's bytes; the same splats give the same. ValueError where a number is not finite."""
    if not all(np.isfinite(values).all() for name, values in splats.to_arrays().items() if name != "notes"):
        raise ValueError("splats with numbers that are not finite")
    far = max(float(np.abs(splats.centres).max(initial=0.0)), 1e-6)
    bits = min(_BITS - max(math.ceil(math.log2(far)), 0) - 1, _MOST_BITS)
    columns = (
        _fixed(splats.centres, bits),
        _byte(splats.opacities * 255.0),
        _byte(splats.harmonics[:, 0] * (_COLOUR * 255.0) + 127.5),
        _byte((np.log(splats.scales) + 10.0) * 16.0),
        _smallest_three(splats.rotations),
        _quantised(splats.harmonics[:, 1:]),
    )
    header = _HEADER.pack(_MAGIC, _VERSION, len(splats), splats.degree, bits, 0, 0)
    return gzip.compress(header + b"".join(column.tobytes() for column in columns), mtime=0)


def decode(content: bytes) -> Splats:
    """The splats of a file of version 2 or 3. ValueError, one sentence, where it is damaged or something else."""
    try:
        with gzip.open(io.BytesIO(content)) as file:
            data = file.read(_LARGEST + 1)
    except (OSError, EOFError) as error:
        raise ValueError(f"not an SPZ file ({error})") from None
    if len(data) < _HEADER.size or len(data) > _LARGEST:
        raise ValueError(f"an SPZ file of {len(data)} bytes")
    magic, version, count, degree, bits, _, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC or version not in (2, 3) or degree > 3:
        raise ValueError(f"not an SPZ file of version 2 or 3 ({magic:08x}, {version}, degree {degree})")
    rest = _COEFFICIENTS[degree]
    widths = (9, 1, 3, 3, 4 if version == 3 else 3, 3 * rest)
    if len(data) < _HEADER.size + count * sum(widths):
        raise ValueError(f"an SPZ file that is cut off: {count} splats do not fit {len(data)} bytes")
    columns, place = [], _HEADER.size
    for width in widths:
        columns.append(np.frombuffer(data, np.uint8, count * width, place).reshape(count, width))
        place += count * width
    positions, opacities, colours, scales, rotations, others = columns
    first = (colours.astype(np.float32) - 127.5) / (_COLOUR * 255.0)
    harmonics = (others.reshape(count, rest, 3).astype(np.float32) - 128.0) / 128.0
    return Splats(
        _from_fixed(positions, bits),
        np.exp(scales.astype(np.float32) / 16.0 - 10.0),
        _from_three(rotations) if version == 3 else _from_first(rotations),
        opacities[:, 0].astype(np.float32) / 255.0,
        np.concatenate([first[:, None], harmonics], 1),
    )


def _byte(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _fixed(positions: np.ndarray, bits: int) -> np.ndarray:
    """(N, 3) -> (N, 9) uint8, little endian."""
    whole = np.rint(positions.astype(np.float64) * (1 << bits)).astype("<i4")
    return np.ascontiguousarray(whole.view(np.uint8).reshape(-1, 3, 4)[..., :3]).reshape(-1, 9)


def _from_fixed(columns: np.ndarray, bits: int) -> np.ndarray:
    wide = np.zeros((len(columns), 3, 4), np.uint8)
    wide[..., 1:] = columns.reshape(-1, 3, 3)  # one byte up, so that the sign is where it belongs
    return (wide.view("<i4")[..., 0] / float(1 << (bits + 8))).astype(np.float32)


def _smallest_three(rotations: np.ndarray) -> np.ndarray:
    """(N, 4) quaternions (w, x, y, z) -> (N, 4) uint8: which part of (x, y, z, w) is largest, and the others."""
    parts = np.roll(rotations.astype(np.float64), -1, axis=1)
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    largest = np.abs(parts).argmax(1)
    parts *= np.where(np.take_along_axis(parts, largest[:, None], 1) < 0.0, -1.0, 1.0)
    packed = largest.astype(np.uint32)
    for place in range(4):
        size = np.rint(np.abs(parts[:, place]) * math.sqrt(2.0) * 511.0).astype(np.uint32)
        with_it = (packed << 10) | (np.uint32(parts[:, place] < 0.0) << 9) | np.minimum(size, 511)
        packed = np.where(largest == place, packed, with_it)
    return np.ascontiguousarray(packed.astype("<u4")).view(np.uint8).reshape(-1, 4)


def _from_three(columns: np.ndarray) -> np.ndarray:
    packed = np.ascontiguousarray(columns).view("<u4")[:, 0]
    largest, parts = packed >> 30, np.zeros((len(columns), 4))
    rest = packed.copy()
    for place in (3, 2, 1, 0):
        value = (rest & 511) / 511.0 / math.sqrt(2.0) * np.where(rest & 512, -1.0, 1.0)
        here = largest != place
        parts[:, place] = np.where(here, value, 0.0)
        rest = np.where(here, rest >> 10, rest)
    missing = np.sqrt(np.maximum(1.0 - (parts**2).sum(1), 0.0))
    parts[np.arange(len(parts)), largest.astype(int)] = missing
    return np.roll(parts, 1, axis=1).astype(np.float32)


def _from_first(columns: np.ndarray) -> np.ndarray:
    """Of version 2: x, y and z as bytes, w what is missing."""
    parts = columns / 127.5 - 1.0
    w = np.sqrt(np.maximum(1.0 - (parts**2).sum(1, keepdims=True), 0.0))
    return np.concatenate([w, parts], 1).astype(np.float32)


def _quantised(harmonics: np.ndarray) -> np.ndarray:
    """(N, K, 3) -> uint8: 5 bits of degree 1, 4 of the others, so that gzip has something to do."""
    step = np.where(np.arange(harmonics.shape[1]) < 3, 8, 16)[:, None]
    whole = np.rint(harmonics * 128.0) + 128.0
    return np.clip(np.floor((whole + step / 2) / step) * step, 0, 255).astype(np.uint8)
