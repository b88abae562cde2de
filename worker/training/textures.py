# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank of tileable grey patterns with mip levels, and materials that colour them.

A material maps a pattern through a palette of four colours, so that one brick pattern serves a thousand walls and no
pattern or colour is tied to a depth. Knows nothing of geometry.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .shapes import fractal

SIZE = 256
KINDS = (
    "plain",
    "noise",
    "grain",
    "stripes",
    "checker",
    "bricks",
    "planks",
    "text",
    "spots",
    "marble",
    "facade",
    "poster",
)
_LEVELS = 7


@dataclass(frozen=True)
class Material:
    """How a surface looks: colours are linear RGB in [0, 1], scale is pattern repeats per metre."""

    pattern: int
    palette: np.ndarray  # (4, 3)
    scale: float
    angle: float
    offset: tuple[float, float]
    specular: float = 0.0
    gloss: float = 20.0
    emission: float = 0.0
    coarser: float = 0.0  # share of the same pattern five times as large, against visible tiling


class PatternBank:
    """Patterns of all kinds, made from one seed: `levels[k]` is (patterns, SIZE >> k, SIZE >> k) uint8."""

    def __init__(self, seed: int, per_kind: int = 12):
        rng = np.random.default_rng([seed, 77])
        patterns = [make_pattern(kind, rng) for kind in KINDS for _ in range(per_kind)]
        self.per_kind = per_kind
        self.levels = [np.stack(patterns)]
        for _ in range(_LEVELS - 1):
            last = self.levels[-1]
            count, size = last.shape[:2]
            self.levels.append(last.reshape(count, size // 2, 2, size // 2, 2).mean((2, 4)))
        self.levels = [(level * 255).astype(np.uint8) for level in self.levels]

    def index(self, kind: str, rng: Generator) -> int:
        """A random pattern of that kind."""
        return KINDS.index(kind) * self.per_kind + int(rng.integers(self.per_kind))

    def sample(self, pattern: np.ndarray, u: np.ndarray, v: np.ndarray, texels: np.ndarray) -> np.ndarray:
        """Values in [0, 1] at (u, v) in pattern repeats, (N,); texels (N,) is the pixel's footprint at level 0."""
        level = np.clip(np.log2(np.maximum(texels, 1e-6)) + 0.3, 0, _LEVELS - 1).astype(np.int8)
        result = np.empty(len(u), np.float32)
        for k in range(_LEVELS):
            chosen = np.flatnonzero(level == k)
            if len(chosen):
                result[chosen] = _bilinear(self.levels[k], pattern[chosen], u[chosen], v[chosen])
        return result / 255


def _bilinear(level: np.ndarray, pattern: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    size = level.shape[1]
    x, y = u * size, v * size
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    x0, y0 = x0.astype(np.int64) % size, y0.astype(np.int64) % size
    x1, y1 = (x0 + 1) % size, (y0 + 1) % size
    top = level[pattern, y0, x0] * (1 - fx) + level[pattern, y0, x1] * fx
    bottom = level[pattern, y1, x0] * (1 - fx) + level[pattern, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def _unit(field: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + 0.25 * field, 0, 1)


def make_pattern(kind: str, rng: Generator) -> np.ndarray:
    """One tileable pattern (SIZE, SIZE) float in [0, 1] of the named kind."""
    noise = fractal(rng, SIZE, rng.uniform(0.6, 1.6))
    x, y = np.meshgrid(np.arange(SIZE) / SIZE, np.arange(SIZE) / SIZE)
    if kind == "plain":
        return np.clip(rng.uniform(0.3, 0.7) + rng.uniform(0, 0.06) * noise, 0, 1)
    if kind == "noise":
        return _unit(noise * rng.uniform(0.5, 1.5))
    if kind == "grain":
        return _unit(fractal(rng, SIZE, rng.uniform(0.8, 1.4), rng.uniform(3, 10)))
    if kind == "marble":
        return 0.5 + 0.5 * np.sin(noise * rng.uniform(1, 4) + 2 * np.pi * x * rng.integers(0, 4))
    if kind == "spots":
        return _unit(np.tanh(4 * fractal(rng, SIZE, rng.uniform(1.5, 3)) + rng.uniform(-3, 3)) * 1.6)
    if kind == "stripes":
        return _stripes(rng, x, noise)
    if kind == "checker":
        count = rng.integers(1, 9)
        return np.clip(((x * count * 2).astype(int) + (y * count * 2).astype(int)) % 2 * 0.8 + 0.1 + 0.04 * noise, 0, 1)
    if kind in ("bricks", "planks"):
        return _bricks(kind, rng, noise)
    return {"text": _text, "facade": _facade, "poster": _poster}[kind](rng, noise)


def _stripes(rng: Generator, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    columns = np.repeat(rng.uniform(0, 1, SIZE), rng.integers(1, 24))[:SIZE]
    regular = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * x * rng.integers(2, 24)))
    return np.clip((regular * 0.9 if rng.random() < 0.5 else columns[None] + 0 * x) + 0.05 * noise, 0, 1)


def _bricks(kind: str, rng: Generator, noise: np.ndarray) -> np.ndarray:
    rows = int(2 ** rng.integers(2, 5))
    columns = max(1, rows // int(rng.integers(2, 5))) if kind == "bricks" else int(rng.integers(1, 3))
    height, width = SIZE // rows, SIZE / columns
    row = np.arange(SIZE) // height
    shift = rng.uniform(0, 1, rows)[row] if kind == "planks" else (row % 2) * 0.5 * rng.integers(0, 2)
    along = (np.arange(SIZE)[None] / width + shift[:, None]) % columns
    tone = rng.uniform(0.25, 0.9, (rows, columns))[row[:, None], along.astype(int) % columns]
    tone = 0.6 + (tone - 0.6) * rng.uniform(0, 1)
    gap = max(1, int(rng.integers(1, 4)))
    joint = ((np.arange(SIZE) % height) < gap)[:, None] | ((along % 1) * width < gap)
    detail = fractal(rng, SIZE, 1.1, 6) if kind == "planks" else noise
    return np.clip(np.where(joint, rng.choice([0.0, 1.0]), tone + rng.uniform(0.02, 0.1) * detail), 0, 1)


def _text(rng: Generator, noise: np.ndarray) -> np.ndarray:
    page = np.full((SIZE, SIZE), 0.9)
    line = int(rng.integers(8, 24))
    for top in range(line, SIZE - line, line):
        x = int(rng.integers(8, 30))
        end = SIZE - int(rng.integers(8, 120))
        while x < end:
            word = int(rng.integers(line // 2, line * 3))
            page[top : top + line // 2, x : min(x + word, end) : int(rng.integers(1, 3))] = 0.1
            x += word + line // 3
    return np.clip(page + 0.02 * noise, 0, 1)


def _facade(rng: Generator, noise: np.ndarray) -> np.ndarray:
    wall = np.clip(0.75 + 0.05 * noise, 0, 1)
    rows, columns = rng.integers(2, 7, 2)
    height, width = SIZE / rows, SIZE / columns
    share_y, share_x = rng.uniform(0.35, 0.75, 2)
    for i in range(rows):
        for j in range(columns):
            y0, x0 = int((i + 0.5 - share_y / 2) * height), int((j + 0.5 - share_x / 2) * width)
            y1, x1 = int(y0 + share_y * height), int(x0 + share_x * width)
            wall[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] = 1.0
            wall[y0:y1, x0:x1] = rng.uniform(0, 0.35)
            wall[y0:y1, (x0 + x1) // 2 : (x0 + x1) // 2 + 2] = 1.0
    return wall


def _poster(rng: Generator, noise: np.ndarray) -> np.ndarray:
    field = _unit(fractal(rng, SIZE, rng.uniform(1.5, 2.5)))
    for _ in range(int(rng.integers(3, 14))):
        x0, y0 = rng.integers(0, SIZE - 20, 2)
        x1, y1 = x0 + rng.integers(10, SIZE // 2), y0 + rng.integers(6, SIZE // 2)
        field[y0:y1, x0:x1] = rng.uniform(0, 1) + rng.uniform(0, 0.1) * noise[y0:y1, x0:x1]
    return np.clip(field, 0, 1)
