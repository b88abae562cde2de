# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures out of a video: frames that are sharp, and between which the camera has moved about equally far.

Must not know what the pictures are for. The video is read twice: small and grey to choose, then whole to take what was
chosen, so that memory does not grow with its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..core.errors import Unable
from ..core.job import Job, Span
from .load import Picture

if TYPE_CHECKING:
    import av

FRAMES = 60
"""So many pictures are taken of a video: enough for once around a thing, and matched in minutes."""

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


def frames(path: Path, job: Job | Span, count: int = FRAMES) -> list[Picture]:
    """At most `count` pictures of the video, in the order of time, the camera's rotation applied.

    Raises Unable where there is none, it cannot be read, or this environment has nothing to read it with.
    """
    glance = _looked_at(path, job.span(0.0, 0.6))
    chosen = choose(glance.sharpness, glance.moved, count)
    times = glance.times[chosen]
    taken: list[Picture] = []
    with _opened(path) as video:
        for frame in _decoded(video, path):
            if len(taken) == len(times):
                break
            if frame.time is None or frame.time < times[len(taken)] - 1e-6:
                continue
            rgb = _turned(frame.to_ndarray(format="rgb24"), frame.rotation)
            digest = hashlib.sha256(rgb).hexdigest()
            taken.append(Picture(rgb, None, None, digest, f"{path.stem} {frame.time:.2f} s"))
            job.span(0.6, 1.0).report(len(taken) / len(times), "taking frames", f"{len(taken)} of {len(times)}")
    return taken


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
        for number, frame in enumerate(_decoded(video, path)):
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
        raise Unable(f"{path.name} has no frame that can be read: record or export it again")
    return _Glance(*np.array(rows).T)


def _length(video: av.container.InputContainer, stream: av.VideoStream) -> int:
    """About how many frames there are; 0 if the file does not say."""
    if stream.frames:
        return stream.frames
    seconds = (video.duration or 0) / 1e6
    return int(seconds * float(stream.average_rate or 30))


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    try:
        import av
    except ImportError:
        raise Unable(f"{path.name} is a video, which this environment cannot read: export pictures of it") from None
    if not path.is_file():
        raise Unable(f"there is no file {path}: choose the video again")
    try:
        video = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise Unable(
            f"{path.name} is not a video that can be read ({error.strerror}): record or export it again"
        ) from None
    with video:
        if not video.streams.video:
            raise Unable(f"{path.name} has sound but no pictures: choose another video")
        yield video


def _decoded(video: av.container.InputContainer, path: Path) -> Iterator[av.VideoFrame]:
    """The video's frames up to its end, or to where it is damaged."""
    import av

    stream = video.streams.video[0]
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
    try:
        yield from video.decode(stream)
    except av.FFmpegError:
        return  # what was read before is good, and if that is nothing, `_looked_at` says so


def _turned(rgb: np.ndarray, degrees: int) -> np.ndarray:
    """The frame as it was seen: phones store frames lying and say by how much to turn them, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(rgb, round(degrees / 90.0) % 4))
