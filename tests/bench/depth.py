# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth against truth on 7-Scenes and Middlebury's motorcycle, and fields of view on photos whose cameras are known.

`python tests/bench/depth.py [--size PIXELS ...] [--weights FILE] [--before CHECKOUT] [--write FILE]` measures a
vertical ramp, FastDepth (if its ONNX file and onnxruntime are there) and the included network, as it is and averaged
with the mirrored photo's answer (as the preset "high" does); --before adds the one of another checkout of this project.
The data are looked up in the folder that IMAGE_TO_3D_SHARED names, else in `shared` beside the checkout; they are for
measuring only, nothing learns from them.
"""

import argparse
import importlib.util
import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import checkout  # first: it names the package
import numpy as np
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.finish.depth_map import DEEP
from image_to_3d.worker.methods.depth import Options, included
from image_to_3d.worker.methods.depth.estimator import SceneEstimator
from image_to_3d.worker.methods.depth.framing import DEFAULT_FOV
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.training.metrics import Score, affine_score, mean_score, scale_score, vertical_ramp
from PIL import Image

Guess = Callable[[np.ndarray], DepthMap]  # of a photo (H, W, 3) uint8


class Frame(NamedTuple):
    """photo: (H, W, 3) uint8; depth: (H, W) true metres, NaN where unknown; fov: degrees across the longer side."""

    photo: np.ndarray
    depth: np.ndarray
    fov: float


# Middlebury 2014, reduced by four: focal length in pixels, baseline in metres, principal points' difference in pixels
_FOCAL, _BASELINE, _OFFSET = 994.978, 0.193001, 31.086
_KINECT = 585.0  # pixels of a frame of 640, as the set's intrinsics say
_CASTLE = 2905.88 / 2832  # widths of the photo, by the set's K.txt
_TEMPLE = 1520.4 / 640


def shared_folder() -> Path:
    """Where the measuring data lie. Raises SystemExit with a reason when they do not."""
    folder = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    if not (folder / "data" / "depth_truth").is_dir():
        raise SystemExit(f"no depth truth in {folder}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return folder


def seven_scenes(shared: Path) -> Iterator[Frame]:
    """The Kinect frames: depth is 16-bit millimetres, 0 and 65535 mean none."""
    for path in sorted((shared / "data/depth_truth/seven_scenes").glob("*.color.jpg")):
        raw = np.asarray(Image.open(path.with_name(path.name.replace("color.jpg", "depth.png")))).astype(np.float32)
        depth = np.where((raw > 0) & (raw < 65535), raw / 1000, np.nan)
        yield Frame(_rgb(path), depth, _degrees(_KINECT / 640))


def motorcycle(shared: Path) -> Iterator[Frame]:
    """The left picture of the stereo pair with depth from its true disparity."""
    folder = shared / "data/depth_truth/motorcycle"
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"]
    depth = np.where(np.isfinite(disparity), _FOCAL * _BASELINE / (disparity + _OFFSET), np.nan)
    photo = _rgb(folder / "motorcycle_left.png")
    yield Frame(photo, depth, _degrees(_FOCAL / photo.shape[1]))


def of_known_cameras(shared: Path) -> dict[str, list[Frame]]:
    """Photos without depth, by set."""
    sets = {"castle": ("sceaux_castle/*.JPG", _CASTLE), "temple": ("temple_ring_19/*.png", _TEMPLE)}
    folder = shared / "data/multiview"
    return {
        name: [Frame(_rgb(path), np.empty(0), _degrees(focal)) for path in sorted(folder.glob(pattern))]
        for name, (pattern, focal) in sets.items()
    }


def _rgb(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def _degrees(focal: float) -> float:
    """Field of view of a focal length in longer sides."""
    return math.degrees(2 * math.atan(0.5 / focal))


def relative(values: np.ndarray, photo: np.ndarray) -> DepthMap:
    """A depth map of relative inverse depth (h, w), as the product makes one of networks that say no more."""
    camera = PinholeCamera.from_fov(photo.shape[1], photo.shape[0], DEFAULT_FOV)
    return DepthMap(values.astype(np.float32), False, np.ones(values.shape, bool), View(camera, rgb=photo))


def picture(photo: np.ndarray) -> Picture:
    return Picture(photo, None, None, "", "photo")


def fastdepth(path: Path) -> Guess | None:
    """FastDepth at 224x224, which gives metres; None without its file or onnxruntime."""
    if not path.is_file() or importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings)

    def run(photo: np.ndarray) -> DepthMap:
        small = np.asarray(Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255
        metres = np.maximum(session.run(None, {"input": small.transpose(2, 0, 1)[None]})[0][0, 0], 0.1)
        return replace(relative(1 / metres, photo), proportional=True)

    return run


_BEFORE = """
import pickle, sys
from pathlib import Path
import torch
from worker.methods import method, with_network
from worker.methods.depth import Options, estimator
from worker.pictures.load import Picture
torch.set_num_threads(1)
found = estimator.load(with_network("included")[1], Path("worker/included/depth.safetensors"), "cpu")
for photo in pickle.load(sys.stdin.buffer):
    made = found(Picture(photo, None, None, "", "photo"), Options(), lambda: None)
    pickle.dump((made.inverse_depth, made.valid), sys.stdout.buffer)
"""


def before(folder: Path, frames: list[Frame]) -> Guess:
    """The included network of another checkout, one that gave relative inverse depth, run on all frames at once."""
    photos = pickle.dumps([frame.photo for frame in frames])
    command = [sys.executable, "-c", _BEFORE]
    answers = iter_pickles(subprocess.run(command, cwd=folder, input=photos, capture_output=True, check=True).stdout)
    known = {frame.photo.tobytes(): answer for frame, answer in zip(frames, answers, strict=True)}
    return lambda photo: relative(known[photo.tobytes()][0], photo)


def iter_pickles(content: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    import io

    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        yield pickle.load(stream)


def resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def in_depth(found: DepthMap) -> np.ndarray:
    """(h, w) depth up to a factor: the network's own, else as the product guesses near and far."""
    if not found.proportional:
        return found.depth(1.0, DEEP)
    return 1.0 / np.maximum(found.inverse_depth, 1e-3 * found.inverse_depth.max())


class Row(NamedTuple):
    """What is measured of a set. sure: AbsRel of the surest half of pixels; astray: median degrees."""

    affine: Score
    scale: Score
    sure: float
    astray: float


def measured(guess: Guess, frames: list[Frame]) -> Row:
    """Means over frames, each answer brought to its truth's size."""
    affine, scale, sure, astray = [], [], [], []
    for frame in frames:
        found, shape = guess(frame.photo), frame.depth.shape
        astray.append(abs(found.view.camera.fov_degrees - frame.fov))
        if not frame.depth.size:
            continue
        affine.append(affine_score(resized(found.inverse_depth, shape), frame.depth))
        depth = resized(in_depth(found), shape)
        scale.append(scale_score(depth, frame.depth))
        if found.uncertainty is not None:
            unsure = resized(found.uncertainty, shape)
            surest = unsure <= np.median(unsure[np.isfinite(frame.depth)])
            sure.append(scale_score(depth, frame.depth, surest).abs_rel)
    none = Score(math.nan, math.nan)
    return Row(
        mean_score(affine) if affine else none,
        mean_score(scale) if scale else none,
        float(np.mean(sure)) if sure else math.nan,
        float(np.median(astray)),
    )


def contestants(shared: Path, weights: Path, sizes: list[int], photos: list[Frame], other: Path | None):
    """Each row's name and method; None where something is missing."""
    rows: dict[str, Guess | None] = {
        "vertical ramp": lambda photo: relative(vertical_ramp(*photo.shape[:2]), photo),
        "FastDepth (Wofk et al. 2019)": fastdepth(shared / "data/weights/fastdepth_224.onnx"),
    }
    if other:
        rows["included before"] = before(other, photos)
    network = included.load(weights)
    own = network.config.size
    estimator = SceneEstimator(network)
    for size in sizes or [own]:
        for mirror, name in ((False, ""), (True, ", mirrored")):
            options = Options(size / own, mirror)
            rows[f"included at {size}{name}"] = partial(_estimated, estimator, options)
    return rows


def _estimated(estimator: SceneEstimator, options: Options, photo: np.ndarray) -> DepthMap:
    return estimator(picture(photo), options, lambda: None)


def table(rows: dict[str, Guess | None], frames: dict[str, list[Frame]]) -> str:
    """Two Markdown tables: depth and the time per photo; fields of view."""
    titles = [f"{name}, {fit}" for name in list(frames)[:2] for fit in ("affine", "scale", "surest half")]
    lines = [f"| AbsRel / delta1 | {' | '.join(titles)} | ms per photo |", "| --- |" + " --- |" * (len(titles) + 1)]
    lenses = [f"| median degrees astray | {' | '.join(frames)} |", "| --- |" + " --- |" * len(frames)]
    for name, guess in rows.items():
        if guess is None:
            lines.append(f"| {name} |" + " not there |" * (len(titles) + 1))
            continue
        results = [measured(guess, chosen) for chosen in frames.values()]
        cells = [
            text
            for row in results[:2]
            for text in (_pair(row.affine), _pair(row.scale), "-" if math.isnan(row.sure) else f"{row.sure:.3f}")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {milliseconds(guess, frames):.0f} |")
        lenses.append(f"| {name} | {' | '.join(f'{row.astray:.1f}' for row in results)} |")
    return "\n".join([*lines, "", *lenses]) + "\n"


def _pair(score: Score) -> str:
    return f"{score.abs_rel:.3f} / {score.delta1:.3f}"


def milliseconds(guess: Guess, frames: dict[str, list[Frame]]) -> float:
    """The median time that the processor takes for one photo, its resizing included."""
    times = []
    for frame in next(iter(frames.values()))[:10]:
        started = time.process_time()
        guess(frame.photo)
        times.append(1000 * (time.process_time() - started))
    return float(np.median(times))


_PAGE = """# Depth of photos, measured

AbsRel is the mean of |depth - truth| / truth (lower is better), delta1 the share of pixels within a factor of 1.25
(higher is better), both averaged over pictures. *affine*: after the best scale and shift of inverse depth, which is all
that is asked of relative networks. *scale*: after the median's factor alone, which is what a relief is made of; of a
network that knows no more than relative depth, the product guesses that the farthest lies four times as far as the
nearest. *surest half*: AbsRel of the half of the pixels that the network is surest of, after the same factor.

7-Scenes: 40 photos of rooms with a Kinect's depth. Motorcycle: one photo of Middlebury 2014 with depth from stereo.
Fields of view are across the longer side, of these and of photos without depth whose cameras were calibrated (11 of a
castle, 19 of a small temple through a long lens); who knows none says 55. No photo at hand tells its lens by EXIF.
Nothing was trained on any of them. *included before* is the first generation, which gave relative inverse depth, at 128
pixels. Written by `python tests/bench/depth.py --before CHECKOUT --write docs/depth.md`; times are of one thread.

"""


def main() -> None:
    """Print the tables, and write their page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="*", default=[], help="shorter sides in pixels to try")
    parser.add_argument("--weights", type=Path, default=checkout.ROOT / "worker" / "included" / "depth.safetensors")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="another checkout, to compare its network with")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page to write, such as docs/depth.md")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # which the network obeys
    shared = shared_folder()
    frames = {"7-Scenes": list(seven_scenes(shared)), "motorcycle": list(motorcycle(shared))}
    frames |= of_known_cameras(shared)
    photos = [frame for chosen in frames.values() for frame in chosen]
    result = table(contestants(shared, options.weights, options.size, photos, options.before), frames)
    sys.stdout.write(result)
    if options.write:
        options.write.write_text(_PAGE + result, encoding="utf-8")


if __name__ == "__main__":
    main()
