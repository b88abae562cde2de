# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks in the repository are what `python3 -m tests.locking` promises to write."""

import re
import tomllib
from pathlib import Path

import pytest
from image_to_3d.envs import specs
from image_to_3d.envs.specs import BLENDERS, input_path, lock_path, spec
from image_to_3d.tests.locking.relock import INPUTS, PLATFORMS

ROOT = Path(__file__).resolve().parents[2]
CUDA = re.compile(r"torch|torchvision|torchaudio|triton|(nvidia|cuda)-.*")


def pins(name: str, platform: str) -> dict[str, str]:
    text = lock_path(name, platform).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def wishes(name: str) -> set[str]:
    lines = input_path(name).read_text(encoding="utf-8").splitlines()
    return {re.match(r"[a-z-]+", line)[0] for line in lines if line and not line.startswith("#") and ";" not in line}


def listed(name: str) -> set[str]:
    """The packages that a file beside the specs lists, one per line."""
    lines = (input_path("core").with_name(name)).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def blocks(name: str, platform: str) -> list[str]:
    """One entry of a lock per item, its hashes with it."""
    text = lock_path(name, platform).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_has_all_packages_and_the_tests_use_the_same_versions(platform):
    core, test, nerf = pins("core", platform), pins("test", platform), pins("nerf", platform)
    assert wishes("core") <= core.keys()
    assert wishes("core") | wishes("test") <= test.keys()
    assert wishes("nerf") <= nerf.keys()
    assert core.items() <= test.items()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_both_environments_of_the_worker_have_is_of_one_version(platform):
    """So that one cache serves both, and that the worker's code meets one numpy."""
    core, nerf = pins("core", platform), pins("nerf", platform)
    assert {name: nerf[name] for name in core.keys() & nerf} == {name: core[name] for name in core.keys() & nerf}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_cameras_can_be_found_wherever_pycolmap_has_a_wheel(platform, monkeypatch):
    monkeypatch.setattr(specs, "platform_name", lambda: platform)
    assert ("pycolmap" in pins("nerf", platform)) == (platform != "linux-arm64")
    assert ("pycolmap" in spec("nerf").imports) == (platform != "linux-arm64")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_that_was_left_out_on_purpose_comes_back(platform):
    assert not pins("nerf", platform).keys() & listed("nerf.excludes")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", INPUTS)
def test_every_package_is_pinned_by_version_and_hash(name, platform):
    for block in blocks(name, platform):
        assert re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", INPUTS)
def test_torch_and_what_only_its_cuda_build_needs_are_not_locked(name, platform):
    assert not [each for each in pins(name, platform) if CUDA.fullmatch(each)]


@pytest.mark.parametrize("name", ["core", "nerf"])
def test_an_environment_has_a_lock_for_every_platform_and_says_what_it_is(name):
    assert all(lock_path(name, platform).is_file() for platform in PLATFORMS)
    wanted = spec(name)
    assert wanted.worker and wanted.torch and wanted.label and wanted.licence and "\n" not in wanted.licence
    assert wanted.exact == (name == "nerf")


def test_every_environment_can_be_asked_for_by_its_name():
    assert [spec(name).name for name in specs.names()] == list(specs.names())


def test_the_making_of_locks_is_not_shipped():
    excluded = tomllib.loads((ROOT / "blender_manifest.toml").read_text())["build"]["paths_exclude_pattern"]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert "/tests/" in excluded
    assert not [each for each in packages if "tests" in each or not ROOT.joinpath(*each.split(".")[1:]).is_dir()]
    assert not list((ROOT / "envs").rglob("*lock*.py"))


@pytest.mark.parametrize("version", BLENDERS)
def test_blenders_module_is_installed_in_one_exact_version(version):
    assert f"\nbpy=={BLENDERS[version]}\n" in spec(f"blender-{version}").text


def test_blenders_module_gets_the_python_that_it_has_wheels_for():
    pythons = {version: spec(f"blender-{version}").pythons for version in BLENDERS}
    new = dict.fromkeys(("5.1", "5.2", "5.3"), ("3.13",))
    assert pythons == dict.fromkeys(("4.2", "4.5", "5.0"), ("3.11",)) | new
