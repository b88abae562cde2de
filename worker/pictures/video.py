# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures out of a video: frames that are sharp, and between which the camera has moved about equally far.

Must not know what the pictures are for. The video is read twice: small and grey to choose, then whole to take what was
chosen, so that memory does not grow with its length.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

from ..core.errors import Unable
from ..core.file_types import VIDEO_FRAMES
from ..core.job import Job, Span
from . import colour, kinds
from .deep import EXACT
from .faults import decoding, named
from .load import Picture
from .opening import memory

if TYPE_CHECKING:
    import av

MOST_PIXELS = 36_000_000
"""Of a frame: 8K. Decoders hold some ten of them."""

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,mpegvideo,asf"
"""FFmpeg's names of the containers that are opened: those of VIDEOS, and none that names other files."""

_ALLOWED = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "enable_drefs": "0", "use_absolute_path": "0"}
_FRAME_BYTES = 3.0 * 12  # for each pixel, of all frames that are held at a time
_HEAD = 4096  # bytes by which a file is told from a picture
_UNSPECIFIED = 2  # of H.273's matrices
_HIGH_DEFINITION = 720  # lines from which on BT.709 is meant
_SMALL = 192  # pixels on the longer side of what a frame is judged by
_STILL = 0.6  # grey levels: frames that differ less, by the mean, are the same picture again
_LONGEST = 20_000  # frames; every second, third, ... of a longer video is looked at


@dataclass(frozen=True, eq=False)
class _Glance:
    """What is known of all frames that were looked at. times: seconds. sharpness: variance of the Laplacian, in grey
    levels squared. moved: mean difference from the frame before, in grey levels. All (F,) float64."""

    times: np.ndarray
    sharpness: np.ndarray
    moved: np.ndarray


def frames(path: Path, job: Job | Span, count: int = VIDEO_FRAMES) -> list[Picture]:
    """At most `count` pictures of the video, in the order of time, as a player would show them: turned, with square
    pixels, in sRGB.

    Raises Unable where there is none, it cannot be read, or this environment has nothing to read it with.
    """
    glance = _looked_at(path, job.span(0.0, 0.6))
    chosen = choose(glance.sharpness, glance.moved, count)
    times, later = glance.times[chosen], job.span(0.6, 1.0)
    taken: list[Picture] = []
    with _opened(path) as video:
        for frame in _decoded(video, later.check):
            if len(taken) == len(times):
                break
            if frame.time is None or frame.time < times[len(taken)] - 1e-6:
                continue
            rgb = _shown(frame, video.streams.video[0])
            digest = hashlib.sha256(rgb).hexdigest()
            taken.append(Picture(rgb, None, None, digest, f"{path.stem} {frame.time:.2f} s"))
            later.report(len(taken) / len(times), "taking frames", f"{len(taken)} of {len(times)}")
    if not taken:
        raise Unable(f"{named(path)} has no frame that can be read: record or export it again")
    return taken


def every_frame(path: Path, numbers: range, job: Job | Span) -> Iterator[Picture]:
    """The frames of those numbers, counted from 1, in their order. Raises Unable as `frames` does."""
    with _opened(path) as video:
        stream = video.streams.video[0]
        total = _length(video, stream)
        for number, frame in enumerate(_decoded(video, job.check), 1):
            if number >= numbers.stop:
                break
            job.report(min(number / max(total, number), 1.0), "taking frames", f"frame {number}")
            if number in numbers:
                rgb = _shown(frame, stream)
                yield Picture(rgb, None, None, hashlib.sha256(rgb).hexdigest(), f"{path.stem} {number:04d}")


def choose(sharpness: np.ndarray, moved: np.ndarray, count: int) -> np.ndarray:
    """Numbers, ascending, of at most `count` frames: the sharpest of each stretch in which the picture changes equally.

    sharpness, moved: (F,), of each frame and its difference from the one before. Where nothing changes, there is
    nothing new: such frames are not taken twice.
    """
    changes = np.where(np.arange(len(moved)) > 0, np.maximum(moved - _STILL / 2.0, 0.0), 0.0)
    # a cut or a jerk is one change however large it is
    usual = np.percentile(changes[changes > 0], 95) if (changes > 0).any() else 1.0
    way = np.cumsum(np.minimum(changes, usual))
    if way[-1] < _STILL:
        return np.array([int(sharpness.argmax())])
    stretch = np.minimum((way / way[-1] * count).astype(int), count - 1)
    order = np.lexsort((-sharpness, stretch))
    first = np.unique(stretch[order], return_index=True)[1]
    return np.sort(order[first])


def _looked_at(path: Path, job: Job | Span) -> _Glance:
    rows, before = [], None
    with _opened(path) as video:
        stream = video.streams.video[0]
        total = _length(video, stream)
        step = max(1, -(-total // _LONGEST))
        for number, frame in enumerate(_decoded(video, job.check)):
            if number % step or frame.time is None:
                continue
            job.report(min(number / max(total, 1), 1.0), "looking at the video", f"{frame.time:.0f} s")
            scale = _SMALL / max(frame.width, frame.height)
            size = max(8, round(frame.width * scale)), max(8, round(frame.height * scale))
            grey = frame.reformat(*size, format="gray").to_ndarray().astype(np.float32)
            change = 0.0 if before is None else float(np.abs(grey - before).mean())
            rows.append((frame.time, float(ndimage.laplace(grey).var()), change))
            before = grey
    if not rows:
        raise Unable(f"{named(path)} has no frame that can be read: record or export it again")
    return _Glance(*np.array(rows).T)


def _length(video: av.container.InputContainer, stream: av.VideoStream) -> int:
    """About how many frames there are; 0 if the file does not say."""
    if stream.frames:
        return stream.frames
    seconds = (video.duration or 0) / 1e6
    return int(seconds * float(stream.average_rate or 30))


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    """The video, opened by one of the formats that are meant: no playlists, and nothing from a network. What is raised
    within leaves as one sentence."""
    try:
        import av
    except ImportError:
        raise Unable(f"{named(path)} is a video, which this environment cannot read: export pictures of it") from None
    _check(path)
    with decoding(path, "record or export it again"):
        try:
            video = av.open(str(path), options=_ALLOWED, metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror
            raise Unable(
                f"{named(path)} is not a video that can be read ({reason}): record or export it again"
            ) from None
        with video:
            if not video.streams.video:
                raise Unable(f"{named(path)} has sound but no pictures: choose another video")
            stream = video.streams.video[0]
            _check_size(path, stream.codec_context.width or 0, stream.codec_context.height or 0)
            yield video


def _check(path: Path) -> None:
    """Raises Unable where there is no file, or one that begins as text does: a list of other files, perhaps."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unable(f"{named(path)} is not a file: choose a video")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise Unable(f"there is no file {named(path)}: choose the video again") from None
    except (OSError, ValueError) as error:
        raise Unable(f"{named(path)[:80]} cannot be read: {getattr(error, 'strerror', None) or 'no name'}") from None
    if not head:
        raise Unable(f"{named(path)} is empty: record or export it again")
    if kinds.format_of(head):
        raise Unable(f"{named(path)} is a picture and not a video: give its name the ending of a picture")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS or width * height * _FRAME_BYTES > memory():
        raise Unable(f"{named(path)} has frames of {width} x {height} pixels, too large to be read: make it smaller")


def _decoded(video: av.container.InputContainer, check: Callable[[], None]) -> Iterator[av.VideoFrame]:
    """The video's frames up to its end, or to where it is damaged. check: called for each, may raise to stop."""
    import av

    stream = video.streams.video[0]
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
    try:
        for frame in video.decode(stream):
            check()
            if frame.width * frame.height > MOST_PIXELS:
                return  # a stream may say another size at any time
            yield frame
    except av.FFmpegError:
        return  # what was read before is good, and if that is nothing, `_looked_at` says so


# ---- frames as they are shown


def _shown(frame: av.VideoFrame, stream: av.VideoStream) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of a frame as it was seen."""
    rgb = _stretched(_in_srgb(frame), stream.sample_aspect_ratio)
    matrix = _display_matrix(frame)
    if matrix is None:
        return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90.0) % 4))
    return _transformed(rgb, matrix)


def _in_srgb(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8. Eight bits where that is all the stream means; else sixteen, and its own space."""
    space = colour.of_code_points(int(frame.color_primaries), int(frame.color_trc))
    options = {"interpolation": EXACT}
    if int(frame.colorspace) == _UNSPECIFIED and min(frame.width, frame.height) >= _HIGH_DEFINITION:
        options["src_colorspace"] = "itu709"  # as all players take what does not say it
    if space is None:
        return frame.to_ndarray(format="rgb24", **options)
    values = frame.to_ndarray(format="rgb48le", **options)
    return colour.to_srgb(values, 65535, space)


def _stretched(rgb: np.ndarray, aspect: Fraction | None) -> np.ndarray:
    """The frame with square pixels; the longer way, so that nothing is lost. aspect: a pixel's width by its height."""
    if not aspect or aspect == 1 or not 0.2 < aspect < 5.0:
        return rgb
    height, width = rgb.shape[:2]
    size = (round(width * float(aspect)), height) if aspect > 1 else (width, round(height / float(aspect)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """(2, 2): where the frame's axes, right and down, are shown (ISO/IEC 14496-12, 8.3.2); None without one."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            numbers = np.frombuffer(bytes(data), np.int32, 9).astype(np.float64).reshape(3, 3)
            return numbers[:2, :2] / 65536.0
    return None


def _transformed(rgb: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The frame turned by quarters and mirrored as the matrix says. Phones store frames lying, selfies mirrored."""
    (a, b), (c, d) = matrix  # right is shown as (a, b), down as (c, d)
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb = rgb.swapaxes(0, 1)  # right was shown as down
        a, d = c, b
    if a < 0:
        rgb = rgb[:, ::-1]
    if d < 0:
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)
