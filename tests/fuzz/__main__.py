# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries many damaged inputs, the same ones for the same seed, and counts what came of them.

    python -m tests.fuzz pictures [--count 10000] [--seed 0]

Each kind is a file beside this one with a function `run(count, seed, folder) -> Counts`; see `counting`. Exits with 1
where anything but a result or one sentence came out, or it took too long.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: E402, F401 - makes the checkout importable

HERE = Path(__file__).parent
OTHERS = ("__init__", "__main__", "counting", "odd")
KINDS = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in OTHERS and not path.stem.startswith("test_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as folder:
        counts = importlib.import_module(arguments.kind).run(arguments.count, arguments.seed, Path(folder))
    print(counts.told())
    return 0 if counts.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
