# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of numbers as OpenEXR files of 32-bit floats, by FFmpeg. Must not know what the numbers mean.

Format: https://openexr.com/en/latest/OpenEXRFileLayout.html. One plane is the channel Y, three are R, G and B; lossless
(ZIP). Blender and compositors read both.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from ..core.errors import Unable
from ..core.whole_file import WholeFile

_LAYOUTS = {1: "grayf32le", 3: "gbrpf32le"}


def write(path: Path, values: np.ndarray) -> None:
    """Writes values (H, W) or (H, W, 3), whole or not at all. Raises Unable where the file cannot be written."""
    try:
        with WholeFile(path) as file:
            file.write(encoded(values))
    except OSError as error:
        reason = error.strerror or error
        raise Unable(f"{path} could not be written ({reason}): free space or choose another folder") from None


def encoded(values: np.ndarray) -> bytes:
    """The file's bytes. Raises Unable where this environment has nothing to write it with."""
    try:
        import av
    except ImportError:
        raise Unable("this environment cannot write OpenEXR: set it up again") from None
    planes = values.shape[2] if values.ndim == 3 else 1
    codec = av.CodecContext.create("exr", "w")
    codec.height, codec.width = values.shape[:2]
    codec.pix_fmt, codec.time_base = _LAYOUTS[planes], Fraction(1)
    codec.options = {"format": "float", "compression": "zip16"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values, np.float32), format=_LAYOUTS[planes])
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
