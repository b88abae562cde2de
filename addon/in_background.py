# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by a Blender without a window, or by a Python with the module bpy: `... in_background.py -- RESULTS` makes the
asset library of a batch's results. The add-on need not be enabled there. Writes "library: 100 of 300" for each file.
"""

import importlib
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """The last word of the command line is the folder."""
    package = types.ModuleType("image_to_3d")
    package.__path__ = [str(ROOT)]
    sys.modules.setdefault("image_to_3d", package)
    library = importlib.import_module("image_to_3d.addon.ui.library")
    for told in library.build(Path(sys.argv[-1])):
        sys.stdout.write(f"library: {told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
