# SPDX-License-Identifier: GPL-3.0-or-later
"""What a camera does to linear light: defocus, exposure, tone, blur, vignetting, noise and JPEG.

Knows arrays only; depth is used for nothing but defocus.
"""

import io

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter


def develop(colour: np.ndarray, depth: np.ndarray, defocus: float, rng: Generator) -> np.ndarray:
    """Turn linear RGB (H, W, 3) with depth (H, W) into an 8-bit sRGB photo (H, W, 3)."""
    light = np.maximum(colour, 0)
    if defocus > 0:
        light = _defocus(light, depth, defocus)
    bright = np.quantile(light.max(-1), rng.uniform(0.8, 0.99)) + 1e-3
    light = light / bright * rng.uniform(0.6, 1.3)
    light = light * np.exp(rng.normal(size=3) * 0.08)
    light = _vignette(light, rng)
    if rng.random() < 0.5:
        light = gaussian_filter(light, (rng.uniform(0.2, 0.8),) * 2 + (0,))
    if rng.random() < 0.15:
        glow = gaussian_filter(np.minimum(light, 3), (12, 12, 0))
        light = light * 0.85 + glow * 0.25
    tone = _tone(light, rng)
    noise = rng.uniform(0, 0.04) ** 1.3
    tone = tone + rng.normal(size=tone.shape) * noise * (0.4 + np.sqrt(np.clip(tone, 0, 1)))
    picture = (np.clip(tone, 0, 1) * 255 + 0.5).astype(np.uint8)
    return _jpeg(picture, int(rng.integers(35, 96))) if rng.random() < 0.6 else picture


def _tone(light: np.ndarray, rng: Generator) -> np.ndarray:
    if rng.random() < 0.5:  # filmic shoulder instead of clipping
        light = light * (1 + light / 2.5**2) / (1 + light) * 1.6
    tone = np.clip(light, 0, 1) ** (1 / 2.2)
    curve = rng.normal() * 0.15
    return np.clip(tone + curve * np.sin(2 * np.pi * tone) / (2 * np.pi) * -2, 0, 1)


def _defocus(light: np.ndarray, depth: np.ndarray, strength: float) -> np.ndarray:
    """Blur by circle of confusion, focused on the nearer things around the centre."""
    height, width = depth.shape
    middle = depth[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    focus = np.quantile(np.where(np.isfinite(middle), middle, 1e6), 0.25)
    circle = np.abs(1 - focus / np.maximum(depth, 1e-3)) * strength * 0.02 * max(height, width)
    result, levels = light, (0.8, 1.6, 3.2)
    circle = gaussian_filter(np.minimum(circle, 4), 1.0)[..., None]
    for level in levels:
        share = np.clip((circle - level / 2) / (level / 2), 0, 1)
        result = result * (1 - share) + gaussian_filter(light, (level, level, 0)) * share
    return result


def _vignette(light: np.ndarray, rng: Generator) -> np.ndarray:
    height, width = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return light * (1 - rng.uniform(0, 0.35) * (rng.random() < 0.5) * (x**2 + y**2) / 2)[..., None]


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(stream.getvalue())))
