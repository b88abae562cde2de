# SPDX-License-Identifier: GPL-3.0-or-later
"""Every method's path on CUDA and on Metal, without either: a device that holds the CPU's numbers and refuses what the
real one refuses. The tool lies among the shared test data and is built with a C++ compiler; without both, skipped."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from image_to_3d.envs.places import default_root
from image_to_3d.envs.running import process_environment
from image_to_3d.envs.states import status
from image_to_3d.worker.methods import all_methods

CHILD = Path(__file__).with_name("on_pretended.py")
LIMIT = 300.0
pytestmark = pytest.mark.timeout(600)  # the first imports on a busy machine take minutes


@pytest.fixture(scope="session")
def tool(shared, tmp_path_factory) -> Path:
    """The folder of the tool, built."""
    source = shared / "tools" / "pretend_device"
    if not (source / "pretend.py").is_file() or not shutil.which("g++"):
        pytest.skip("the pretended device is not here, or no C++ compiler")
    folder = tmp_path_factory.mktemp("pretended")
    for name in ("pretend.py", "guard.cpp"):
        shutil.copy(source / name, folder)
    if not built(folder, Path(importlib.util.find_spec("torch").origin).parent, folder / "guard.so"):
        pytest.skip("the pretended device could not be built")
    return folder


def built(tool: Path, torch: Path, library: Path) -> bool:
    """Whether the tool's library could be built for the package torch in that folder."""
    libraries = [f"-L{torch / 'lib'}", "-lc10", "-ltorch_cpu"]
    options = ["-std=c++20", "-shared", "-fPIC", f"-I{torch / 'include'}"]
    command = ["g++", *options, str(tool / "guard.cpp"), "-o", str(library), *libraries]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Tiny networks of random weights for all that are downloaded."""
    from image_to_3d.tests.methods.depth import tiny_moge
    from image_to_3d.tests.methods.triposg import tiny as triposg
    from image_to_3d.tests.methods.triposr import tiny as triposr

    root = tmp_path_factory.mktemp("weights")
    tiny_moge.write(root / "moge-2")
    triposr.write(root / "triposr")
    (root / "triposg").mkdir()
    triposg.write(root / "triposg", shards=2)
    (root / "detailgen3d").mkdir()
    triposg.write(root / "detailgen3d", triposg.TINY_DETAIL)
    if importlib.util.find_spec("diffusers"):
        from image_to_3d.tests.methods.shap_e import tiny as shap_e

        (root / "shap-e").mkdir()
        shap_e.write(root / "shap-e")
        from image_to_3d.tests.methods.repaint import tiny as klein

        klein.write(root / "flux2-klein")
    return root


@pytest.fixture(scope="session")
def ran(tool, weights):
    def run(kind: str, what: str) -> dict:
        variables = {**os.environ, "GUARD": str(tool / "guard.so"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(CHILD), str(tool), kind, what, str(weights)]
        done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=LIMIT)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


NETWORKS = "moge-2", "triposr", "triposg", "shap-e"
NETWORKS += "views-included", "hybrid-included", "hybrid-triposg", "hybrid-detailgen3d"
SMALL = "included", "included-object", "included-generator"  # which run on the processor
LEARNED = "photos", "nerfacto", "neus-facto", "splats"
SAME = "moge-2-base", "moge-2-large", "depth-anything-v2-small"  # by the code that runs another of the list
KINDS = pytest.mark.parametrize("kind", ["cuda", "mps"])


def test_every_methods_networks_are_tried_there():
    offered = [network.name for method in all_methods() for network in method.networks]
    assert sorted(offered) == sorted((*NETWORKS, *SMALL, *LEARNED, *SAME))


@KINDS
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_runs_there_and_gives_its_memory_back(ran, kind, network):
    if network == "shap-e" and not importlib.util.find_spec("diffusers"):
        pytest.skip("diffusers is not installed")
    found = ran(kind, network)
    assert found["finite"] and found["peak"] > 0
    assert found["alive"] < 0.1 * found["peak"] + 1e5


@KINDS
@pytest.mark.parametrize("network", ["triposg", "detailgen3d"])
def test_a_coarse_shape_is_refined_there_guided_by_what_was_seen(ran, kind, network):
    found = ran(kind, f"refined {network}")
    assert found["finite"] and found["peak"] > 0
    assert found["alive"] < 0.1 * found["peak"] + 1e5


@KINDS
@pytest.mark.parametrize("way", ["whole", "by blocks"])
def test_a_render_is_painted_anew_there(ran, kind, way):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    found = ran(kind, f"repainted {way}")
    assert found["finite"] and found["peak"] > 0
    assert found["alive"] < 0.1 * found["peak"] + 1e5


@KINDS
@pytest.mark.parametrize("network", SMALL)
def test_a_network_that_ships_runs_where_another_device_is_chosen_and_leaves_it_alone(ran, kind, network):
    found = ran(kind, network)
    assert found["finite"] and found["peak"] == 0


@KINDS
def test_photos_are_learned_there_with_previews_from_the_same_random_numbers(ran, kind):
    found = ran(kind, "photos")
    assert found["previews"] > 0 and found["psnr"] > 5.0
    assert found["difference"] < 0.05  # rounding alone


@KINDS
def test_splats_are_learned_there_as_they_are_here(ran, kind):
    found = ran(kind, "splats")
    assert found["psnr"] > 15.0 and found["peak"] > 0 and found["count"] > 100
    assert found["alive"] < 0.1 * found["peak"] + 1e5


@KINDS
@pytest.mark.parametrize("engine", ["nerfacto", "neus-facto"])
def test_an_engine_of_nerfstudio_learns_there(tool, weights, tmp_path, kind, engine):
    python = status(default_root(), "nerf").python
    if python is None:
        pytest.skip("the environment nerf is not here: make it with `python3 -m envs create nerf`")
    find = "import importlib.util; print(importlib.util.find_spec('torch').submodule_search_locations[0])"
    torch = Path(subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.strip())
    shutil.copy(tool / "pretend.py", tmp_path)
    if not built(tool, torch, tmp_path / "guard.so"):
        pytest.skip("the pretended device could not be built")
    variables = {**process_environment(default_root(), "nerf"), "GUARD": str(tmp_path / "guard.so")}
    command = [str(python), "-W", "ignore", str(CHILD), str(tmp_path), kind, engine, str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["finite"] and found["psnr"] > 10.0 and found["peak"] > 0


@KINDS
def test_pictures_are_reduced_to_sizes_that_do_not_divide(ran, kind):
    assert ran(kind, "pool")["shape"] == [7, 5, 3]


@KINDS
def test_too_little_memory_is_told_before(ran, kind):
    found = ran(kind, "refused")
    assert f"the memory of {kind}" in found["message"] and "preset" not in found["message"] and found["free"] > 0


@KINDS
def test_full_memory_is_told_and_what_is_cached_given_back(ran, kind):
    found = ran(kind, "full")
    assert f"the memory of {kind} is too small for this" in found["message"] and found["free"] > 0
    assert found["calls"].get(f"{kind}.empty_cache", 0) >= 1
