# SPDX-License-Identifier: GPL-3.0-or-later
import shutil
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pipeline.generate import Machine, generate
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.wire import protocol
from image_to_3d.worker.wire.making import GenerateParams, GenerateResult
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo of all sorts of things: neither cut out nor before a plain background."""
    rows, columns = np.mgrid[:90, :120]
    rgb = np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def thing(tmp_path) -> Path:
    """A disc that is cut out."""
    rows, columns = np.mgrid[:96, :96] - 48
    inside = rows**2 + columns**2 < 30**2
    rgba = np.dstack([np.full((96, 96, 3), (200, 80, 30), np.uint8), np.uint8(255) * inside])
    Image.fromarray(rgba).save(tmp_path / "thing.png")
    return tmp_path / "thing.png"


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(WeightStore(tmp_path / "weights"), tmp_path / "results", "cpu")


@pytest.fixture
def make(tmp_path, machine):
    """Makes a small GLB of a picture; `job` is what happened to it."""

    def made(picture: Path, job: Job | None = None, machine: Machine = machine, **more) -> GenerateResult:
        options = {"faces": 500, "texture": 64, **more.pop("options", {})}
        params = GenerateParams((str(picture),), str(tmp_path / "out.glb"), "fast", options=options, **more)
        return protocol.read(GenerateResult, generate(params, machine, job or Job(lambda *_: None)))

    return made


@pytest.fixture(scope="session")
def copy_of_the_worker(tmp_path_factory):
    """A fresh copy of worker/ to be changed, in a folder that a process can be started in."""

    def copied() -> Path:
        folder = tmp_path_factory.mktemp("copy")
        shutil.copytree(ROOT / "worker", folder / "worker", ignore=shutil.ignore_patterns("__pycache__", "training"))
        return folder

    return copied
