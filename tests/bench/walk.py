# SPDX-License-Identifier: GPL-3.0-or-later
"""Reliefs walked around: what one sees 12 and 25 degrees beside the photo's own place, against the truth.

    python tests/bench/walk.py [--only NAME ...] [--out FOLDER] [--cache FOLDER] [--preset balanced]

Twelve scenes that the project renders itself, none of those that networks learn from; five have things close by before
what is far. Each is photographed, made a relief of with its *true* depth and with the *included* network's, and both
are looked at from the photo's place and from 12 and 25 degrees to either side. Per scene and depth:

at 0       PSNR in dB of the picture from the photo's own place, against the photo
holes      per cent of the picture at 25 degrees in which nothing is seen, though a sheet without any cut would cover it
           and what is there lies in the photo's field: what is truly there, or with the network's depth the farther of
           the surfaces that end at the hole, going on
at 25      PSNR against the true picture there, of what the photo saw; as "at 0" of pictures blurred by a pixel, since
           the true ones have one ray for each
rubber     per cent of the first surface seen at 25 degrees that is farther than 2 % from any true one
behind     the same of the second surface, by 10 %: it is a guess
SSIM 12    structural similarity (Wang et al. 2004) to the true picture at 12 degrees of all that lies in the photo's
           field, and in brackets that of a flat card with the photo at the scene's middle distance: the lower bar
seconds    of the processor for all but the network

A line of medians, and how many scenes meet each bar, follow. --out: a sheet per scene, truth above results.
"""

from __future__ import annotations

import argparse
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import checkout  # noqa: F401 - first: it names the package
import numpy as np
from image_to_3d.tests.render import Rendered, Shape, photo_view, render, swung_view
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.core.view import PinholeCamera
from image_to_3d.worker.core.view import View as Photo
from image_to_3d.worker.finish.asset import Asset
from image_to_3d.worker.finish.depth_map import finished
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.depth import Options, estimator
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.select import settings
from image_to_3d.worker.training import interiors, outdoors, stills
from image_to_3d.worker.training.render import Camera, Renderer
from image_to_3d.worker.training.scenes import draw_camera
from image_to_3d.worker.training.textures import PatternBank
from PIL import Image
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT = 1024, 768
SEEN = (640, 480)
"""Pixels of the photo, and of the pictures from beside it."""

ANGLES = (0.0, -12.0, 12.0, -25.0, 25.0)
SCENES = {
    "room 1": (interiors.room, (0, 4)),
    "room 2": (interiors.room, (1, 5)),
    "corridor": (interiors.corridor, (2, 2)),
    "landscape": (outdoors.landscape, (4, 7)),
    "meadow": (outdoors.meadow, (5, 5)),
    "table": (stills.tabletop, (6, 2)),
    "close up": (stills.close_up, (8, 4)),
    "street": (outdoors.street, (3, 2)),
    "cyclist": (outdoors.meadow, (5, 6)),
    "portrait": (stills.portrait, (7, 1)),
    "vase": (stills.indoor_creature, (9, 7)),
    "bird": (stills.studio, (10, 8)),
}
"""Name: the family, and where its random numbers begin. Of the last five something stands close before what is far."""

_SEED = 1607  # no scene that a network learns from begins with it
_SAME = 0.015  # of its depth: what is no farther apart was seen by the photo
_NOTHING = (255, 0, 255)


@dataclass(frozen=True, eq=False)
class Truth:
    """One scene: photos (H, W, 3) uint8 and depths (H, W) metres, inf for sky, by angle; fov: degrees. pivot: metres
    before the photo's camera, around which one walks."""

    photos: dict[float, np.ndarray]
    depths: dict[float, np.ndarray]
    fov: float
    pivot: float

    def camera(self, angle: float) -> PinholeCamera:
        """Of that picture's pixels."""
        height, width = self.depths[angle].shape
        return PinholeCamera.from_fov(width, height, self.fov)


def truths(name: str, cache: Path | None) -> Truth:
    """The scene rendered, or read from the cache's folder."""
    kept = cache / f"{name.replace(' ', '-')}.pickle" if cache else None
    if kept and kept.is_file():
        return Truth(**pickle.loads(kept.read_bytes()))
    truth = _rendered(name)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(vars(truth)))  # whichever program it is read by
    return truth


def _rendered(name: str) -> Truth:
    family, start = SCENES[name]
    rng = np.random.default_rng([_SEED, *start])
    scene, cameras = family(rng, PatternBank(_SEED))
    renderer = Renderer(scene)
    camera = draw_camera(renderer, cameras, rng, False, tries=50)
    if camera is None:
        raise SystemExit(f"{name}: no camera sees this scene; choose another number")
    depth, _ = renderer.glance(camera, HEIGHT // 4, WIDTH // 4)
    pivot = float(np.median(depth[np.isfinite(depth)]))
    sizes = {angle: SEEN[::-1] if angle else (HEIGHT, WIDTH) for angle in ANGLES}
    views = {angle: renderer.view(walked(camera, pivot, angle), *sizes[angle], rng) for angle in ANGLES}
    bright = np.quantile(views[0.0].colour.max(-1), 0.95)
    photos = {angle: _developed(view.colour / bright) for angle, view in views.items()}
    return Truth(photos, {angle: view.depth for angle, view in views.items()}, camera.fov_degrees, pivot)


def walked(camera: Camera, pivot: float, angle: float) -> Camera:
    """The camera carried around what lies `pivot` before it, to the right for positive degrees."""
    right, down, forward = camera.axes
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    axes = np.stack([cosine * right + sine * forward, down, cosine * forward - sine * right])
    return Camera(camera.position + pivot * (forward - axes[2]), axes, camera.fov_degrees)


def _developed(light: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of linear light."""
    return np.rint(255.0 * np.clip(light, 0.0, 1.0) ** (1 / 2.2)).astype(np.uint8)


def true_depth(truth: Truth) -> DepthMap:
    """What a network that is never wrong would say."""
    depth = truth.depths[0.0]
    inverse = np.where(np.isfinite(depth), 1.0 / depth, 0.0).astype(np.float32)
    return DepthMap(inverse, True, np.isfinite(depth), Photo(truth.camera(0.0), rgb=truth.photos[0.0]))


def included_depth() -> estimator.SceneEstimator:
    _, network = with_network("included")
    return estimator.load(network, network.file, "cpu")


def made(depth_map: DepthMap, preset: str, **chosen: object) -> tuple[Asset, float]:
    """The relief, and the processor's seconds."""
    options, start = settings(with_network("included")[0], preset, chosen).finish, time.process_time()
    return finished(depth_map, options, Job(lambda *_: None)), time.process_time() - start


class Walk:
    """A relief looked at from beside the photo's place, around the same point as the truth: the unit of a depth that
    knows none is that in which the median of its ratio to the true one is 1."""

    def __init__(self, asset: Asset, truth: Truth):
        mesh, [info] = asset.mesh, asset.cameras
        self.shape = Shape(mesh.vertices, mesh.faces, mesh.uv, mesh.texture)
        self.camera = PinholeCamera.from_fov(*SEEN, info.fov_degrees)
        self.start = photo_view(self.camera, np.array(info.position))
        self.front = render(self.shape, self.start)
        depth = np.asarray(Image.fromarray(truth.depths[0.0]).resize(SEEN, Image.Resampling.NEAREST))
        ratio = (self.front.depth / depth)[np.isfinite(depth)]
        self.distance = truth.pivot * float(np.nanmedian(ratio))

    def at(self, angle: float, shape: Shape | None = None, **how: float) -> Rendered:
        """The picture there."""
        pivot = self.start.position - (0.0, 0.0, self.distance)
        return render(shape or self.shape, swung_view(self.start, pivot, angle), _NOTHING, **how)


def moved(depth: np.ndarray, camera: PinholeCamera, pivot: float, start: float, end: float) -> tuple[np.ndarray, ...]:
    """Columns, rows (in pixels) and depth, in the view at angle `end`, of each point of a depth map at `start`."""
    y, x = (np.indices(depth.shape) + 0.5) * (camera.height / depth.shape[0])
    with np.errstate(invalid="ignore"):
        point = np.stack([(x - camera.cx) / camera.fx * depth, (y - camera.cy) / camera.fy * depth, depth - pivot])
    turn = np.radians(end - start)
    across = np.cos(turn) * point[0] + np.sin(turn) * point[2]
    away = np.cos(turn) * point[2] - np.sin(turn) * point[0] + pivot
    with np.errstate(divide="ignore", invalid="ignore"):
        return across / away * camera.fx + camera.cx, point[1] / away * camera.fy + camera.cy, away


def looked_up(values: np.ndarray, x: np.ndarray, y: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """Values (h, w) at places in the camera's pixels, NaN beyond the picture."""
    with np.errstate(invalid="ignore"):
        column = np.floor(x / camera.width * values.shape[1])
        row = np.floor(y / camera.height * values.shape[0])
        inside = (column >= 0) & (column < values.shape[1]) & (row >= 0) & (row < values.shape[0])
    found = np.full(x.shape, np.nan)
    found[inside] = values[row[inside].astype(int), column[inside].astype(int)]
    return found


def in_field(truth: Truth, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the true picture there (h, w) bool: what lies in the photo's field, and what of it the photo saw."""
    camera, far = truth.camera(angle), np.where(np.isfinite(truth.depths[angle]), truth.depths[angle], 1e5)
    x, y, away = moved(far, camera, truth.pivot, angle, 0.0)
    seen = looked_up(np.where(np.isfinite(truth.depths[0.0]), truth.depths[0.0], 1e5), x, y, camera)
    with np.errstate(invalid="ignore"):
        return (~np.isnan(seen)) & (away > 0), np.abs(seen - away) <= _SAME * away


def own_field(walk: Walk, depth: np.ndarray, angle: float) -> np.ndarray:
    """Of a relief's depth map there (h, w) bool: where the farther surface beside a hole lies in the photo's field."""
    beside = []
    for each in (depth, depth[:, ::-1]):
        last = np.maximum.accumulate(np.where(np.isnan(each), 0, np.arange(each.shape[1])), axis=1)
        beside.append(np.take_along_axis(each, last, axis=1))
    filled = np.fmax(beside[0], beside[1][:, ::-1])
    camera = walk.camera
    x, y, away = moved(filled, camera, walk.distance, angle, 0.0)
    with np.errstate(invalid="ignore"):
        return (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (away > 0)


def near_truth(depth: np.ndarray, truth: Truth, angle: float, share: float) -> np.ndarray:
    """(h, w) bool, which of a relief's points at that angle lie on a true surface that one of the pictures shows."""
    found, camera = np.zeros(depth.shape, bool), truth.camera(angle)
    ahead = moved(depth, camera, truth.pivot, angle, 0.0)[2]
    backdrop = ahead >= 0.98 * np.nanmax(ahead)  # it is as far as a relief goes: that is its sky
    for other in ANGLES:
        x, y, away = moved(depth, camera, truth.pivot, angle, other)
        pixel = camera.width / truth.depths[other].shape[1]
        for down, right in np.ndindex(3, 3):
            there = looked_up(truth.depths[other], x + (right - 1) * pixel, y + (down - 1) * pixel, camera)
            with np.errstate(invalid="ignore"):
                found |= np.where(np.isinf(there), backdrop, np.abs(there - away) <= share * away)
    return found


def ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(h, w) structural similarity of the lightness of two pictures, with the usual window of 1.5 pixels."""
    a, b = (each.astype(np.float64) @ (0.299, 0.587, 0.114) for each in (one, other))
    mean_a, mean_b = gaussian_filter(a, 1.5), gaussian_filter(b, 1.5)
    var_a, var_b = gaussian_filter(a * a, 1.5) - mean_a**2, gaussian_filter(b * b, 1.5) - mean_b**2
    both = gaussian_filter(a * b, 1.5) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


@dataclass(frozen=True)
class Row:
    """What is said of one scene and depth; see the head of this file. NaN where it is not asked."""

    front: float
    holes: float
    aside: float
    rubber: float
    behind: float
    alike: float
    card: float
    seconds: float


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    """Peak signal to noise ratio in dB of two uint8 pictures there, both blurred by a pixel."""
    error = gaussian_filter(one.astype(np.float32) - other, (1.0, 1.0, 0.0))[where] ** 2
    return float(10.0 * np.log10(255.0**2 / max(error.mean(), 1e-12)))


def flat_card(truth: Truth) -> Asset:
    """The photo on a card at the scene's middle distance."""
    photo = truth.photos[0.0]
    level = np.full(photo.shape[:2], 1.0 / truth.pivot, np.float32)
    view = Photo(truth.camera(0.0), rgb=photo)
    return made(DepthMap(level, True, np.ones(level.shape, bool), view), "fast")[0]


def measured(truth: Truth, depth_map: DepthMap, preset: str, exact: bool) -> tuple[Row, dict[float, np.ndarray]]:
    """The row, and the pictures by angle; those of the clay stand at 100 degrees more."""
    asset, seconds = made(depth_map, preset)
    walk = Walk(asset, truth)
    sheet = Walk(made(depth_map, "fast", cut=False, behind=False)[0], truth)
    seen = {angle: walk.at(angle) for angle in ANGLES}
    photo = Image.fromarray(truth.photos[0.0]).resize(SEEN, Image.Resampling.BOX)
    front = psnr(seen[0.0].colour, np.asarray(photo), np.ones(SEEN[::-1], bool))
    holes, aside, rubber, behind = [], [], [], []
    for angle in (-25.0, 25.0):
        depth, uncut = seen[angle].depth, sheet.at(angle).depth
        gaps, (field, saw) = np.isnan(depth) & ~np.isnan(uncut), in_field(truth, angle)
        holes.append(100 * (gaps & (field if exact else own_field(walk, depth, angle))).mean())
        if not exact:
            continue
        aside.append(psnr(seen[angle].colour, truth.photos[angle], saw))
        depth = depth[1::2, 1::2]
        x, y, away = moved(depth, truth.camera(angle), truth.pivot, angle, 0.0)
        with np.errstate(invalid="ignore"):
            first = away <= looked_up(walk.front.depth, x, y, truth.camera(angle)) * 1.01
        second = ~first & ~np.isnan(depth)
        rubber.append(100 * (first & ~near_truth(depth, truth, angle, 0.02)).mean())
        behind.append(100 * (second & ~near_truth(depth, truth, angle, 0.1)).mean())
    card = Walk(flat_card(truth), truth)
    alike, flat = ([], [])
    for angle in (-12.0, 12.0):
        field, _ = in_field(truth, angle)
        alike.append(ssim(seen[angle].colour, truth.photos[angle])[field].mean())
        flat.append(ssim(card.at(angle).colour, truth.photos[angle])[field].mean())
    means = [float(np.mean(each)) if each else np.nan for each in (holes, aside, rubber, behind, alike, flat)]
    bare = Shape(walk.shape.vertices, walk.shape.faces)
    clay = {angle + 100.0: walk.at(angle, shape=bare, shading=1.0).colour for angle in (0.0, 12.0, 25.0)}
    return Row(front, *means, seconds), {angle: each.colour for angle, each in seen.items()} | clay


def told(name: str, kind: str, row: Row) -> None:
    """One line of the table."""
    numbers = f"{row.front:6.1f} {row.holes:7.2f} {row.aside:7.1f} {row.rubber:7.2f} {row.behind:7.2f}"
    print(f"{name:10} {kind:9}{numbers}   {row.alike:.3f} ({row.card:.3f}) {row.seconds:6.2f}", flush=True)


def sheet_of(truth: Truth, pictures: list[dict[float, np.ndarray]]) -> np.ndarray:
    """Truth above the results, from the left to the right, and clay beside."""
    shown = sorted(ANGLES)
    top = [np.asarray(Image.fromarray(truth.photos[angle]).resize(SEEN)) for angle in shown]
    rows = [np.concatenate([*top, *[np.full_like(top[0], 255)] * 3], axis=1)]
    rows += [np.concatenate([each[angle] for angle in (*shown, 100.0, 112.0, 125.0)], axis=1) for each in pictures]
    return np.concatenate(rows)[::2, ::2]


def verdict(rows: dict[str, list[Row]]) -> None:
    """The medians, and how many scenes meet the bars."""
    for kind, found in rows.items():
        median = Row(*(float(np.median([getattr(row, name) for row in found])) for name in Row.__dataclass_fields__))
        told("median", kind, median)
    exact, own = rows["true"], rows["included"]
    count = len(exact)
    bars = {
        "holes at 25 of 0.5 % at most": [sum(row.holes <= 0.5 for row in each) for each in (exact, own)],
        "24 dB at 25 with true depth": [sum(row.aside >= 24 for row in exact)],
        "rubber of 1 % at most with true depth": [sum(row.rubber <= 1 for row in exact)],
        "more alike than a flat card": [sum(row.alike > row.card for row in each) for each in (exact, own)],
    }
    for bar, met in bars.items():
        print(f"{bar}: {', '.join(f'{number} of {count}' for number in met)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--cache", type=Path, help="folder in which rendered scenes are kept")
    parser.add_argument("--out", type=Path, help="folder for a sheet per scene")
    arguments = parser.parse_args()
    network, rows = included_depth(), {"true": [], "included": []}
    print("scene      depth      at 0   holes   at 25  rubber  behind   SSIM 12 (card) seconds")
    for name in arguments.only:
        truth = truths(name, arguments.cache)
        picture = Picture(truth.photos[0.0], None, None, "", name)
        pictures = []
        for kind, depth_map in (("true", true_depth(truth)), ("included", network(picture, Options(), lambda: None))):
            row, seen = measured(truth, depth_map, arguments.preset, kind == "true")
            told(name, kind, row)
            rows[kind].append(row)
            pictures.append(seen)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sheet_of(truth, pictures)).save(arguments.out / f"{name.replace(' ', '-')}.jpg", quality=90)
    verdict(rows)


if __name__ == "__main__":
    main()
