# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing this makes the checkout importable as `image_to_3d`, for scripts of this folder, which have no conftest."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if "image_to_3d" not in sys.modules:
    sys.modules["image_to_3d"] = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location(
            "image_to_3d", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
    )
