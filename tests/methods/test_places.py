# SPDX-License-Identifier: GPL-3.0-or-later
"""What "auto" means is told without torch only where it is certain."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from image_to_3d.tests.methods.depth import tiny_moge
from image_to_3d.worker.methods.runtime import devices, places
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "build, platform, driver, certain",
    [
        ("2.9.0+cpu", "linux", True, True),
        ("2.9.0+cpu.cxx11.abi", "linux", True, True),
        ("2.9.0+cpu", "win32", True, True),
        ("2.9.0+cu128", "linux", False, True),
        ("2.9.0+cu128", "win32", False, True),
        ("2.9.0+cu128", "linux", True, False),
        ("2.9.0+rocm6.4", "linux", False, False),
        ("2.9.0", "linux", False, False),
        ("2.9.0", "darwin", False, False),
        (None, "linux", False, False),
    ],
)
def test_auto_is_surely_the_processor_where_the_build_or_the_driver_says_so(
    monkeypatch, build, platform, driver, certain
):
    def version(name: str) -> str:
        if build is None:
            raise metadata.PackageNotFoundError(name)
        return build

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(places.sys, "platform", platform)
    monkeypatch.setattr(places, "_has_driver", lambda: driver)
    assert places._is_surely_cpu() is certain


def test_a_torch_that_is_there_already_is_asked(monkeypatch):
    assert "torch" in sys.modules
    monkeypatch.setattr(places, "_is_surely_cpu", lambda: True)
    monkeypatch.setattr(devices, "pick", lambda name: f"the device of {name}")
    assert places.named("auto") == "the device of auto" and places.named("cpu") == "cpu"


@pytest.mark.skipif(not metadata.version("torch").partition("+")[2].startswith("cpu"), reason="a torch for cards")
def test_what_comes_from_the_cache_is_served_without_torch(tmp_path):
    Image.linear_gradient("L").save(tmp_path / "p.png")
    tiny_moge.write(tmp_path / "weights" / "moge-2")
    code = "import sys; from worker.cli import main; code = main(sys.argv[1:]); print('torch' in sys.modules, code)"
    command = [sys.executable, "-c", code, "generate", tmp_path / "p.png", "-o", tmp_path / "p.glb"]
    command += ["--cache", tmp_path / "cache", "--preset", "fast", "--set", "faces=500", "--json"]
    command += ["--weights", tmp_path / "weights", "--model", "moge-2"]
    said = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200).stdout.splitlines()[-1]
        for _ in range(2)
    ]
    assert said == ["True 0", "False 0"]
