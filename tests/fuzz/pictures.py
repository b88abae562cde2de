# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged pictures: every format, with EXIF, ICC profiles, alpha, sixteen bits, animations and gain maps."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from counting import Counts, mutated
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures.load import load, size
from PIL import Image, ImageCms, features

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pictures"))
import colours  # noqa: E402
import hostile  # noqa: E402


def run(count: int, seed: int, folder: Path) -> Counts:
    counts, seeds = Counts(), dict(whole_files(folder))
    names, contents = list(seeds), list(seeds.values())
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        damaged = mutated(seeds[name], contents, generator)
        for _ in range(int(generator.integers(3))):
            damaged = mutated(damaged, contents, generator)
        path = folder / f"fuzz.{name.split('-')[0]}"
        path.write_bytes(damaged)
        counts.try_one(f"{name} {number}", lambda path=path: load(path), (Unable,))
        if number % 8 == 0:
            counts.try_one(f"size {number}", lambda path=path: size(path), (Unable,))
    return counts


def whole_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Good files, by their format and what is in them."""
    rgb = np.asarray(Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)).resize((96, 72)))
    image, exif = Image.fromarray(rgb), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769)[0xA405] = 26
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    kinds = ["jpeg", "png", "webp", "tiff", "gif", "bmp"] + ["avif"] * features.check("avif") + _heif()
    for kind in kinds:
        yield f"{kind}-plain", _encoded(image, kind)
        if kind not in ("gif", "bmp"):
            yield f"{kind}-exif-icc", _encoded(image, kind, exif=exif.tobytes(), icc_profile=icc)
        if kind not in ("jpeg", "bmp"):
            yield f"{kind}-alpha", _encoded(alpha, kind)
        if kind in ("gif", "webp", "tiff", "png"):
            yield f"{kind}-many", _encoded(image, kind, save_all=True, append_images=[image.rotate(90), image])
    yield "jpeg-progressive", _encoded(image.convert("L"), "jpeg", progressive=True, icc_profile=icc)
    yield "jpeg-cmyk", _encoded(image.convert("CMYK"), "jpeg")
    yield "jpeg-gain", hostile.gain_map(folder / "gain.jpg", rgb).read_bytes()
    for compression in ("tiff_lzw", "jpeg", "packbits", "group4", "tiff_adobe_deflate"):
        shown = image.convert("1") if compression == "group4" else image
        yield f"tiff-{compression}", _encoded(shown, "tiff", compression=compression)
    yield "png-palette", _encoded(image.quantize(32), "png", icc_profile=colours.icc("p3"), transparency=3)
    deep = colours.picture("pq", 65535)
    chunks = [colours.cicp("pq"), *colours.gama("adobe"), (b"iCCP", b"x\0\0" + zlib.compress(colours.icc("adobe")))]
    yield "png-deep", colours.png(folder / "deep.png", deep, *chunks).read_bytes()
    yield "png-deep-gamma", colours.png(folder / "deep.png", deep, *colours.gama("adobe")).read_bytes()
    yield "tiff-deep-grey", _encoded(Image.fromarray(deep[..., 0]), "tiff")
    yield from _of_other_libraries(deep)
    yield "dng-raw", hostile.raw_of(1100)
    yield "hdr-light", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8 +X 8\n" + struct.pack("<4B", 90, 128, 60, 129) * 64


def _of_other_libraries(deep: np.ndarray) -> Iterator[tuple[str, bytes]]:
    try:
        import tifffile
    except ImportError:
        return
    for name, values in {"rgb16": deep, "float": (deep / 65535).astype(np.float32)}.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, photometric="rgb", compression="zlib", iccprofile=colours.icc("p3"))
        yield f"tiff-{name}", buffer.getvalue()
    if _heif():
        import pillow_heif

        buffer = io.BytesIO()
        made = pillow_heif.from_bytes("RGB;16", deep.shape[1::-1], deep.tobytes())
        made.save(buffer, quality=60, color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
        yield "heif-deep", buffer.getvalue()


def _heif() -> list[str]:
    try:
        import pillow_heif
    except ImportError:
        return []
    pillow_heif.register_heif_opener()
    return ["heif"]


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
