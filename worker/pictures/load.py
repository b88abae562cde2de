# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture file as the user sees it: upright, in sRGB, eight bits, with alpha and field of view where it has them.

Must not know what the picture is for. Whatever is wrong with a file becomes one sentence (`Unable`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.errors import Unable
from ..core.view import PinholeCamera, View
from . import apart, colour, icc, raw
from .colour import Space
from .deep import Deep, deep, is_deep, png_header, smaller
from .opening import Opened, opened
from .plain import plain_background
from .silhouette import faint, is_one_thing, marked, present

MAX_PIXELS = 300_000_000
"""A 300 MP picture takes 900 MB as an array while it is made smaller; more than that is taken for a mistake."""

MAX_SIDE = 8192
"""Larger pictures are reduced to this longer side: no texture needs more, and memory stays bounded."""

LEAST_SIDE = 8
"""Pixels of the shorter side of a picture on which something can be seen."""

FLAT = 3.0
"""8-bit levels between a picture's darkest and brightest pixels, up to which it is of one colour."""

LIGHT_BACKDROP, DARK_BACKDROP = 208, 16
"""8-bit sRGB of a photographer's backdrops: what networks have seen behind dark things, and behind bright ones."""

PATIENCE = 0.8
"""Seconds for which a cancel may go unheard. A process of its own takes half a second of a processor by itself."""

_PER_MEGAPIXEL = {"plain": 0.03, "alpha": 0.09, "deep": 0.18}
"""Seconds of a processor in which nothing is heard, measured on pictures of 30 to 60 megapixels of all formats (.02 to
.03, .07 to .09, and .06 for TIFF to .17 for PNG). Half or twice as much moves the size of which on cancels are heard
at once, and nothing else."""

FULL_FRAME_DIAGONAL = 43.267  # millimetres; what "35 mm equivalent" focal lengths refer to (CIPA DCG-001)
_EXIF_IFD, _FOCAL_35MM, _ORIENTATION = 0x8769, 0xA405, 0x0112
_INTEROPERABILITY_IFD, _COLOUR_SPACE = 0xA005, 0xA001
_MP_ENTRIES = 0xB002  # of CIPA DC-007's index
_SEEN = (0.2, 99.8)  # percent: what covers less than that is noise
_BAND = 1 << 24  # pixels of a palette that become colours at a time
_QUARTER_TURNS = (5, 6, 7, 8)  # orientations that exchange width and height


@dataclass(frozen=True, eq=False)
class Picture:
    """rgb: (H, W, 3) uint8 sRGB. alpha: (H, W) uint8 or None where the file has none, or it marks nothing.

    fov_degrees: across the longer side, from EXIF, or None. digest: sha256 of the file's bytes. name: the file's,
    without its ending. notes: sentences for the user about what was done to the picture. is_whole: whether rgb shows
    what is behind the thing too, because the alpha was found here.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    fov_degrees: float | None
    digest: str
    name: str
    notes: tuple[str, ...] = ()
    is_whole: bool = False

    @cached_property
    def background(self) -> np.ndarray | None:
        """(H, W) bool, True where the background is, or None where there is neither alpha nor a plain background."""
        return plain_background(self.rgb) if self.alpha is None else ~present(self.alpha)

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
        own, share = Image.fromarray(self.rgb), Image.fromarray(self.alpha)

        def on(level: int) -> np.ndarray:
            return np.asarray(Image.composite(own, Image.new("RGB", own.size, (level,) * 3), share))

        brightness = on(0).sum(dtype=np.int64) / max(3.0 * self.alpha.sum(dtype=np.int64) / 255.0, 1.0)
        return on(DARK_BACKDROP if brightness > 128.0 else LIGHT_BACKDROP)


def load(path: Path, check: Callable[[], None] = lambda: None) -> Picture:
    """Reads the picture at `path`. check: called while the file is read, may raise to stop; so that it is heard soon,
    what takes long is read in a process of its own.

    Raises Unable where there is none, it cannot be read whole, or is too large for the memory that is free.
    """
    with opened(path, MAX_PIXELS, check) as found:
        if _seconds(found) <= PATIENCE:
            return _read(found, check)
    return Picture(**apart.done(fields, path, check))


def fields(path: Path) -> dict[str, Any]:
    """The fields of the Picture at `path`, read here."""
    with opened(path, MAX_PIXELS) as found:
        return vars(_read(found, lambda: None))


def _read(found: Opened, check: Callable[[], None]) -> Picture:
    if raw.is_raw(found):
        found = raw.preview(found)
    fov, more = (fov_from_exif(found.image), _more_pictures(found.image)) if found.image else (None, ())
    rgb, alpha, notes = _pixels(found, check)
    if alpha is not None:
        rgb, alpha = marked(rgb, alpha)
    return Picture(rgb, alpha, fov, found.digest(), found.path.stem, (*found.notes, *notes, *more))


def _seconds(found: Opened) -> float:
    """About how long a processor is busy with the picture without hearing a cancel."""
    if found.image is None:
        return _PER_MEGAPIXEL["deep"] * found.size / 1e6  # of at least a byte for each pixel, but for deflated ones
    kind = "deep" if is_deep(found, _is_coarse(found)) else "alpha" if found.image.has_transparency_data else "plain"
    return _PER_MEGAPIXEL[kind] * found.image.width * found.image.height / 1e6


def size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of the upright picture at `path`. Looks at all of it, a JPEG's at an eighth of its
    size, and raises Unable as `load` does."""
    with opened(path, MAX_PIXELS) as found:
        image = found.image
        if image is None:
            return _pixels(found, lambda: None)[0].shape[1::-1]
        width, height = image.size
        turned = found.format != "TIFF" and orientation(image) in _QUARTER_TURNS  # Pillow turns a TIFF itself
        image.draft(None, (width // 8, height // 8))
        image.load()
    return (height, width) if turned else (width, height)


def check_shows_something(picture: Picture) -> None:
    """Raises Unable, in one true sentence, where there is nothing to be seen on a picture."""
    height, width = picture.rgb.shape[:2]
    if min(width, height) < LEAST_SIDE and max(width, height) >= MAX_SIDE:
        times = f"{max(width, height) // min(width, height)} times as long as wide"
        raise Unable(f"{picture.name} is a strip, {times}, on which there is nothing to see: cut a part out of it")
    if min(width, height) < LEAST_SIDE:
        raise Unable(f"{picture.name} has {width} x {height} pixels, too few to show anything: choose a larger picture")
    if picture.alpha is not None and not (picture.alpha >= 128).any():
        raise Unable(faint(picture.name, picture.alpha))
    step = max(1, max(width, height) // 2048)
    alpha = None if picture.alpha is None else picture.alpha[::step, ::step]
    seen = replace(picture, rgb=picture.rgb[::step, ::step], alpha=alpha).on_backdrop()
    if max(map(_span, np.moveaxis(seen, 2, 0))) < FLAT:
        light = picture.rgb.mean()
        colour = "black" if light < 24 else "white" if light > 231 else "of one colour"
        said = f"{picture.name} is {colour} all over, or nearly so, and there is nothing to see in it"
        raise Unable(f"{said}: choose another picture")


def _span(plane: np.ndarray) -> float:
    """Between which levels a plane (H, W) uint8 lies, but for noise."""
    reached = np.cumsum(np.bincount(plane.ravel(), minlength=256)) / (plane.size / 100.0)
    low, high = (int(np.searchsorted(reached, share)) for share in _SEEN)
    return high - low


# ---- pixels


def _pixels(found: Opened, check: Callable[[], None]) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """rgb (H, W, 3) uint8 sRGB and alpha (H, W) uint8 or None, upright, and sentences for the user."""
    image = found.image
    if image is not None:
        image.draft(None, _within(image.size))
        try:
            image.load()
        except OSError:
            if found.format != "TIFF":
                raise
            found = replace(found, image=None)  # one whose strips say more bytes than there are, perhaps
    numbers = deep(found, MAX_PIXELS, _is_coarse(found))
    if numbers is not None:
        return _of_numbers(found, numbers, check)
    turn = orientation(image)
    space = _space(found)
    rgb, alpha = _eight_bits(_reduced(image), image.info.get("icc_profile") if space is None else None)
    rgb = rgb if space is None else colour.to_srgb(rgb, 255, space)
    return upright(rgb, turn), None if alpha is None else upright(alpha, turn), ()


def _of_numbers(
    found: Opened, numbers: Deep, check: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """As _pixels, of numbers of more than eight bits."""
    values, alpha = smaller(numbers.values, MAX_SIDE, check), numbers.alpha
    if alpha is not None:
        alpha = smaller(alpha[..., None], MAX_SIDE, check)[..., 0]
        alpha = None if alpha.min(initial=255) == 255 else alpha
    profile = found.image.info.get("icc_profile") if found.image else None
    space = _told(found)
    if space is None and numbers.xyz:
        space = replace(colour.SCENE_LIGHT, matrix=colour.from_equal_xyz())
    if space is None and numbers.is_light:
        space = colour.SCENE_LIGHT
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2) if space else values
    if space is not None:
        rgb = colour.to_srgb(values, numbers.top, space)
    else:
        rgb = _rounded(values, numbers.top)
        rgb = np.asarray(icc.converted(Image.fromarray(rgb), profile).convert("RGB")) if profile else rgb
    turn = orientation(found.image) if found.image else numbers.turn
    return upright(rgb, turn), None if alpha is None else upright(alpha, turn), numbers.notes


def _rounded(values: np.ndarray, top: float) -> np.ndarray:
    """(H, W, 3) uint8 of numbers (H, W, 1 or 3), a few rows at a time."""
    result = np.empty((*values.shape[:2], 3), np.uint8)
    for row in range(0, len(values), 256):
        part = values[row : row + 256].astype(np.float32)
        result[row : row + 256] = np.clip(part / top * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return result


def _within(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of at most MAX_SIDE, in the same proportion."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _reduced(image: Image.Image) -> Image.Image:
    """The picture with a longer side of at most MAX_SIDE; a palette's colours are mixed a few rows at a time."""
    size = _within(image.size)
    if max(image.size) <= MAX_SIDE:
        return image
    if image.mode not in ("P", "PA", "1"):
        smaller = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        smaller.info = image.info
        return smaller
    mode = "L" if image.mode == "1" else "RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB"
    whole, bands = Image.new(mode, size), max(1, image.width * image.height // _BAND)
    for band in range(min(bands, size[1])):
        low, high = (size[1] * k // min(bands, size[1]) for k in (band, band + 1))
        rows = [image.height * row // size[1] for row in (low, high)]
        part = image.crop((0, rows[0], image.width, max(rows[1], rows[0] + 1)))
        part.info = image.info
        whole.paste(part.convert(mode).resize((size[0], high - low), Image.Resampling.BOX, reducing_gap=2.0), (0, low))
    whole.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return whole


def _eight_bits(image: Image.Image, profile: bytes | None) -> tuple[np.ndarray, np.ndarray | None]:
    """rgb (H, W, 3) uint8, by the ICC profile where one is given, and alpha (H, W) uint8, None where it is opaque."""
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        alpha = np.asarray(whole.getchannel("A"))
        alpha = None if alpha.min() == 255 else alpha
        image = image.getchannel("L") if image.mode == "LA" and profile else whole.convert("RGB")
    if profile:
        if image.mode not in ("L", "RGB", "CMYK"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        image = icc.converted(image, profile)
    if image.mode in ("1", "L"):  # as Pillow would, with half of the memory
        return np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=2), alpha
    return np.asarray(image.convert("RGB")), alpha


# ---- what the file says


def _told(found: Opened) -> Space | None:
    """What the file's numbers mean, where it says so in any way; None for sRGB, and for profiles of other things."""
    profile = found.image.info.get("icc_profile") if found.image else None
    return _space(found) or (icc.space(profile) if profile else None)


def _is_coarse(found: Opened) -> bool:
    space = _told(found)
    return space is not None and space.is_coarse


def _space(found: Opened) -> Space | None:
    """What the file's numbers mean, where it says so otherwise than by an ICC profile of curves; None for sRGB."""
    image = found.image
    if image is None:
        primaries = _radiance_primaries(found.head) if found.format == "HDR" else None
        return colour.of_primaries(colour.linear_curve, primaries, hdr=True) if primaries else None
    if found.format == "PNG":
        points = png_header(found).get(b"cICP")
        if points and len(points) == 4:
            return colour.of_code_points(points[0], points[1])
    profile = image.info.get("icc_profile")
    if profile:
        points = icc.code_points(profile)
        return colour.of_code_points(*points) if points and points[1] in (16, 18) else None
    if found.format == "PNG" and "srgb" not in image.info:
        return colour.of_gamma(image.info.get("gamma"), image.info.get("chromaticity"))
    if found.format == "HEIF":
        nclx = image.info.get("nclx_profile") or {}
        return colour.of_code_points(nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2))
    if found.format == "AVIF":
        return _nclx(found.head)
    return colour.adobe_rgb() if _is_adobe_rgb(image) else None


def _nclx(head: bytes) -> Space | None:
    """The space of an AVIF's colour information (ISO/IEC 14496-12, 12.1.5)."""
    at = head.find(b"colrnclx")
    if at < 0 or at + 12 > len(head):
        return None
    return colour.of_code_points(*(int.from_bytes(head[at + k : at + k + 2], "big") for k in (8, 10)))


def _radiance_primaries(head: bytes) -> tuple[float, ...] | None:
    """A Radiance header's PRIMARIES: x and y of red, green, blue and white; None without, or where they are none."""
    found = re.search(rb"\nPRIMARIES=\s*((?:[-+.\deE]+\s+){7}[-+.\deE]+)\s*\n", head)
    try:
        primaries = tuple(float(number) for number in found[1].split()) if found else None
        if primaries:
            colour.to_srgb_primaries(primaries)
        return primaries
    except ValueError:
        return None


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether a camera says by EXIF that it saved Adobe RGB (DCF 2.0, 4.3.2: the interoperability index R03)."""
    if image.format not in ("JPEG", "MPO"):
        return False
    exif = _exif_part(image, _EXIF_IFD)
    return exif.get(_COLOUR_SPACE) in (2, 0xFFFF) and _exif_part(image, _INTEROPERABILITY_IFD).get(1) == "R03"


def _exif_part(image: Image.Image, part: int) -> dict:
    try:
        return image.getexif().get_ifd(part)
    except Exception:  # noqa: BLE001 - EXIF is often damaged, and its reader raises whatever there is
        return {}


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it is none, or damaged. Of a TIFF only after it was loaded, and so turned."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - as above
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(values: np.ndarray, turn: int) -> np.ndarray:
    """Values (H, W, ...) as they are to be seen, where EXIF's orientation is `turn` (EXIF 2.32, tag 112)."""
    if turn in _QUARTER_TURNS:
        values = values.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        values = values[::-1]
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _more_pictures(image: Image.Image) -> tuple[str, ...]:
    """A note where the file has pictures that are not used: not a phone's gain map, preview or depth."""
    if getattr(image, "n_frames", 1) < 2:
        return ()
    if image.format == "MPO":
        kinds = [str(entry.get("Attribute", {}).get("MPType")) for entry in image.mpinfo.get(_MP_ENTRIES, ())][1:]
        if not any("Disparity" in kind or "Panorama" in kind or "Angle" in kind for kind in kinds):
            return ()
    return ("only the first of its pictures is used",)


def fov_from_exif(image: Image.Image) -> float | None:
    """Field of view across the longer side in degrees, from the 35 mm equivalent focal length (EXIF 2.32, tag A405)."""
    try:
        focal = float(_exif_part(image, _EXIF_IFD).get(_FOCAL_35MM) or 0)
    except (TypeError, ValueError, ArithmeticError):
        return None
    if not 5.0 <= focal <= 2000.0:
        return None
    longer = FULL_FRAME_DIAGONAL * max(image.size) / math.hypot(*image.size)
    return math.degrees(2.0 * math.atan(longer / 2.0 / focal))
