# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture file as the user sees it: upright, in sRGB, eight bits, with alpha and field of view where it has them.

Must not know what the picture is for. Whatever is wrong with a file becomes one sentence (`Unable`).
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..core.errors import Unable
from ..core.view import PinholeCamera, View
from .plain import plain_background
from .silhouette import is_one_thing

MAX_PIXELS = 300_000_000
"""A 300 MP picture takes 900 MB as an array while it is made smaller; more than that is taken for a mistake."""

MAX_SIDE = 8192
"""Larger pictures are reduced to this longer side: no texture needs more, and memory stays bounded."""

LIGHT_BACKDROP, DARK_BACKDROP = 208.0, 16.0
"""8-bit sRGB of a photographer's backdrops: what networks have seen behind dark things, and behind bright ones."""

FULL_FRAME_DIAGONAL = 43.267  # millimetres; what "35 mm equivalent" focal lengths refer to (CIPA DCG-001)
_EXIF_IFD, _FOCAL_35MM, _ORIENTATION = 0x8769, 0xA405, 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)  # orientations that exchange width and height


@dataclass(frozen=True)
class Picture:
    """rgb: (H, W, 3) uint8 sRGB. alpha: (H, W) uint8 or None where the file has none, or is opaque everywhere.

    fov_degrees: across the longer side, from EXIF, or None. digest: sha256 of the file's bytes. name: the file's,
    without its ending. notes: sentences for the user about what was done to the picture.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    fov_degrees: float | None
    digest: str
    name: str
    notes: tuple[str, ...] = ()

    @cached_property
    def background(self) -> np.ndarray | None:
        """(H, W) bool, True where the background is, or None where there is neither alpha nor a plain background."""
        return plain_background(self.rgb) if self.alpha is None else self.alpha < 128

    @cached_property
    def shows_one_thing(self) -> bool:
        """Whether transparency or a plain background cut out one thing that is shown whole."""
        return self.background is not None and is_one_thing(~self.background)

    def view(self, fov_degrees: float) -> View:
        """The picture with its camera, whose field of view is the given one where EXIF tells none."""
        height, width = self.rgb.shape[:2]
        camera = PinholeCamera.from_fov(width, height, self.fov_degrees or fov_degrees)
        return View(camera, rgb=self.rgb, mask=self.alpha, name=self.name)

    def on_backdrop(self) -> np.ndarray:
        """(H, W, 3) uint8: plain grey, unlike the subject, where the picture is transparent and any colour may hide."""
        if self.alpha is None:
            return self.rgb
        share = self.alpha[..., None].astype(np.float32) / 255.0
        brightness = float((self.rgb * share).sum() / max(3.0 * share.sum(), 1.0))
        backdrop = DARK_BACKDROP if brightness > 128.0 else LIGHT_BACKDROP
        return np.rint(self.rgb * share + backdrop * (1.0 - share)).astype(np.uint8)


def load(path: Path) -> Picture:
    """Reads the picture at `path`. Raises Unable where there is none, or it cannot be read whole."""
    content = _read(path)
    with _opened(path, content) as image:
        notes = ("only the first of its pictures is used",) if getattr(image, "n_frames", 1) > 1 else ()
        fov = fov_from_exif(image)
        image = _reduced(image)
        rgb, alpha = _to_srgb(ImageOps.exif_transpose(image))
    return Picture(rgb, alpha, fov, hashlib.sha256(content).hexdigest(), path.stem, notes)


def size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright picture at `path`. Looks at all of it, a JPEG's at an eighth of its
    size, and raises Unable as `load` does."""
    with _opened(path, _read(path)) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS
        image.draft(None, (width // 8, height // 8))
        image.load()
    return (height, width) if turned else (width, height)


@contextmanager
def _opened(path: Path, content: bytes) -> Iterator[Image.Image]:
    """The picture's file, opened; what goes wrong while it is read becomes one sentence."""
    try:
        with _open(path, content) as image:
            yield image
    except MemoryError:
        raise Unable(f"{path.name} is too large for this machine's memory: make it smaller") from None
    except (OSError, ValueError, SyntaxError, IndexError, EOFError) as error:
        # Pillow's readers raise all of these on files that are cut off or damaged
        raise Unable(f"{path.name} is damaged or cut off ({error}): save or download it again") from None


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise Unable(f"{path.name or path} is a folder: choose a picture in it")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Unable(f"there is no file {path}: choose the picture again") from None
    except OSError as error:
        raise Unable(f"{path.name} cannot be read: {error.strerror}") from None
    if not content:
        raise Unable(f"{path.name} is empty: save or download it again")
    return content


def _open(path: Path, content: bytes) -> Image.Image:
    _register_heif()
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # we have a limit of our own, with a better message
    try:
        image = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise Unable(f"{path.name} is {_what_it_is(content)}: choose a JPEG, PNG, WebP, TIFF or HEIC picture") from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > MAX_PIXELS:
        megapixels = image.width * image.height / 1e6
        raise Unable(f"{path.name} has {megapixels:.0f} megapixels, more than {MAX_PIXELS / 1e6:.0f}: make it smaller")
    return image


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:  # the one format that needs a library of its own; without it such a file is named as HEIC below
        return
    pillow_heif.register_heif_opener()


def _what_it_is(content: bytes) -> str:
    head = content[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")) and b"<svg" in content[:4096]:
        return "an SVG drawing, which has no pixels"
    if content[4:8] == b"ftyp":
        return "a HEIC picture or a video that cannot be read here"
    if head.startswith(b"%PDF"):
        return "a PDF document"
    return "not a picture that can be read"


def _reduced(image: Image.Image) -> Image.Image:
    """The picture with a longer side of at most MAX_SIDE. JPEG is decoded smaller right away."""
    if max(image.size) <= MAX_SIDE:
        return image
    scale = MAX_SIDE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    image.draft(None, size)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    smaller = image if image.mode.startswith("I;16") else image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    if smaller is image:
        smaller = Image.fromarray(np.asarray(image)[:: math.ceil(1 / scale), :: math.ceil(1 / scale)])
    smaller.info = image.info
    return smaller


def _to_srgb(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image), None
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
        alpha = None if alpha.min() == 255 else alpha
    return np.asarray(_with_profile_applied(image).convert("RGB")), alpha


def _from_deep_grey(image: Image.Image) -> np.ndarray:
    """16-bit and floating-point grey, (H, W, 3) uint8. Whole numbers span 16 bits, floats 0 to 1 or their own range."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    if image.mode == "F":
        top = 1.0 if values.max() <= 1.0 else float(values.max())
    else:
        top = 65535.0 if values.max() > 255 else 255.0
    grey = np.clip(values / top * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _with_profile_applied(image: Image.Image) -> Image.Image:
    """The picture's own colours as sRGB, where it carries a profile that says what they are (phones: Display P3)."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):  # a broken profile is no reason to refuse a good picture
        return image


def fov_from_exif(image: Image.Image) -> float | None:
    """Field of view across the longer side in degrees, from the 35 mm equivalent focal length (EXIF 2.32, tag A405)."""
    try:
        focal = float(image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM) or 0)
    except (TypeError, ValueError, OSError, SyntaxError, KeyError, ZeroDivisionError):  # EXIF is often damaged
        return None
    if not 5.0 <= focal <= 2000.0:
        return None
    longer = FULL_FRAME_DIAGONAL * max(image.size) / math.hypot(*image.size)
    return math.degrees(2.0 * math.atan(longer / 2.0 / focal))
