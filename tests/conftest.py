# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the package `image_to_3d`, whatever its folder is called."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the worker sets it: on a busy machine spinning threads crawl

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the terminal's first work would fetch what comes with the set-up

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and what they start, ignore it

ROOT = Path(__file__).resolve().parent.parent


def _name_the_checkout() -> None:
    spec = importlib.util.spec_from_file_location(
        "image_to_3d", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["image_to_3d"] = package
    spec.loader.exec_module(package)


if "image_to_3d" not in sys.modules:
    _name_the_checkout()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real photos and measured depth, which not every checkout has beside it."""
    folder = Path(os.environ.get("IMAGE_TO_3D_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the folder of shared test data is not here (IMAGE_TO_3D_SHARED)")
    return folder
