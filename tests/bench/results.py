# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what is sold as closed, by every network that needs no download and with every preset, for
tests/blender/test_results.py; what is there already stays.

    python tests/bench/results.py FOLDER [--photos FOLDER ...] [--cache FOLDER]
    IMAGE_TO_3D_RESULTS=FOLDER python -m pytest tests/blender/test_results.py

--photos: a folder with photos of one thing, or a transforms.json of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import checkout

EXAMPLES = checkout.ROOT / "docs" / "examples"
PRESETS = ("fast", "balanced", "high")


def wishes(photos: list[Path]) -> Iterator[tuple[str, list[str | Path]]]:
    """A name, and the worker's arguments, of each result but for the preset."""
    yield "object", [EXAMPLES / "robot.png", "--model", "included-object"]
    for seed in (0, 3):
        yield f"generator{seed}", [EXAMPLES / "robot.png", "--model", "included-generator", "--set", f"seed={seed}"]
    for picture in ("room.jpg", "street.jpg", "table.jpg", "robot.png"):
        yield f"solid-{picture[:-4]}", [EXAMPLES / picture, "--model", "included", "--set", "solid=true"]
    for folder in photos:
        yield f"photos-{folder.name}", [folder, "--model", "photos"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--cache", type=Path, help="what was learned is kept there")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    kept = ["--cache", asked.cache.resolve()] if asked.cache else ["--no-cache"]
    for preset in PRESETS:
        for name, arguments in wishes([path.resolve() for path in asked.photos]):
            output = asked.folder.resolve() / f"{name}-{preset}.glb"
            if not output.exists():
                command = [sys.executable, "-m", "worker", "generate", *arguments, "--preset", preset, *kept]
                subprocess.run(list(map(str, [*command, "-o", output])), cwd=checkout.ROOT, check=True)


if __name__ == "__main__":
    main()
