# SPDX-License-Identifier: GPL-3.0-or-later
"""How far known patches are from what they are in sRGB, in 255ths, for every space, depth and format: a table.

python tests/bench/colours.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "pictures")]
import conftest  # noqa: E402, F401 - makes the checkout importable
from colour_files import CELLS, Missing, written  # noqa: E402
from colours import SPACES, worst  # noqa: E402
from test_colour_table import patches, shown  # noqa: E402


def main() -> None:
    print("| format, told by | bits |", " | ".join(SPACES), "|")
    print("| --- | --- |" + " --- |" * len(SPACES))
    with tempfile.TemporaryDirectory() as folder:
        for (kind, how), (spaces, depths) in CELLS.items():
            for bits in depths:
                cells = [_off(Path(folder), kind, how, space, bits) if space in spaces else "" for space in SPACES]
                print(f"| {kind}, {how} | {bits} |", " | ".join(cells), "|")


def _off(folder: Path, kind: str, how: str, space: str, bits: int) -> str:
    path = folder / f"p.{kind}"
    path.unlink(missing_ok=True)
    try:
        written(path, kind, how, space, bits)
    except Missing:
        return "?"
    return str(worst(shown(path), patches(space, bits)))


if __name__ == "__main__":
    main()
