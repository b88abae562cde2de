# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ideal decoder shows of a file of patches: its stored numbers, read as they are, by the published formulas in
floating point. How far that is from the patches is the file's own fault; how far ours is from it, ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from colours import PATCHES, TO_2020, TO_ADOBE, TO_P3, light, picture, srgb_encoded
from PIL import Image

_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 5: (0.299, 0.114), 6: (0.299, 0.114)}
"""Of red and blue in brightness, by H.273's matrix."""

_MATRICES = {"p3": TO_P3, "adobe": TO_ADOBE, "pq": TO_2020, "hlg": TO_2020}


def _of_pq(numbers: np.ndarray) -> np.ndarray:
    root = numbers ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10000.0 / 203.0 * light ** (1 / 0.1593017578125)


def _of_hlg(numbers: np.ndarray) -> np.ndarray:
    bright = (np.exp((numbers - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(numbers <= 0.5, numbers**2 / 3, bright) / 0.2649625


_CURVES = {"adobe": lambda v: v ** (563 / 256), "gamma1": lambda v: v, "gamma1.8": lambda v: v**1.8}
_CURVES |= {"pq": _of_pq, "hlg": _of_hlg}


def shown(path: Path, space: str, bits: int) -> np.ndarray:
    """(6, 3): the patches in sRGB, in 255ths, not rounded."""
    numbers = np.clip(_stored(path, space, bits), 0.0, 1.0)
    linear = _CURVES[space](numbers) if space in _CURVES else light(255.0 * numbers)
    if space in _MATRICES:
        linear = linear @ np.linalg.inv(_MATRICES[space]).T
    return 255.0 * srgb_encoded(np.clip(linear, 0.0, 1.0))


def middles(rows: np.ndarray) -> np.ndarray:
    """(6, ...) of the patches' middles in (H, W, ...)."""
    return rows[len(rows) // 2, [int((n + 0.5) * rows.shape[1] / len(PATCHES)) for n in range(len(PATCHES))]]


def _stored(path: Path, space: str, bits: int) -> np.ndarray:
    """(6, 3) from 0 to 1: red, green and blue as the space encodes them."""
    top = (1 << bits) - 1
    if path.suffix in (".png", ".tif", ".webp"):  # without loss
        return middles(picture(space, top)) / top
    if path.suffix == ".jpg":
        with Image.open(path) as image:
            image.draft("YCbCr", image.size)
            found = middles(np.asarray(image)).astype(float)
        return _mixed(found[:, 0] / 255, (found[:, 1] - 128) / 255, (found[:, 2] - 128) / 255, 6)
    return _planes(path, bits)


def _planes(path: Path, bits: int) -> np.ndarray:
    import av

    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    kind, top, step = np.uint8 if bits == 8 else np.uint16, (1 << bits) - 1, 1 << (bits - 8)
    rows = [np.frombuffer(bytes(p), kind).reshape(p.height, -1)[:, : p.width] for p in frame.planes]
    one, two, three = (middles(row).astype(float) for row in rows)
    if frame.format.name.startswith("gbr"):
        return np.stack([three, one, two], axis=1) / top
    full = int(frame.color_range) == 2
    brightness = one / top if full else (one - 16 * step) / (219 * step)
    blue, red = ((c - 128 * step) / (top if full else 224 * step) for c in (two, three))
    return _mixed(brightness, blue, red, int(frame.colorspace))


def _mixed(brightness: np.ndarray, blue: np.ndarray, red: np.ndarray, matrix: int) -> np.ndarray:
    """From brightness and differences of colour (ITU-T H.273, 8.3)."""
    of_red, of_blue = _WEIGHTS[matrix]
    r, b = brightness + 2 * (1 - of_red) * red, brightness + 2 * (1 - of_blue) * blue
    return np.stack([r, (brightness - of_red * r - of_blue * b) / (1 - of_red - of_blue), b], axis=1)
