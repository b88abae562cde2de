# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file is, by how it begins: the formats that are opened, and what to say of those that are not.

A file's name is not believed, and nothing else than these formats is opened, whatever libraries could: some of their
readers start programs (PostScript), others follow what the file names (playlists).
Must not know decoders.
"""

from __future__ import annotations

HEAD = 1 << 16
"""Bytes of a file that are looked at: Radiance's comments and AVIF's tables may take some."""

_BY_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # of more than 4 GB
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"#?RADIANCE", "HDR"),
    (b"#?RGBE", "HDR"),
)

_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
"""Brands of ISO/IEC 23008-12 (HEIF) and of AV1's image format."""

_OTHERS = (
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"%PDF", "a PDF document"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture, which is not read here"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture, which is not read here"),
    (b"\xff\x0a", "a JPEG XL picture, which is not read here"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture, which is not read here"),
    (b"8BPS", "a Photoshop document"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture, which is not read here"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file, which must be developed first"),
    (b"IIRO", "a camera's raw file, which must be developed first"),
    (b"IIRS", "a camera's raw file, which must be developed first"),
    (b"MMOR", "a camera's raw file, which must be developed first"),
    (b"IIU\0", "a camera's raw file, which must be developed first"),
    (b"FOVb", "a camera's raw file, which must be developed first"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"glTF", "a 3D model"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def format_of(head: bytes) -> str | None:
    """Pillow's name of the format, or "HDR"; None for what is not opened. head: the file's first HEAD bytes."""
    for magic, name in _BY_MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = _brands(head)
        if any(brand in _AVIF for brand in brands):
            return "AVIF"
        return "HEIF" if any(brand in _HEIF for brand in brands) else None
    return None


def what_it_is(head: bytes) -> str:
    """Of a file that is not opened, what it is, to be said after its name and "is"."""
    text = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")) and b"<svg" in head:
        return "an SVG drawing, which has no pixels"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if head[4:8] == b"ftyp":
        raw = head[8:11] == b"crx"
        return "a camera's raw file, which must be developed first" if raw else "a video, or HEIC of an unknown kind"
    return "a text and not a picture" if _is_text(head) else "not a picture that can be read"


def _is_text(head: bytes) -> bool:
    if len(head) < 2 or b"\0" in head:
        return False
    try:
        text = head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return False
    return len(text.encode()) >= len(head) - 3 and all(letter.isprintable() or letter in "\t\r\n\f" for letter in text)


def _brands(head: bytes) -> list[bytes]:
    """The brands of a file's first box, which is `ftyp` (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), 256, len(head))
    return [head[8:12], *(head[k : k + 4] for k in range(16, end - 3, 4))]
