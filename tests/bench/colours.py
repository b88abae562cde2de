# SPDX-License-Identifier: GPL-3.0-or-later
"""How far known patches are from what they are in sRGB, in 255ths, for every space, depth and format: a table.

python tests/bench/colours.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "pictures")]
import conftest  # noqa: E402, F401 - makes the checkout importable
import ideal  # noqa: E402
from colour_files import CELLS, Missing, written  # noqa: E402
from colours import PATCHES, SPACES, worst  # noqa: E402
from test_colour_table import NEAR, patches, shown  # noqa: E402


def main() -> None:
    print("| format, told by | bits |", " | ".join(SPACES), "|")
    print("| --- | --- |" + " --- |" * len(SPACES))
    ours: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for (kind, how), (spaces, depths) in CELLS.items():
            for bits in depths:
                told = (Path(folder), kind, how, bits, ours)
                cells = [_off(space, *told) if space in spaces else "" for space in SPACES]
                print(f"| {kind}, {how} | {bits} |", " | ".join(cells), "|")
    print(f"farthest of all from what an ideal decoder shows: {max(ours):.1f}")


def _off(space: str, folder: Path, kind: str, how: str, bits: int, ours: list[float]) -> str:
    """A cell; of more than 3 also what an ideal decoder is off by. ours: what ours is off from that, added to."""
    path = folder / f"p.{kind}"
    path.unlink(missing_ok=True)
    try:
        written(path, kind, how, space, bits)
    except Missing:
        return "?"
    rgb, best = shown(path), ideal.shown(path, space, bits)
    ours.append(float(np.abs(ideal.middles(rgb) - best).max()))
    off, least = worst(rgb, patches(space, bits)), np.abs(best - PATCHES)[list(patches(space, bits))].max()
    return f"{off} ({least:.1f})" if off > NEAR else str(off)


if __name__ == "__main__":
    main()
