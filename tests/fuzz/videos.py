# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged videos of the usual containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from counting import Counts, mutated
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.video import frames
from PIL import Image


def run(count: int, seed: int, folder: Path) -> Counts:
    av.logging.set_level(None)
    counts, seeds = Counts(), dict(whole_files(folder))
    names, contents = list(seeds), list(seeds.values())
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        path = folder / f"fuzz.{name.split('-')[0]}"
        path.write_bytes(mutated(seeds[name], contents, generator))
        counts.try_one(f"{name} {number}", lambda path=path: frames(path, Job(lambda *_: None), 6), (Unable,))
    return counts


def whole_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Good videos, by their container and codec."""
    for ending, codec in (
        ("mp4", "mpeg4"),
        ("mp4", "libx264"),
        ("mov", "libx265"),
        ("avi", "mpeg4"),
        ("mkv", "libx264"),
        ("webm", "libvpx"),
        ("mpg", "mpeg2video"),
        ("wmv", "wmv2"),
        ("mts", "libx264"),
        ("3gp", "mpeg4"),
    ):
        path = folder / f"whole.{ending}"
        try:
            _film(path, codec)
        except (av.FFmpegError, ValueError):  # FFmpeg was built without this encoder
            continue
        yield f"{ending}-{codec}", path.read_bytes()


def _film(path: Path, codec: str) -> None:
    wide = np.asarray(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 30, 3), np.uint8)).resize((240, 72))
    )
    containers = {".mts": "mpegts", ".3gp": "3gp", ".wmv": "asf"}
    with av.open(str(path), "w", format=containers.get(path.suffix)) as video:
        stream = video.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 72, 96, "yuv420p"
        if codec == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        for number in range(12):
            rgb = np.ascontiguousarray(wide[:, 8 * number : 8 * number + 96])
            for packet in stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                video.mux(packet)
        for packet in stream.encode():
            video.mux(packet)
