# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the thing in a photo is cut out: against masks of a large network, and against true alphas.

`python tests/bench/matte.py [--weights FILE] [--sheet FILE]`. Three sets: photos with the masks that the full U-2-Net
gives for them (which are themselves a network's, at 320 pixels: only agreement); cut-outs with their true alpha laid
over busy photos, and over plain backdrops with a gradient and noise, all as JPEG. Busy mixtures in which the network
takes another thing for the subject (IoU below 0.8) are counted and left out of the means, which are about outlines.
The data are looked up in the folder that IMAGE_TO_3D_SHARED names, else in `shared` beside the checkout; they are for
measuring only.
"""

import argparse
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import checkout  # first: it names the package
import numpy as np
from image_to_3d.worker.methods.matting import matte, saliency
from image_to_3d.worker.pictures import edges
from image_to_3d.worker.pictures.load import Picture, load
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image
from scipy import ndimage

CUT_OUTS = (
    "instantmesh_bulldog.png",
    "instantmesh_chair_armed.png",
    "instantmesh_extinguisher.png",
    "triposr_flamingo.png",
    "triposr_horse.png",
)
BUSY = ("moge_01_HouseIndoor.jpg", "moge_05_Mountain.jpg", "skimage_coffee.jpg", "depth_anything_v2_demo07.jpg")
BACKDROPS = ((255, 255, 255), (200, 205, 210), (40, 45, 50), (120, 170, 90))
CELL = 240

Method = Callable[[Picture], np.ndarray | None]  # alpha (H, W) in [0, 1], or None where it cannot say


@dataclass(frozen=True)
class Sample:
    picture: Picture
    alpha: np.ndarray  # (H, W) float32, what is right


def shared_folder() -> Path:
    """Where the measuring data lie. Raises SystemExit with a reason when they do not."""
    folder = Path(os.environ.get("IMAGE_TO_3D_SHARED", checkout.ROOT.parent / "shared"))
    if not (folder / "data" / "matting").is_dir():
        raise SystemExit(f"no photos with masks in {folder}: set IMAGE_TO_3D_SHARED to the folder that holds data")
    return folder


def photos(folder: Path) -> Iterator[Sample]:
    for path in sorted((folder / "matting" / "photos").glob("*.jpg")):
        picture = load(path)
        mask = Image.open(folder / "matting" / "masks" / f"{path.stem}.png").convert("L")
        mask = mask.resize(picture.rgb.shape[1::-1], Image.Resampling.BOX)
        yield Sample(picture, np.asarray(mask, np.float32) / 255)


def mixtures(folder: Path, plainly: bool) -> Iterator[Sample]:
    """Each cut-out over each background."""
    random = np.random.default_rng(0)
    for name in CUT_OUTS:
        rgba = _with_margin(np.asarray(Image.open(folder / "photos" / name).convert("RGBA")))
        height, width = rgba.shape[:2]
        share = rgba[..., 3].astype(np.float32) / 255
        for background in BACKDROPS if plainly else BUSY:
            if plainly:
                uneven = np.linspace(-4, 4, height)[:, None, None] + random.normal(0, 2, (height, width, 1))
                behind = np.clip(np.array(background) + uneven, 0, 255)
            else:
                behind = _covering(Image.open(folder / "photos" / background).convert("RGB"), height, width)
            mixed = rgba[..., :3] * share[..., None] + behind * (1 - share[..., None])
            yield Sample(Picture(_as_jpeg(np.rint(mixed).astype(np.uint8)), None, None, "", name), share)


def _with_margin(rgba: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(rgba[..., 3].any(1)), np.flatnonzero(rgba[..., 3].any(0))
    inner = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    margin = round(0.12 * max(inner.shape))
    return np.pad(inner, ((margin, margin), (margin, margin), (0, 0)))


def _covering(image: Image.Image, height: int, width: int) -> np.ndarray:
    scale = max(height / image.height, width / image.width)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))[:height, :width]


def _as_jpeg(rgb: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def methods(weights: WeightStore) -> dict[str, Method]:
    """Each row's name and method."""
    network, none = saliency.installed(weights), WeightStore(Path("nowhere"))

    def key(picture: Picture) -> np.ndarray | None:
        return None if picture.background is None else 1.0 - picture.background

    def soft_key(picture: Picture) -> np.ndarray | None:
        return None if picture.background is None else matte.subject_alpha(picture, none, "") / 255

    def raw(picture: Picture) -> np.ndarray:
        small = Image.fromarray(saliency.matte(network, weights, picture.rgb))
        return np.clip(small.resize(picture.rgb.shape[1::-1], Image.Resampling.BICUBIC), 0, 1)

    def fine(picture: Picture) -> np.ndarray:
        return edges.refined(saliency.matte(network, weights, picture.rgb), picture.rgb)

    def whole(picture: Picture) -> np.ndarray:
        return matte.subject_alpha(picture, weights, "") / 255

    return {
        "plain key": key,
        "plain key, soft outline": soft_key,
        f"{network.name} raw": raw,
        f"{network.name} refined": fine,
        "as the program does": whole,
    }


def scores(alpha: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """IoU of what is more than half the thing's, mean absolute error, and the same within 6 pixels of the outline."""
    found, wanted = alpha > 0.5, true > 0.5
    near = ndimage.binary_dilation((true > 0.02) & (true < 0.98), iterations=6)
    error = np.abs(alpha - true)
    return (found & wanted).sum() / max((found | wanted).sum(), 1), error.mean(), error[near].mean()


def row(method: Method, samples: list[Sample]) -> str:
    values, times = [], []
    for sample in samples:
        sample.picture.background  # noqa: B018 - known from loading, so not part of the method's time
        started = time.perf_counter()
        alpha = method(sample.picture)
        times.append(time.perf_counter() - started)
        if alpha is None:
            return "not plain | | | |"
        values.append(scores(alpha, sample.alpha))
    mean = np.mean(values, axis=0)
    return f"{mean[0]:.3f} | {mean[1]:.4f} | {mean[2]:.4f} | {np.median(times):.2f} |"


def sheet(samples: list[Sample], weights: WeightStore) -> Image.Image:
    """Photo, cut-out on chequers and alpha of each sample, to look at."""
    whole = Image.new("RGB", (3 * CELL * 2, CELL * -(-len(samples) // 2)), "white")
    for index, sample in enumerate(samples):
        cut = matte.without_background(sample.picture, weights, "")
        height, width = cut.alpha.shape
        rows, columns = np.mgrid[:height, :width] // 12
        chequers = np.where(((rows + columns) % 2)[..., None], (255, 120, 220), (90, 220, 120))
        share = cut.alpha[..., None] / 255
        shown = np.uint8(cut.rgb * share + chequers * (1 - share))
        for place, cell in enumerate((sample.picture.rgb, shown, cut.alpha)):
            small = Image.fromarray(cell).convert("RGB")
            small.thumbnail((CELL - 4, CELL - 4), Image.Resampling.LANCZOS)
            whole.paste(small, ((index % 2 * 3 + place) * CELL, index // 2 * CELL))
    return whole


def main() -> None:
    """Print the tables, and write the contact sheet if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="the network's ONNX file, named as published")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="the contact sheet to write")
    options = parser.parse_args()
    data = shared_folder() / "data"
    file = options.weights or data / "weights" / "u2netp.onnx"
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, file.stem)
        folder.mkdir()
        shutil.copyfile(file, folder / file.name)
        weights = WeightStore(Path(root))
        rows = methods(weights)
        sets = {
            "photos, against masks of the full U-2-Net": list(photos(data)),
            "cut-outs over plain backdrops": list(mixtures(data, plainly=True)),
            "cut-outs over busy photos": list(mixtures(data, plainly=False)),
        }
        for title, samples in sets.items():
            kept = samples
            if title.endswith("busy photos"):
                name = next(name for name in rows if name.endswith("raw"))
                kept = [each for each in samples if scores(rows[name](each.picture), each.alpha)[0] > 0.8]
            sys.stdout.write(f"\n{len(kept)} of {len(samples)} {title}\n\n")
            sys.stdout.write("| | IoU | error | error at the outline | seconds |\n| --- | --- | --- | --- | --- |\n")
            for name, method in rows.items():
                sys.stdout.write(f"| {name} | {row(method, kept)}\n")
                sys.stdout.flush()
        if options.sheet:
            sheet([each for samples in sets.values() for each in samples], weights).save(options.sheet, quality=85)


if __name__ == "__main__":
    main()
