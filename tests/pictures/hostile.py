# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that were made to do harm, and ordinary ones of unusual kinds. All by code."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n{} loop\nshowpage\n%%EOF\n"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
JPEG_2000 = b"\xff\x4f\xff\x51\0\x29\0\0\0\0\x42\x68\0\0\x42\x68" + bytes(80)


def webp_of(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: 34 bytes, whatever its size."""
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + bytes.fromhex("8807101111888888fe07")[:11]
    data += bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def gif_of(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0;"


def png_of(width: int, height: int, bits: int = 1) -> bytes:
    """A black PNG, deflated well."""
    row = bytes(1 + (width * bits + 7) // 8)
    packer, parts = zlib.compressobj(9), []
    for start in range(0, height, 256):
        parts.append(packer.compress(row * min(256, height - start)))
    pixels = b"".join([*parts, packer.flush()])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_of(width: int, height: int, count: int | None = None) -> bytes:
    """A grey TIFF of one deflated strip: white above, black below. count: of its bytes, as the file says."""
    packer = zlib.compressobj(6)
    half = height // 2
    strip = b"".join(packer.compress(b"\xff" * width) for _ in range(half))
    strip += b"".join(packer.compress(bytes(width)) for _ in range(height - half)) + packer.flush()
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 122, 277: 1, 278: height, 279: count or len(strip)}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + rows + bytes(4) + strip


def raw_of(preview: int) -> bytes:
    """A DNG with a thumbnail of 16 pixels and, in a page within, a JPEG of `preview` pixels."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)).resize((preview, preview))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    jpeg = buffer.getvalue()
    inner_at, thumbnail_at = 8 + 2 + 12 * 12 + 4, 0
    inner = {254: 1, 256: preview, 257: preview, 258: 8, 259: 7, 262: 6, 273: 0, 277: 3, 278: preview, 279: len(jpeg)}
    jpeg_at = inner_at + 2 + 12 * len(inner) + 4
    inner[273], thumbnail_at = jpeg_at, jpeg_at + len(jpeg)
    outer = {254: 1, 256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: thumbnail_at, 277: 1, 278: 16, 279: 256}
    outer |= {330: inner_at, 50706: 0x00000401}

    def page(tags: dict[int, int]) -> bytes:
        rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        return struct.pack("<H", len(tags)) + rows + bytes(4)

    return b"II*\0\x08\0\0\0" + page(outer) + page(inner) + jpeg + bytes(range(256))


def gain_map(path: Path, rgb: np.ndarray) -> Path:
    """A phone's JPEG with a second, small picture behind the first, as CIPA DC-007 says."""
    small = Image.fromarray(rgb).resize((32, 24)).convert("L")
    Image.fromarray(rgb).save(path, "MPO", save_all=True, append_images=[small])
    return path
