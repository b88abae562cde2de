# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth against truth: AbsRel and delta1 on 7-Scenes and Middlebury's motorcycle after an affine fit of inverse depth.

`python tests/bench/depth.py [--size PIXELS ...] [--weights FILE]` compares a vertical ramp, FastDepth (if its ONNX file
and onnxruntime are there) and the included network. The data are looked up in the folder that IMAGE_TO_3D_SHARED names,
else in `shared` beside the checkout; they are for measuring only and nothing was trained on them.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
import torch
from image_to_3d.worker.backends.depth_inference import network_size
from image_to_3d.worker.networks import included_depth
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


def included(weights: Path, size: int | None, mirror: bool) -> Guess:
    """The included network with its shorter side at `size` pixels, or at its own choice."""
    network = included_depth.load(weights)

    def run(photo: np.ndarray) -> np.ndarray:
        height, width = network_size(photo.shape[:2], size or network.config.size, included_depth.MULTIPLE)
        small = Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
        picture = torch.from_numpy(np.array(small, np.float32) / 255).permute(2, 0, 1)[None]
        with torch.inference_mode():
            guess = network(picture)
            if mirror:
                guess = (guess + network(picture.flip(3)).flip(2)) / 2
        return guess[0].numpy()

    return run


def fastdepth(path: Path) -> Guess | None:
    """FastDepth at 224x224, which gives metres; None without its file or onnxruntime."""
    if not path.is_file() or importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(path)

    def run(photo: np.ndarray) -> np.ndarray:
        small = np.asarray(Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255
        return 1 / np.maximum(session.run(None, {"input": small.transpose(2, 0, 1)[None]})[0][0, 0], 0.1)

    return run


def score(guess: Guess, frames: list[Frame]) -> Score:
    """Mean score over frames, each guess brought to its truth's size."""
    scores = []
    for photo, depth in frames:
        inverse = Image.fromarray(np.ascontiguousarray(guess(photo), np.float32))
        full = np.asarray(inverse.resize(depth.shape[::-1], Image.Resampling.BILINEAR))
        scores.append(affine_score(full, depth))
    return mean_score(scores)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="*", default=[None], help="shorter sides in pixels to try")
    parser.add_argument("--weights", type=Path, default=checkout.ROOT / "worker" / "included" / "depth.safetensors")
    options = parser.parse_args()
    shared = shared_folder()
    frames = {"7-Scenes": list(seven_scenes(shared)), "motorcycle": list(motorcycle(shared))}
    rows: dict[str, Guess | None] = {
        "vertical ramp": lambda photo: vertical_ramp(*photo.shape[:2]),
        "FastDepth": fastdepth(shared / "data/weights/fastdepth_224.onnx"),
    }
    for size in options.size:
        name = f"included at {size or included_depth.load(options.weights).config.size}"
        rows[name] = included(options.weights, size, mirror=False)
        rows[f"{name}, mirrored"] = included(options.weights, size, mirror=True)
    sys.stdout.write(f"{'AbsRel / delta1':24}" + "".join(f"{name:>18}" for name in frames) + "\n")
    for name, guess in rows.items():
        cells = [score(guess, chosen) if guess else None for chosen in frames.values()]
        texts = [f"{cell.abs_rel:.3f} / {cell.delta1:.3f}" if cell else "not there" for cell in cells]
        sys.stdout.write(f"{name:24}" + "".join(f"{text:>18}" for text in texts) + "\n")


if __name__ == "__main__":
    main()
