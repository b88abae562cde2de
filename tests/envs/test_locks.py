# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks in the repository are what `python3 -m envs lock` promises to write."""

import re

import pytest
from image_to_3d.envs.relock import PLATFORMS
from image_to_3d.envs.specs import BLENDERS, input_path, lock_path, spec


def pins(name: str, platform: str) -> dict[str, str]:
    text = lock_path(name, platform).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def wishes(name: str) -> set[str]:
    lines = input_path(name).read_text(encoding="utf-8").splitlines()
    return {re.match(r"[a-z-]+", line)[0] for line in lines if line and not line.startswith("#") and ";" not in line}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_has_all_packages_and_the_tests_use_the_same_versions(platform):
    core, test = pins("core", platform), pins("test", platform)
    assert wishes("core") <= core.keys()
    assert wishes("core") | wishes("test") <= test.keys()
    assert core.items() <= test.items()


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", ["core", "test"])
def test_every_package_is_pinned_by_version_and_hash(name, platform):
    text = lock_path(name, platform).read_text(encoding="utf-8")
    joined = text.replace("\\\n", " ")
    for line in filter(None, joined.splitlines()):
        assert line.startswith("#") or re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("platform", PLATFORMS)
def test_torch_and_what_only_its_cuda_build_needs_are_not_locked(platform):
    assert not [each for each in pins("test", platform) if each.startswith(("torch", "nvidia", "cuda", "triton"))]


@pytest.mark.parametrize("version", BLENDERS)
def test_blenders_module_is_installed_in_one_exact_version(version):
    assert f"\nbpy=={BLENDERS[version]}\n" in spec(f"blender-{version}").text
