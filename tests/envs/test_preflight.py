# SPDX-License-Identifier: GPL-3.0-or-later
import os
import shutil
import site
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
from image_to_3d.envs import specs
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine import preflight
from image_to_3d.envs.machine.host import System, this_system, why_not
from image_to_3d.envs.machine.preflight import MARGIN, examine, findings, path_length
from image_to_3d.envs.places import Places
from image_to_3d.envs.sizes import Need
from image_to_3d.envs.specs import Spec

GB = 1_000_000_000
NEED = Need(GB, 3 * GB, 80)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(tmp_path / "not" / "made yet")


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free on every disk."""

    def set_free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100 * GB, 0, count))

    return set_free


def found(name: str, places: Places, need: Need = NEED) -> preflight.Finding:
    return {each.name: each for each in findings(places, need, "core")}[name]


# --- space ---


def test_enough_space_is_told_with_numbers(places, free):
    free(40 * GB)
    assert found("space", places) == preflight.Finding("space", True, "core needs 3.3 GB, and 40.0 GB are free")


def test_too_little_space_says_how_much_and_where_to_free_it(places, free):
    free(3 * GB)
    with pytest.raises(
        EnvironmentProblem, match="core needs 3.3 GB on the disk of .*, where 3.0 GB are free: free 300 MB"
    ) as caught:
        examine(places, NEED, "core")
    assert caught.value.kind == "space"


def test_a_need_that_is_estimated_is_called_so(places, free):
    free(0)
    assert "needs about 3.3 GB" in found("space", places, Need(GB, 3 * GB, 80, estimated=True)).text


def test_where_files_cannot_have_two_names_everything_is_there_twice(places, free, monkeypatch):
    def refuse(*paths):
        raise OSError("no links on this file system")

    free(4 * GB)
    assert found("space", places).ok
    monkeypatch.setattr(os, "link", refuse)
    assert "needs 6.3 GB" in found("space", places).text


def test_a_cache_on_another_disk_needs_its_space_there(tmp_path, free):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no second disk here")
    places = Places(tmp_path)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        places.cache.parent.mkdir()
        places.cache.symlink_to(other)
        free(3 * GB)  # enough for the environment, not for uv's cache
        assert f"needs 3.3 GB on the disk of {places.cache}" in found("space", places).text
        free(2 * GB)
        assert not found("space", places).ok


def unpack(cache: Path, package: str, size: int) -> None:
    """A package as it lies in uv's cache."""
    info = cache / "archive-v0" / package / f"{package}.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text(f'"{package}/a,b.py",sha256=abc,{size}\n{package}.dist-info/RECORD,,\n')


def test_packages_that_lie_in_the_cache_need_no_more_space(tmp_path, monkeypatch, free):
    lock = tmp_path / "lock.txt"
    lock.write_text("Tiny_Thing==1.0 \\\n    --hash=sha256:abc\nother==2.0\n")
    monkeypatch.setitem(specs.TABLE, "tiny", lambda: Spec("tiny", "Tiny", lock, (), torch=True))
    places = Places(tmp_path / "root")
    for package in ("tiny_thing-1.0", "other-1.9", f"torch-{specs.TORCH}+cpu", "torch-1.0", "nvidia_cudnn_cu13-9.20"):
        unpack(places.cache, package, GB)
    assert preflight.reusable(places, "tiny") == pytest.approx(3 * GB, rel=0.001)
    free(2 * GB)
    assert all(each.ok for each in findings(places, Need(GB, 4 * GB, 3), "tiny"))


def test_a_damaged_cache_counts_for_nothing(tmp_path, monkeypatch):
    lock = tmp_path / "lock.txt"
    lock.write_text("tiny==1.0\n")
    monkeypatch.setitem(specs.TABLE, "tiny", lambda: Spec("tiny", "Tiny", lock, (), torch=False))
    places = Places(tmp_path / "root")
    unpack(places.cache, "tiny-1.0", GB)
    (places.cache / "archive-v0/tiny-1.0/tiny-1.0.dist-info/RECORD").write_bytes(b"\xff\xfe,,3")
    assert preflight.reusable(places, "tiny") == 0


# --- folders ---


def test_a_folder_that_is_not_there_yet_is_looked_for_above_and_not_made(places):
    assert found("folder", places).ok
    assert not places.root.parent.exists()


def test_nothing_is_left_behind(tmp_path):
    findings(Places(tmp_path), NEED, "core")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    told = found("folder", Places(tmp_path / "file" / "root"))
    assert not told.ok and str(tmp_path / "file") in told.text


@pytest.mark.skipif(sys.platform != "linux", reason="takes /proc for a folder that nobody can write, not even root")
def test_a_folder_that_cannot_be_written_is_told_before_anything_else():
    with pytest.raises(
        EnvironmentProblem, match="the folder /proc cannot be written .*: choose another folder"
    ) as caught:
        examine(Places(Path("/proc/image_to_3d")), NEED, "core")
    assert caught.value.kind == "permission"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not hold for root")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert not found("folder", Places(tmp_path)).ok
    finally:
        tmp_path.chmod(0o700)


# --- the length of paths ---


@pytest.mark.parametrize(
    ("root", "allowed", "ok"),
    [
        ("C:\\image_to_3d", False, True),
        ("C:\\Users\\christopher.robinson\\AppData\\Local\\image_to_3d", False, True),
        ("C:\\" + "long" * 25, False, False),
        ("C:\\" + "long" * 25, True, True),
    ],
)
def test_a_long_path_is_found_on_windows(root, allowed, ok):
    finding = path_length(Path(root), "core", allowed)
    assert finding.ok is ok
    assert ok or "choose one of at most 93 characters" in finding.text


def test_no_module_that_is_installed_is_longer_than_reckoned():
    folder = next((Path(each) for each in site.getsitepackages() if Path(each, "torch").is_dir()), None)
    if folder is None:
        pytest.skip("runs in an environment with torch")
    below = len(str(folder)) + 1
    lengths = [
        len(os.path.join(where, name)) - below
        for where, _, names in os.walk(folder)
        for name in names
        if name.endswith((".py", ".so", ".pyd", ".dll", ".json"))
    ]
    assert max(lengths) <= preflight.LONGEST_MODULE


# --- systems ---

LINUX = System("linux-x86_64", glibc=(2, 36))


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (LINUX, None),
        (System("linux-arm64", glibc=(2, 28)), None),
        (System("windows-x86_64"), None),
        (System("macos-arm64", macos=(14, 0)), None),
        (System("linux-x86_64", glibc=(2, 17)), "glibc 2.17 of this Linux is too old"),
        (System("linux-x86_64", musl=True), "musl in place of glibc"),
        (System("linux-x86_64", bits=32, glibc=(2, 36)), "32-bit one"),
        (System("windows-x86_64", bits=32), "32-bit one"),
        (System("linux-i686", bits=32, glibc=(2, 36)), "no packages for this kind of machine (linux-i686)"),
        (System("linux-armv7l", bits=32), "no packages for this kind of machine"),
        (System("freebsd14-x86_64"), "no packages for this kind of machine"),
        (System("windows-arm64"), "Windows on ARM"),
        (System("macos-x86_64", macos=(15, 1)), "Macs with an Intel processor"),
        (
            System("macos-x86_64", macos=(15, 1), translated=True),
            "runs translated: use the Blender or Python for Apple",
        ),
        (System("macos-arm64", macos=(13, 6, 1)), "macOS 13.6.1 is too old for torch: update macOS to 14"),
    ],
    ids=str,
)
def test_a_system_without_packages_is_told_why_and_what_to_do(system, said):
    assert said in why_not(system) if said else why_not(system) is None


def test_this_system_is_told_as_it_is():
    system = this_system()
    assert system.platform == specs.platform_name()
    assert system.bits in (32, 64)
    assert (system.glibc is not None) == (sys.platform == "linux" and not system.musl)


def test_a_system_that_does_not_fit_comes_first(places):
    first = findings(places, Need(GB, 3 * GB, 80), "core", System("macos-x86_64"))[0]
    assert (first.name, first.ok) == ("system", False)


def test_an_environment_without_a_lock_says_what_is_wrong_with_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr("image_to_3d.envs.machine.host.this_system", lambda: System("windows-arm64"))
    with pytest.raises(EnvironmentProblem, match="Windows on ARM") as caught:
        Spec("core", "Core", tmp_path / "none.txt", (), torch=True).text  # noqa: B018
    assert caught.value.kind == "architecture"


def test_the_margin_is_asked_for_even_if_everything_is_in_the_cache(places, free):
    free(MARGIN - 1)
    assert not found("space", places, Need(0, 0, 80)).ok
