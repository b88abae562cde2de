# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth against truth: AbsRel and delta1 on 7-Scenes and Middlebury's motorcycle after an affine fit of inverse depth.

`python tests/bench/depth.py [--size PIXELS ...] [--weights FILE] [--write FILE]` compares a vertical ramp, FastDepth
(if its ONNX file and onnxruntime are there) and the included network: as it is, averaged with the mirrored photo's
answer (as the preset "high" does), and averaged over two sizes as well. The data are looked up in the folder that
IMAGE_TO_3D_SHARED names, else in `shared` beside the checkout; they are for measuring only, nothing learns from them.
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
import torch
from image_to_3d.worker.methods.depth import included as included_depth
from image_to_3d.worker.methods.depth.estimator import network_size
from image_to_3d.worker.training.metrics import Score, affine_score, mean_score, vertical_ramp
from PIL import Image

Guess = Callable[[np.ndarray], np.ndarray]  # photo (H, W, 3) uint8 -> relative inverse depth (h, w)
Frame = tuple[np.ndarray, np.ndarray]  # photo (H, W, 3) uint8, true depth (H, W) metres, NaN where unknown

# Middlebury 2014, reduced by four: focal length in pixels, baseline in metres, principal points' difference in pixels
_FOCAL, _BASELINE, _OFFSET = 994.978, 0.193001, 31.086


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
        yield np.asarray(Image.open(path).convert("RGB")), np.where((raw > 0) & (raw < 65535), raw / 1000, np.nan)


def motorcycle(shared: Path) -> Iterator[Frame]:
    """The left picture of the stereo pair with depth from its true disparity."""
    folder = shared / "data/depth_truth/motorcycle"
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"]
    depth = np.where(np.isfinite(disparity), _FOCAL * _BASELINE / (disparity + _OFFSET), np.nan)
    yield np.asarray(Image.open(folder / "motorcycle_left.png").convert("RGB")), depth


def included(weights: Path, sizes: Sequence[int], mirror: bool) -> Guess:
    """The included network with its shorter side at `sizes` pixels, the answers averaged."""
    network = included_depth.load(weights)

    def once(photo: np.ndarray, size: int) -> np.ndarray:
        height, width = network_size(photo.shape[:2], size, included_depth.MULTIPLE)
        small = Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
        picture = torch.from_numpy(np.array(small, np.float32) / 255).permute(2, 0, 1)[None]
        with torch.inference_mode():
            guess = network(picture)[0].numpy()
            return (guess + network(picture.flip(3))[0].flip(1).numpy()) / 2 if mirror else guess

    def run(photo: np.ndarray) -> np.ndarray:
        guesses = [once(photo, size) for size in sizes]
        return np.mean([resized(guess / guess.mean(), guesses[-1].shape) for guess in guesses], 0)

    return run


def fastdepth(path: Path) -> Guess | None:
    """FastDepth at 224x224, which gives metres; None without its file or onnxruntime."""
    if not path.is_file() or importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings)

    def run(photo: np.ndarray) -> np.ndarray:
        small = np.asarray(Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255
        return 1 / np.maximum(session.run(None, {"input": small.transpose(2, 0, 1)[None]})[0][0, 0], 0.1)

    return run


def resized(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def score(guess: Guess, frames: list[Frame]) -> Score:
    """Mean score over frames, each guess brought to its truth's size."""
    return mean_score([affine_score(resized(guess(photo), depth.shape), depth) for photo, depth in frames])


def contestants(shared: Path, weights: Path, sizes: Sequence[int]) -> dict[str, Guess | None]:
    """Each row's name and method; None where something is missing."""
    rows: dict[str, Guess | None] = {
        "vertical ramp": lambda photo: vertical_ramp(*photo.shape[:2]),
        "FastDepth (Wofk et al. 2019)": fastdepth(shared / "data/weights/fastdepth_224.onnx"),
    }
    own = included_depth.load(weights).config.size
    for size in sizes or [own]:
        rows[f"included at {size}"] = included(weights, [size], mirror=False)
        rows[f"included at {size}, mirrored"] = included(weights, [size], mirror=True)
    rows[f"included at {own} and {own * 2 // 3}, mirrored"] = included(weights, [own * 2 // 3, own], mirror=True)
    return rows


def table(rows: dict[str, Guess | None], frames: dict[str, list[Frame]]) -> str:
    """A Markdown table: AbsRel / delta1 and the time per photo."""
    lines = [f"| AbsRel / delta1 | {' | '.join(frames)} | ms per photo |", "| --- |" + " --- |" * (len(frames) + 1)]
    for name, guess in rows.items():
        if guess is None:
            lines.append(f"| {name} |" + " not there |" * (len(frames) + 1))
            continue
        cells = [score(guess, chosen) for chosen in frames.values()]
        texts = [f"{cell.abs_rel:.3f} / {cell.delta1:.3f}" for cell in cells]
        lines.append(f"| {name} | {' | '.join(texts)} | {milliseconds(guess, frames):.0f} |")
    return "\n".join(lines) + "\n"


def milliseconds(guess: Guess, frames: dict[str, list[Frame]]) -> float:
    """The median time of one photo, its resizing included."""
    photos, times = [photo for photo, _ in next(iter(frames.values()))[:10]], []
    for photo in photos:
        started = time.perf_counter()
        guess(photo)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


_PAGE = """# Depth of photos, measured

One picture gives depth up to scale and shift, so each answer is first fitted to the truth: inverse depth, affine, least
squares. AbsRel is the mean of |depth - truth| / truth (lower is better), delta1 the share of pixels within a factor of
1.25 (higher is better), both averaged over pictures. 7-Scenes: 40 photos of rooms with a Kinect's depth. Motorcycle:
one photo of Middlebury 2014 with depth from stereo. Nothing was trained on either, though the included network's size
was chosen among a few on them. Written by `python tests/bench/depth.py --write docs/depth.md`; times are of one thread.

"""


def main() -> None:
    """Print the table, and write its page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="*", default=[], help="shorter sides in pixels to try")
    parser.add_argument("--weights", type=Path, default=checkout.ROOT / "worker" / "included" / "depth.safetensors")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page to write, such as docs/depth.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared = shared_folder()
    frames = {"7-Scenes": list(seven_scenes(shared)), "motorcycle": list(motorcycle(shared))}
    result = table(contestants(shared, options.weights, options.size), frames)
    sys.stdout.write(result)
    if options.write:
        options.write.write_text(_PAGE + result, encoding="utf-8")


if __name__ == "__main__":
    main()
