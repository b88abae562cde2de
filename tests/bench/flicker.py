# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the depth of a sequence flickers, with one scale and field of view for all frames and without.

    python tests/bench/flicker.py [--network included] [--weights FOLDER] [--frames 40] [--still]

On frames of 7-Scenes with a Kinect's depth (looked up as tests/bench/depth.py does), which lie a third of a second
apart and whose camera is carried about. Flicker: the mean over pixels of what the change of the logarithm of depth from
frame to frame is more or less than in truth, in per cent. Scale: how far the logarithm of the factor between a frame's
depth and the truth strays from its mean, in per cent (one standard deviation). Pump: how far the field of view strays
from its mean, in degrees. Each frame alone is the lower bar. --still: one frame with noise as a camera's sensor has it
(sigma 4 of 255) instead, of which everything that changes is flicker.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import numpy as np
from depth import Frame, seven_scenes, shared_folder
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.finish.maps import depth_of
from image_to_3d.worker.finish.steady import steadied
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.request import Machine
from image_to_3d.worker.pipeline.sequence import Seer
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire.making import SequenceParams
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="included")
    parser.add_argument("--weights", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--still", action="store_true")
    wishes = parser.parse_args()
    truth = list(seven_scenes(shared_folder()))[: wishes.frames]
    truth = noisy(truth[0], len(truth)) if wishes.still else truth
    frames = [Picture(each.photo, None, None, str(number), str(number)) for number, each in enumerate(truth)]
    machine = Machine(WeightStore(wishes.weights), Path("/nonexistent"), "cpu")
    seer = Seer.of(SequenceParams((), "", "balanced", wishes.network), machine, frames[0])
    job = Job(lambda *report: None).span(0.0, 1.0)
    alone = [seer.see(frame, job) for frame in frames]
    fov = seer.field_of_view(frames, job)
    together = steadied(seer.maps(frames, fov, job), [frame.rgb for frame in frames], job)
    print(f"{wishes.network}, {len(frames)} frames; field of view {fov:.1f}, true {truth[0].fov:.1f} degrees")
    print("| | flicker | scale | pump |\n| --- | --- | --- | --- |")
    for name, found in (("each frame alone", alone), ("one scale and field of view", together)):
        own = [depth_of([each], 1.0)[0] for each in found] if found is alone else depth_of(found, 1.0)
        print(row(name, found, own, truth))


def noisy(frame: Frame, count: int) -> list[Frame]:
    random = np.random.default_rng(0)
    photos = (frame.photo + random.normal(0.0, 4.0, frame.photo.shape) for _ in range(count))
    return [frame._replace(photo=np.clip(photo, 0, 255).astype(np.uint8)) for photo in photos]


def row(name: str, found: list[DepthMap], depth: list[np.ndarray], truth: list[Frame]) -> str:
    logs, true = [], []
    for each, frame in zip(depth, truth, strict=True):
        small = np.asarray(
            Image.fromarray(frame.depth.astype(np.float32)).resize(each.shape[::-1], Image.Resampling.NEAREST)
        )
        logs.append(np.where(each > 0, np.log(np.maximum(each, 1e-6)), np.nan))
        true.append(np.where(small > 0, np.log(np.maximum(small, 1e-6)), np.nan))
    changes = [np.nanmean(np.abs((b - a) - (d - c))) for (a, b), (c, d) in zip(pairwise(logs), pairwise(true))]
    ratios = [np.nanmedian(one - other) for one, other in zip(logs, true)]
    fovs = np.std([each.view.camera.fov_degrees for each in found])
    return f"| {name} | {100 * np.mean(changes):.1f} | {100 * np.std(ratios):.1f} | {fovs:.2f} |"


if __name__ == "__main__":
    main()
