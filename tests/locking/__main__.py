# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.locking``, from the root of a checkout."""

import argparse
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _name_the_checkout() -> None:
    """Makes the checkout importable as the package `image_to_3d`, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(
        "image_to_3d", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["image_to_3d"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["image_to_3d"])


def main() -> int:
    """Writes the locks of the platforms that are named, or of all; returns the exit code."""
    _name_the_checkout()
    from image_to_3d.envs.errors import EnvironmentProblem
    from image_to_3d.envs.places import default_root
    from image_to_3d.envs.progress import Terminal
    from image_to_3d.tests.locking.relock import PLATFORMS, relock

    parser = argparse.ArgumentParser(prog="python3 -m tests.locking", description=relock.__doc__)
    parser.add_argument("platforms", nargs="*", metavar="platform", help=", ".join(PLATFORMS))
    parser.add_argument("--root", type=Path, default=default_root(), help="folder for caches (default: %(default)s)")
    options = parser.parse_args()
    try:
        for path in relock(options.root.absolute(), options.platforms or PLATFORMS, Terminal(sys.stderr)):
            sys.stdout.write(f"{path}\n")
    except EnvironmentProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
