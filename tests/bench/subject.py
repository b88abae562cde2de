# SPDX-License-Identifier: GPL-3.0-or-later
"""What `subject: auto` decides of photos, for eyes to judge.

    python tests/bench/subject.py FOLDER_OR_PHOTO ... --weights FOLDER --sheet PICTURE [--doubtful N]

One line for each photo that is not cut out: thing or scene, by the matting network that is in the folder of weights
and, beside it, by the network that ships, with the seconds of either. The sheet shows each photo with both decisions
and the mattes that they were made by; --doubtful: only the N whose decisions lie nearest to the other.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import numpy as np
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.file_types import PICTURES
from image_to_3d.worker.methods.matting import clear
from image_to_3d.worker.pictures.load import Picture, load
from image_to_3d.worker.pipeline.subject import Thing, thing_in
from image_to_3d.worker.store.weights import WeightStore
from PIL import Image, ImageDraw

CELL, COLUMNS = (150, 120), 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--doubtful", type=int, default=0)
    wishes = parser.parse_args()
    stores = WeightStore(wishes.weights), WeightStore(Path("/nowhere"))
    rows = []
    for path in files(wishes.paths):
        try:
            picture = load(path)
        except Unable as error:
            print(f"{path.name}: {error}")
            continue
        if picture.background is None:
            found = [timed(picture, store) for store in stores]
            rows.append((path, [thing for thing, _ in found]))
            print(path.name, *(f"{word(thing)} ({seconds:.2f} s)" for thing, seconds in found), flush=True)
    rows.sort(key=lambda row: doubt(row[1][0]))
    sheet(rows[: wishes.doubtful or None]).save(wishes.sheet)


def files(paths: list[Path]) -> list[Path]:
    inside = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths]
    return [path for each in inside for path in each if path.suffix.lower() in PICTURES]


def timed(picture: Picture, store: WeightStore) -> tuple[Thing | None, float]:
    start = time.process_time()
    return thing_in(picture, store, "cpu"), time.process_time() - start


def word(thing: Thing | None) -> str:
    return "thing" if thing and thing.clear else "scene"


def doubt(thing: Thing | None) -> float:
    """How near the decision is to the other, 0 for as near as can be: the least change of a threshold that turns it."""
    if thing is None:
        return 9.0
    covered = thing.matte >= 0.5
    share = max(float(covered.mean()), 1e-6)
    border = np.concatenate([covered[0], covered[-1], covered[:, 0], covered[:, -1]]).mean()
    unsure = ((thing.matte > clear.DOUBT[0]) & (thing.matte < clear.DOUBT[1])).mean() / share
    ratios = [share / clear.SHARES[0], clear.SHARES[1] / share, clear.UNSURE / max(unsure, 1e-6)]
    ratios += [clear.BORDER / max(float(border), 1e-6), clear.SECOND / max(clear._second(covered), 1e-6)]
    least = min(ratios)
    return abs(float(np.log(least)))


def sheet(rows: list[tuple[Path, list[Thing | None]]]) -> Image.Image:
    width, height = 3 * CELL[0] + 10, CELL[1] + 14
    lines = -(-len(rows) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * width, max(1, lines) * height), "white")
    draw = ImageDraw.Draw(whole)
    for number, (path, things) in enumerate(rows):
        left, top = number % COLUMNS * width, number // COLUMNS * height
        photo = Image.open(path).convert("RGB")
        photo.thumbnail(CELL)
        whole.paste(photo, (left, top + 12))
        draw.text((left, top), f"{path.stem[:22]}: {word(things[0])} / {word(things[1])}", fill="black")
        for place, thing in enumerate(things, 1):
            if thing is not None:
                matte = Image.fromarray(np.uint8(255 * thing.matte)).resize(photo.size)
                whole.paste(matte, (left + place * CELL[0], top + 12))
    return whole


if __name__ == "__main__":
    main()
