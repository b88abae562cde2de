# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything becomes sRGB (IEC 61966-2-1), eight bits, by what the file says that its numbers mean.

A `Space` says it: a curve for each channel, from numbers to light, and a matrix from that light to sRGB's. Spaces are
named by code points (ITU-T H.273: PNG's cICP, HEIC's and AVIF's nclx, videos), by gamma and chromaticities (PNG's gAMA
and cHRM), by EXIF (DCF's Adobe RGB), by Radiance's header, or by an ICC profile (see icc.py).

HDR. Light of 1 is diffuse white: 203 cd/m2 of PQ, 75 % of HLG's signal (ITU-R BT.2408-7), the number 1 of a Radiance or
floating-point picture. HLG is taken as light of the scene, without the OOTF for a brighter display (ITU-R BT.2100),
as BT.2408 does between HLG and SDR. Light up to KNEE stays as it is, so what an SDR picture can show looks as it would
there; what is brighter is compressed by Reinhard et al. 2002, equation 4, so that the picture's own brightest light
becomes white (`tone_mapped`). A picture with nothing above diffuse white is not changed at all.
Must not know files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]
"""From numbers in [0, 1] (float64) to light, where 1 is diffuse white."""

KNEE = 0.8
"""Light up to which tone mapping changes nothing; 231 of 255 in sRGB. Between .7 and .9 highlights look alike."""

PQ_WHITE, HLG_WHITE = 203.0, 0.75
"""Diffuse white: cd/m2, and HLG's signal (BT.2408-7, table 1)."""

_WIDE_STEP = 2 / 255 / 12.92  # light of twice sRGB's first step
_PEAK_SHARE = 99.95  # percent of the pixels that are at most as bright as what becomes white: a glint may be clipped
_LOOKED_AT = 1 << 20  # pixels, of which the peak is found
_BAND = 1 << 21  # pixels that are converted at a time
_FINE = 1 << 16  # steps of the table from light to 8 bits

D65, _D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65)
"""Chromaticities x, y of red, green, blue and white."""

ADOBE_PRIMARIES = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *D65)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

_CICP_PRIMARIES = {
    1: SRGB_PRIMARIES,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65),
}
"""H.273, table 2."""


@dataclass(frozen=True, eq=False)
class Space:
    """What numbers mean. curves: of red, green and blue. matrix: (3, 3) from their light to sRGB's. hdr: whether light
    may be brighter than diffuse white."""

    curves: tuple[Curve, Curve, Curve]
    matrix: np.ndarray
    hdr: bool = False

    @property
    def is_coarse(self) -> bool:
        """Whether a step of eight bits is wider than sRGB's: of HDR, and of light itself, of which it is 13 of them."""
        return self.hdr or bool(self.curves[0](np.float64(1 / 255)) > _WIDE_STEP)


# ---- curves


def srgb_curve(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_curve(values: np.ndarray) -> np.ndarray:
    return values


def gamma_curve(exponent: float) -> Curve:
    """Light is the number to that power."""
    return lambda values: np.maximum(values, 0.0) ** exponent


def pq_curve(values: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084's EOTF, by diffuse white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.clip(values, 0.0, 1.0) ** (1 / m2)
    return 10_000.0 / PQ_WHITE * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)


def hlg_curve(values: np.ndarray) -> np.ndarray:
    """The inverse of ARIB STD-B67's OETF, by diffuse white."""
    return _hlg_light(np.maximum(values, 0.0)) / _hlg_light(np.float64(HLG_WHITE))


def _hlg_light(values: np.ndarray) -> np.ndarray:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3.0, (np.exp((np.minimum(values, 1.1) - c) / a) + b) / 12.0)


# ---- spaces


SCENE_LIGHT = Space((linear_curve,) * 3, np.eye(3), hdr=True)
"""Floating-point colours of sRGB's primaries."""


def of_primaries(curve: Curve, primaries: tuple[float, ...] = SRGB_PRIMARIES, hdr: bool = False) -> Space:
    """A space of one curve and of chromaticities (8,). Raises ValueError where these are no colours."""
    return Space((curve,) * 3, to_srgb_primaries(primaries), hdr)


def adobe_rgb() -> Space:
    """Adobe RGB (1998), 4.3.4: a gamma of 563 / 256."""
    return of_primaries(gamma_curve(563 / 256), ADOBE_PRIMARIES)


def of_code_points(primaries: int, transfer: int) -> Space | None:
    """The space of two code points of H.273; None for sRGB, and for what is not known and so taken for sRGB.

    The curves of BT.709, BT.601 and BT.2020 (1, 6, 14, 15) say how cameras see; what they have seen is shown with about
    sRGB's curve, and so they are taken for it.
    """
    shown = {4: gamma_curve(2.2), 5: gamma_curve(2.8), 8: linear_curve, 16: pq_curve, 18: hlg_curve}
    chromaticities = _CICP_PRIMARIES.get(primaries, SRGB_PRIMARIES)
    if transfer not in shown and chromaticities == SRGB_PRIMARIES:
        return None
    return of_primaries(shown.get(transfer, srgb_curve), chromaticities, transfer in (16, 18))


def of_gamma(gamma: float | None, chromaticities: tuple[float, ...] | None) -> Space | None:
    """The space of PNG's gAMA (the exponent from light to numbers) and cHRM (white, red, green, blue); None for sRGB
    and for what is impossible."""
    curve, primaries = srgb_curve, SRGB_PRIMARIES
    if chromaticities and len(chromaticities) == 8:
        told = (*chromaticities[2:], *chromaticities[:2])
        primaries = SRGB_PRIMARIES if np.allclose(told, SRGB_PRIMARIES, atol=0.005) else told
    is_srgb = primaries is SRGB_PRIMARIES and abs((gamma or 0.0) - 1 / 2.2) < 0.01  # as nearly all programs mean it
    if gamma and 0.1 <= gamma <= 3.0 and not is_srgb:
        curve = gamma_curve(1.0 / gamma)
    if curve is srgb_curve and primaries is SRGB_PRIMARIES:
        return None
    try:
        return of_primaries(curve, primaries)
    except ValueError:
        return None


def to_srgb_primaries(primaries: tuple[float, ...]) -> np.ndarray:
    """(3, 3) from light of primaries x, y of red, green, blue and white to that of sRGB's, whites adapted (Bradford).

    Raises ValueError where no colours have such chromaticities.
    """
    return np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ adapted(primaries[6:], D65) @ _to_xyz(primaries)


def from_d50_xyz() -> np.ndarray:
    """(3, 3) from ICC's connection space, XYZ under D50, to sRGB's light."""
    return np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ adapted(_D50, D65)


def from_equal_xyz() -> np.ndarray:
    """(3, 3) from XYZ under the white of equal energy, as Radiance's XYZE has it, to sRGB's light."""
    return np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ adapted((1 / 3, 1 / 3), D65)


def adapted(white: tuple[float, ...], to: tuple[float, ...]) -> np.ndarray:
    """(3, 3) of XYZ: what looks under the white `to` as it did under the other (Bradford)."""
    gains = (_BRADFORD @ _xyz(*to)) / (_BRADFORD @ _xyz(*white))
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """(3, 3) from light of the primaries to XYZ, white at Y = 1 (SMPTE RP 177)."""
    columns = np.array([[x, y, 1.0 - x - y] for x, y in zip(primaries[0:6:2], primaries[1:6:2])]).T
    white = _xyz(*primaries[6:])
    try:
        scale = np.linalg.solve(columns, white)
    except np.linalg.LinAlgError:
        raise ValueError("primaries on one line") from None
    if not np.isfinite(scale).all() or (scale <= 0).any():
        raise ValueError("primaries that do not surround their white")
    return columns * scale


def _xyz(x: float, y: float) -> np.ndarray:
    if not 0.0 < y <= 1.0:
        raise ValueError("a white without light")
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


# ---- pictures


def to_srgb(values: np.ndarray, top: float, space: Space) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of numbers (H, W, 3) in `space`, whole ones or floating-point, where `top` stands for 1."""
    light_of = _looked_up(space, int(top)) if values.dtype.kind == "u" else _computed(space, top)
    peak = _peak(values, light_of) if space.hdr else 1.0
    table = _encoding()
    result = np.empty((*values.shape[:2], 3), np.uint8)
    rows = max(1, _BAND // max(values.shape[1], 1))
    for start in range(0, len(values), rows):
        light = light_of(values[start : start + rows]) @ space.matrix.T.astype(np.float32)
        if peak > 1.0:
            light = tone_mapped(light, peak)
        result[start : start + rows] = table[(np.clip(light, 0.0, 1.0) * _FINE + 0.5).astype(np.int32)]
    return result


def tone_mapped(light: np.ndarray, peak: float) -> np.ndarray:
    """Light (..., 3) in [0, peak] as light in [0, 1], the hue kept: the brightest channel by a curve that is 1 : 1 up
    to KNEE and takes `peak`, more than 1, to 1; the others by the same factor."""
    light = np.clip(np.nan_to_num(light, posinf=peak), 0.0, peak)
    brightest = light.max(axis=-1, keepdims=True)
    above, most = (brightest - KNEE) / (1.0 - KNEE), (peak - KNEE) / (1.0 - KNEE)
    above = np.maximum(above, 0.0)
    mapped = KNEE + (1.0 - KNEE) * above * (1.0 + above / most**2) / (1.0 + above)
    return light * np.where(brightest > KNEE, mapped / np.maximum(brightest, KNEE), 1.0)


def _peak(values: np.ndarray, light_of: Callable[[np.ndarray], np.ndarray]) -> float:
    """The light that becomes white: that of nearly the brightest of the picture's pixels."""
    step = max(1, int((values.shape[0] * values.shape[1] / _LOOKED_AT) ** 0.5))
    brightest = np.nan_to_num(light_of(values[::step, ::step]), posinf=0.0).max(axis=-1)
    return float(np.percentile(brightest, _PEAK_SHARE)) if brightest.size else 1.0


def _looked_up(space: Space, top: int) -> Callable[[np.ndarray], np.ndarray]:
    steps = np.arange(top + 1) / top
    tables = [np.asarray(curve(steps), np.float32) for curve in space.curves]

    def light_of(values: np.ndarray) -> np.ndarray:
        return np.stack([table[np.minimum(values[..., k], top)] for k, table in enumerate(tables)], axis=-1)

    return light_of


def _computed(space: Space, top: float) -> Callable[[np.ndarray], np.ndarray]:
    def light_of(values: np.ndarray) -> np.ndarray:
        scaled = np.nan_to_num(values.astype(np.float32) / np.float32(top))
        return np.stack([curve(scaled[..., k]) for k, curve in enumerate(space.curves)], axis=-1).astype(np.float32)

    return light_of


def _encoding() -> np.ndarray:
    """(_FINE + 1,) uint8: sRGB's 8 bits of light in [0, 1]."""
    light = np.arange(_FINE + 1) / _FINE
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * values).astype(np.uint8)
