# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that ship: they need no torch, obey how many threads are allowed, and damaged files are told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import OutOfMemory, Unable
from image_to_3d.worker.methods import all_methods
from image_to_3d.worker.methods.depth.included import averaged, load
from image_to_3d.worker.methods.layers import generator_network
from image_to_3d.worker.methods.layers.generator_network import GRIDS, interpolation
from image_to_3d.worker.methods.method import INCLUDED, _digest
from image_to_3d.worker.methods.runtime import memory, sessions
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [(method, row) for method in all_methods() for row in method.networks if row.small]
EACH = pytest.mark.parametrize("method, row", SHIPPED, ids=[row.name for _, row in SHIPPED])


def test_all_weights_that_ship_are_of_small_networks():
    assert {row.file for _, row in SHIPPED} == set(INCLUDED.glob("*.safetensors"))


@pytest.mark.parametrize("photo, model", [("robot.png", "depth"), ("table.jpg", "depth"), ("robot.png", "diffusion")])
def test_a_file_is_made_without_torch(tmp_path, photo, model):
    script = (
        "import sys; from worker.cli import main; code = main(sys.argv[1:]);"
        "import json; print(json.dumps([code, sorted(sys.modules)]), file=open(sys.argv[4] + '.json', 'w'))"
    )
    command = ["generate", f"docs/examples/{photo}", "-o", tmp_path / "out.glb", "--preset", "fast", "--included"]
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", script, *command, "--model", model], cwd=ROOT, env=variables, check=True, timeout=100
    )
    code, modules = json.loads((tmp_path / "out.glb.json").read_text())
    assert code == 0 and (tmp_path / "out.glb").is_file()
    assert not {"torch", "transformers", "diffusers"} & set(modules)


def damaged(file: Path, folder: Path, how: str) -> Path:
    """A copy of the weights with that damage; the regression of a generator lies beside it."""
    copy = folder / file.name
    (folder / generator_network.REGRESSION_FILE).write_bytes((INCLUDED / "object.safetensors").read_bytes())
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, tensors = json.loads(content[8 : 8 + length])["__metadata__"], load_file(file)
    name = next(name for name in sorted(tensors) if name.endswith("levels.3.0.0.weight"))
    if how == "cut off":
        copy.write_bytes(content[: len(content) // 2])
        return copy
    if how == "another network":
        header["network"] = "Another"
    elif how == "a tensor is missing":
        del tensors[name]
    elif how == "a tensor of another shape":
        tensors[name] = tensors[name][:, 1:].copy()
    else:
        header["config"] = header["config"].replace("blocks", "bricks")
    save_file(tensors, copy, header)
    return copy


@EACH
@pytest.mark.parametrize("how", ["cut off", "another network", "a tensor is missing", "a tensor of another shape",
                                 "another configuration"])  # fmt: skip
def test_a_damaged_file_is_told_in_one_sentence_with_what_to_do(method, row, how, tmp_path):
    file = damaged(row.file, tmp_path, how)
    with pytest.raises(Unable, match=f"{file.name} cannot be loaded: .*install the product again") as caught:
        method.module().load(row, file, "cpu")
    assert "\n" not in str(caught.value)


def test_full_memory_is_told(monkeypatch):
    network = load(INCLUDED / "depth.safetensors")

    class Full:
        def get_inputs(self):
            return network.session.inner.get_inputs()

        def run(self, *_):
            from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

            raise RuntimeException("Failed to allocate memory for requested buffer of size 1")

    with pytest.raises(OutOfMemory, match="computer's memory is too small"), memory.guard("cpu"):
        sessions.Session(Full())(np.zeros((1, 5, 16, 16), np.float32))


def test_what_a_graph_does_not_take_is_refused():
    with pytest.raises(ValueError, match="image"):
        load(INCLUDED / "depth.safetensors").session(np.zeros((1, 4, 16, 16), np.float32))
    with pytest.raises(ValueError, match="multiples of 16"):
        load(INCLUDED / "depth.safetensors")(np.zeros((100, 96, 3), np.float32))


@pytest.mark.parametrize("told, expected", [("1", 1), ("3", 3), ("0", None), ("many", None), ("", None)])
def test_as_many_threads_are_used_as_the_user_allows(monkeypatch, told, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert sessions._threads() == (expected or cores)


def scene():
    return load(INCLUDED / "depth.safetensors")(np.random.default_rng(0).random((32, 48, 3), np.float32))


def same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_mirrored_twice_is_what_it_was_and_sideways_normals_turn():
    seen = scene()
    same(seen.mirrored().mirrored(), seen)
    same(seen.mirrored().normal[0], -seen.normal[0, :, ::-1])
    same(seen.mirrored().normal[1:], seen.normal[1:, :, ::-1])


def test_an_average_does_not_mind_the_constant_that_log_depth_lacks():
    seen = scene()
    same(averaged(seen, seen._replace(log_depth=seen.log_depth + 3.0)), seen)


def test_normals_are_of_unit_length_at_any_size():
    same(np.linalg.norm(scene().enlarged(45, 60).normal, axis=0), np.ones((45, 60)))


@pytest.mark.parametrize("grid", GRIDS)
def test_interpolated_noise_has_unit_variance_everywhere(grid):
    assert (interpolation(grid, 64) ** 2).sum(1) == pytest.approx(np.ones(64))


def test_noise_is_the_seeds_and_varies_as_the_mixing_says():
    network = generator_network.load(INCLUDED / "generator.safetensors")
    assert (network.noise(3) == network.noise(3)).all() and np.abs(network.noise(3) - network.noise(4)).mean() > 0.3
    many = np.stack([network.noise(seed) for seed in range(400)])[:, :, 7, 20]
    expected = sum(mixing @ mixing.T for mixing in network.mixing)
    np.testing.assert_allclose(np.cov(many.T), expected, atol=0.2)


def test_weights_that_change_while_the_program_runs_are_other_weights(tmp_path):
    (tmp_path / "w").write_bytes(b"one")
    first = _digest(tmp_path / "w")
    assert _digest(tmp_path / "w") == first
    (tmp_path / "w").write_bytes(b"other")
    assert _digest(tmp_path / "w") != first
