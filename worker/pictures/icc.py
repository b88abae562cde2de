# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC profiles (ICC.1:2022). Eight bits are converted by Little CMS; it gives no more than eight bits here, so pictures
of more take the profile's own curves and matrix, where it is made of these.

Must not know files.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from . import colour
from .colour import Curve, Space


def converted(image: Image.Image, profile: bytes) -> Image.Image:
    """The picture's own colours as sRGB, mode RGB; as it is where the profile is broken, or of other colours than the
    picture's. image: of mode L, RGB or CMYK."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "L" and source.profile.xcolor_space.strip() == "RGB":
            image = image.convert("RGB")
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError, AttributeError):
        return image  # a broken profile is no reason to refuse a good picture


def code_points(profile: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of H.273 where the profile names them (its tag cicp), as those of HDR do."""
    found = _tags(profile).get(b"cicp", b"")
    return (found[8], found[9]) if len(found) >= 12 else None


def space(profile: bytes) -> Space | None:
    """The profile's curves and matrix, or its one curve of greys; None where it is made of other things, or broken."""
    tags = _tags(profile)
    try:
        if profile[16:20] == b"GRAY":
            return Space((_curve(tags[b"kTRC"]),) * 3, np.eye(3))
        if profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or b"A2B0" in tags:
            return None
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (KeyError, ValueError, IndexError, ArithmeticError, struct.error):
        return None
    return Space(curves, colour.from_d50_xyz() @ (np.array(columns, np.float64).T / 65536.0))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tagged elements' data, by signature (7.3)."""
    if len(profile) < 132:
        return {}
    count = min(struct.unpack_from(">I", profile, 128)[0], (len(profile) - 132) // 12, 200)
    rows = (struct.unpack_from(">4sII", profile, 132 + 12 * k) for k in range(count))
    return {name: profile[offset : offset + size] for name, offset, size in rows}


def _curve(data: bytes) -> Curve:
    """A curveType or parametricCurveType (10.6, 10.18). Raises ValueError for others."""
    if data[:4] == b"curv":
        count = struct.unpack_from(">I", data, 8)[0]
        if count == 0:
            return colour.linear_curve
        if count == 1:
            return colour.gamma_curve(struct.unpack_from(">H", data, 12)[0] / 256.0)
        table = np.frombuffer(data, ">u2", count, 12) / 65535.0
        return lambda values: np.interp(values, np.linspace(0.0, 1.0, count), table)
    if data[:4] != b"para":
        raise ValueError("a curve of an unknown kind")
    return _parametric(data)


def _parametric(data: bytes) -> Curve:
    """Table 68: light is (a x + b)^g + e above d and c x + f below."""
    kind = struct.unpack_from(">H", data, 8)[0]
    count = (1, 3, 4, 5, 7)[kind]
    numbers = [value / 65536.0 for value in struct.unpack_from(f">{count}i", data, 12)]
    g, a, b, c, d, e, f = {
        0: lambda g: (g, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0),
        1: lambda g, a, b: (g, a, b, 0.0, -b / a, 0.0, 0.0),
        2: lambda g, a, b, c: (g, a, b, 0.0, -b / a, c, c),
        3: lambda g, a, b, c, d: (g, a, b, c, d, 0.0, 0.0),
        4: lambda *seven: seven,
    }[kind](*numbers)
    return lambda values: np.where(values >= d, np.maximum(a * values + b, 0.0) ** g + e, c * values + f)
