# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures whose colours are told in every way that there is, made from sRGB by published matrices and curves, so that
nothing is tested by itself."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

PATCHES = np.array([[220, 30, 30], [30, 200, 60], [40, 60, 210], [128, 128, 128], [24, 20, 16], [225, 225, 225]])
"""sRGB, none above the knee of the tone mapping."""

TO_P3 = np.array([[0.822462, 0.177538, 0.0], [0.033194, 0.966806, 0.0], [0.017083, 0.072397, 0.910520]])
TO_ADOBE = np.array([[0.715119, 0.284881, 0.0], [0.0, 1.0, 0.0], [0.0, 0.041186, 0.958814]])
TO_2020 = np.array([[0.627404, 0.329283, 0.043313], [0.069097, 0.919540, 0.011362], [0.016391, 0.088013, 0.895595]])
"""From sRGB's light: W3C CSS Color 4 and ITU-R BT.2087."""


def light(srgb: np.ndarray) -> np.ndarray:
    values = srgb / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def pq_encoded(light: np.ndarray) -> np.ndarray:
    powered = (light * 203.0 / 10000.0) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * powered) / (1.0 + 18.6875 * powered)) ** 78.84375


def hlg_encoded(light: np.ndarray) -> np.ndarray:
    scene = light * 0.2649625
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


SPACES = {
    "srgb": lambda patches: srgb_encoded(light(patches)),
    "p3": lambda patches: srgb_encoded(light(patches) @ TO_P3.T),
    "adobe": lambda patches: (light(patches) @ TO_ADOBE.T) ** (256 / 563),
    "gamma1": lambda patches: light(patches),
    "gamma1.8": lambda patches: light(patches) ** (1 / 1.8),
    "pq": lambda patches: pq_encoded(light(patches) @ TO_2020.T),
    "hlg": lambda patches: hlg_encoded(light(patches) @ TO_2020.T),
}
"""Numbers from 0 to 1 of the patches in each space."""

CODE_POINTS = {"srgb": (1, 13), "p3": (12, 13), "gamma1": (1, 8), "pq": (9, 16), "hlg": (9, 18)}
GAMMAS = {"srgb": 45455, "gamma1": 100000, "gamma1.8": 55556, "adobe": 45470}


def picture(space: str, top: int = 255, side: int = 32) -> np.ndarray:
    """(side, 6 side, 3) uint8 or uint16: the patches beside each other."""
    numbers = np.rint(SPACES[space](PATCHES.astype(float)) * top).astype(np.uint8 if top < 256 else np.uint16)
    return np.repeat(np.repeat(numbers[None], side, 0), side, 1)


EASY = (0, 3, 5)
"""Those whose numbers are told well enough by eight bits of light or of HDR."""


def worst(rgb: np.ndarray, patches: tuple[int, ...] = tuple(range(len(PATCHES)))) -> int:
    """The largest difference of a patch's middle from what it is in sRGB."""
    height, width = rgb.shape[:2]
    middles = [int((number + 0.5) * width / len(PATCHES)) for number in range(len(PATCHES))]
    return int(np.abs(rgb[height // 2, middles].astype(int) - PATCHES)[list(patches)].max())


def png(path: Path, numbers: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG of (H, W), (H, W, 3) or (H, W, 4) uint8 or uint16 with these chunks before its pixels."""
    height, width = numbers.shape[:2]
    kind = {2: 0, 3: {3: 2, 4: 6, 2: 4}.get(numbers.shape[-1], 0)}[numbers.ndim]
    deep = numbers.dtype.itemsize > 1
    rows = (numbers.astype(">u2") if deep else numbers).reshape(height, -1).view(np.uint8).reshape(height, -1)
    pixels = zlib.compress(np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes(), 3)
    header = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, kind, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in every))
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def cicp(space: str) -> tuple[bytes, bytes]:
    primaries, transfer = CODE_POINTS[space]
    return b"cICP", bytes([primaries, transfer, 0, 1])


def gama(space: str) -> list[tuple[bytes, bytes]]:
    chunks = [(b"gAMA", struct.pack(">I", GAMMAS[space]))]
    if space == "adobe":
        xy = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
        chunks.insert(0, (b"cHRM", struct.pack(">8I", *xy)))
    return chunks


_COLORANTS = {  # under D50, as published profiles have them
    "srgb": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}


def icc(space: str, grey: bool = False) -> bytes:
    """A profile of a matrix and a curve (ICC.1:2001-04)."""
    gamma = {"gamma1": 1.0, "gamma1.8": 1.8, "adobe": 563 / 256}.get(space)
    if gamma:
        curve = b"curv" + struct.pack(">II", 0, 1) + struct.pack(">HH", round(gamma * 256), 0)
    else:
        table = np.rint(light(np.linspace(0, 255, 1024)) * 65535).astype(">u2").tobytes()
        curve = b"curv" + struct.pack(">II", 0, 1024) + table
    columns = _COLORANTS.get(space, _COLORANTS["srgb"])
    xyz = [b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in column)) for column in columns]
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    rows = [(b"desc", text), (b"wtpt", white), (b"cprt", b"text" + bytes(4) + b"none\0")]
    rows += [(b"kTRC", curve)] if grey else list(zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz))
    rows += [] if grey else [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    if space in ("pq", "hlg"):  # ICC.1:2022, 10.3
        rows.append((b"cicp", b"cicp" + bytes(4) + bytes([*CODE_POINTS[space], 0, 1])))
    place, table, body = 132 + 12 * len(rows), b"", b""
    for name, data in rows:
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s", place + len(body), b"none", 0x02400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(rows)) + table + body
