# SPDX-License-Identifier: GPL-3.0-or-later
"""The same patches as files of every format, space and depth that there is, told in every way that the format has.
Written without loss where the format can."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from colours import CODE_POINTS, GAMMAS, SPACES, cicp, gama, icc, picture, png
from PIL import Image


class Missing(Exception):
    """There is nothing here to write such a file with."""


PROFILE, POINTS, CHUNKS = "ICC", "code points", "gAMA, cHRM"
CELLS: dict[tuple[str, str], tuple[tuple[str, ...], tuple[int, ...]]] = {
    ("png", PROFILE): (tuple(SPACES), (8, 12, 16)),
    ("png", POINTS): (tuple(CODE_POINTS), (8, 12, 16)),
    ("png", CHUNKS): (tuple(GAMMAS), (8, 12, 16)),
    ("tif", PROFILE): (tuple(SPACES), (8, 12, 16)),
    ("jpg", PROFILE): (tuple(SPACES), (8,)),
    ("webp", PROFILE): (tuple(SPACES), (8,)),
    ("heic", PROFILE): (tuple(SPACES), (8, 10, 12)),
    ("heic", POINTS): (tuple(CODE_POINTS), (8, 10, 12)),
    ("avif", PROFILE): (tuple(SPACES), (8,)),
    ("avif", POINTS): (tuple(CODE_POINTS), (8, 10)),
    ("mp4", POINTS): (tuple(CODE_POINTS), (8, 10, 12)),
}
"""Of a format and a way to tell, the spaces and bits."""


def every() -> Iterator[tuple[str, str, str, int]]:
    """Format, way, space and bits of each file."""
    for (kind, how), (spaces, depths) in CELLS.items():
        yield from ((kind, how, space, bits) for space in spaces for bits in depths)


def written(path: Path, kind: str, how: str, space: str, bits: int) -> None:
    """Writes the file. Raises Missing."""
    exact = kind in ("png", "tif", "heic") or bits == 8
    numbers = picture(space, (1 << bits) - 1 if exact else 65535, side=64)
    profile = icc(space) if how == PROFILE else None
    if kind == "png":
        chunks = {PROFILE: [(b"iCCP", b"x\0\0" + zlib.compress(icc(space)))]}
        chunks |= {
            POINTS: [cicp(space)] if space in CODE_POINTS else [],
            CHUNKS: gama(space) if space in GAMMAS else [],
        }
        png(path, numbers, *chunks[how])
    elif kind == "tif":
        _library("tifffile").imwrite(path, numbers, photometric="rgb", iccprofile=profile, compression="zlib")
    elif kind == "heic":
        _heic(path, numbers, bits, space, profile)
    elif kind == "mp4" or bits > 8:
        film(path, numbers, space, bits)
    elif kind == "avif" and profile is None:
        path.write_bytes(_avif(numbers, space))
    else:
        options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
        options |= {"avif": {"quality": 100, "subsampling": "4:4:4"}}
        Image.fromarray(numbers).save(path, icc_profile=profile, **options[kind])


def _library(name: str):
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise Missing(name) from None


def _heic(path: Path, numbers: np.ndarray, bits: int, space: str, profile: bytes | None) -> None:
    library = _library("pillow_heif")
    numbers = numbers << 16 - bits if bits > 8 else numbers  # it drops the last bits of sixteen
    made = library.from_bytes("RGB" if bits == 8 else "RGB;16", numbers.shape[1::-1], numbers.tobytes())
    told = {} if profile else dict(zip(("color_primaries", "transfer_characteristics"), CODE_POINTS[space]))
    if profile:
        made.info["icc_profile"], made.info["icc_profile_type"] = profile, "prof"
    before, library.options.SAVE_HDR_TO_12_BIT = library.options.SAVE_HDR_TO_12_BIT, bits == 12
    try:
        made.save(path, quality=-1, chroma=444, full_range_flag=1, matrix_coefficients=0, **told)
    finally:
        library.options.SAVE_HDR_TO_12_BIT = before


def _avif(numbers: np.ndarray, space: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numbers).save(buffer, "AVIF", quality=100, subsampling="4:4:4")
    content = bytearray(buffer.getvalue())
    at = content.index(b"colrnclx") + 8
    primaries, transfer = CODE_POINTS[space]
    content[at : at + 4] = primaries.to_bytes(2, "big") + transfer.to_bytes(2, "big")
    return bytes(content)


def film(path: Path, numbers: np.ndarray, space: str, bits: int) -> None:
    """A video of four frames, or an AVIF of one, with BT.709's or BT.2020's matrix and limited range."""
    av = _library("av")
    still, (primaries, transfer) = path.suffix == ".avif", CODE_POINTS[space]
    matrix = 9 if primaries == 9 else 1
    codec, options = ("libsvtav1", {"crf": "1"}) if still else ("libx265", {"x265-params": "lossless=1:log-level=none"})
    layout = "yuv420p" + {8: "", 10: "10le", 12: "12le"}[bits]
    with av.open(str(path), "w", format="avif" if still else "mp4") as video:
        try:
            stream = video.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = *numbers.shape[:2], layout
            context = stream.codec_context
            context.color_primaries, context.color_trc = primaries, transfer
            context.colorspace, context.color_range, context.options = matrix, 1, options
            for number in range(1 if still else 4):
                frame = av.VideoFrame.from_ndarray(numbers, format="rgb24" if bits == 8 else "rgb48le")
                exact = {"interpolation": 0x4 | 0x2000 | 0x40000}  # swscale's flags: rounded
                frame = frame.reformat(format=layout, dst_colorspace=matrix, dst_color_range=1, **exact)
                frame.color_primaries, frame.color_trc, frame.pts = primaries, transfer, number
                for packet in stream.encode(frame):
                    video.mux(packet)
            for packet in stream.encode():
                video.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            raise Missing(f"{codec}: {error}") from None
