# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the largest errors per stage as JSON. Exit 0: all within the tolerance; 1: not; 2: the set cannot be run.

python -m tests.parity NETWORK FOLDER [--device cpu] [--tolerance 1e-4]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..bench import checkout  # noqa: F401 (first: it names the package)
from .compare import TABLE, TOLERANCE, compared


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=sorted(TABLE))
    parser.add_argument("folder", type=Path, help="with checkpoint/, inputs.npz and reference.npz")
    parser.add_argument("--device", default="cpu", help="a torch device")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="largest relative error (default 1e-4)")
    wishes = parser.parse_args()
    try:
        report = compared(wishes.network, wishes.folder, wishes.device, wishes.tolerance)
    except (OSError, ValueError) as error:
        print(f"{wishes.folder} cannot be run: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
