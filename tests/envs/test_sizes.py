# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment needs is known for every platform before anything is downloaded, and says when it is a guess."""

import dataclasses
import functools
import io
import json
import random
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine.builds import CUDA_BUILDS
from image_to_3d.envs.machine.hardware import Hardware
from image_to_3d.envs.machine.torchbuild import TorchBuild, choose
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.sizes import Size, need, pins_in, sizes
from image_to_3d.envs.specs import lock_path, spec
from image_to_3d.tests.locking import weigh as weighing
from image_to_3d.tests.locking import wheels
from image_to_3d.tests.locking.relock import INPUTS, PLATFORMS
from image_to_3d.tests.locking.wheels import Wheel, best, weigh, wheels_in

PYPI = TorchBuild("pypi", "cpu", "")


def build(key: str) -> TorchBuild:
    return dataclasses.replace(PYPI, key=key)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", INPUTS)
def test_the_size_of_every_locked_package_is_known(name, platform):
    locked = pins_in(lock_path(name, platform).read_text(encoding="utf-8"))
    known = sizes(spec(name), None, platform)
    assert known.keys() == locked.keys()
    assert all(size.download > 0 and size.unpacked > 0 and size.files > 0 for size in known.values())
    assert not need(spec(name), None, platform).estimated


@pytest.mark.parametrize("platform", PLATFORMS)
def test_pypis_build_of_torch_is_measured_on_every_platform(platform):
    with_torch, without = (need(spec("core"), each, platform) for each in (PYPI, None))
    assert not with_torch.estimated
    assert with_torch.download > without.download + 100e6
    assert with_torch.disk > without.disk + 400e6
    assert with_torch.packages > without.packages


def test_the_build_for_nvidia_counts_the_libraries_that_it_brings():
    brought = sizes(spec("core"), PYPI, "linux-x86_64").keys() - sizes(spec("core"), None, "linux-x86_64").keys()
    assert {"torch", "triton", "nvidia-cublas", "nvidia-cudnn-cu13"} <= brought
    assert need(spec("core"), PYPI, "linux-x86_64").disk > 4 * need(spec("core"), None, "linux-x86_64").disk


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_build_that_is_in_the_table_of_builds_has_a_size_and_says_that_it_is_a_guess(platform):
    for cuda in (each for each in CUDA_BUILDS if platform in each.compiled):
        found = need(spec("nerf"), build(cuda.key), platform)
        assert found.estimated and found.download > 2e9


def test_the_build_that_a_machine_without_a_card_gets_is_measured():
    bare = Hardware(2, 1 << 33)
    chosen = choose(PipConfig(), bare, "linux-x86_64")
    assert not need(spec("core"), chosen, "linux-x86_64").estimated


def test_a_build_that_nobody_knows_is_taken_to_be_as_big_as_the_largest():
    unknown, known = (need(spec("core"), build(key), "linux-x86_64") for key in ("xpu", "rocm7.2"))
    assert unknown.estimated
    assert unknown.disk == known.disk


def test_a_package_of_unknown_size_is_counted_and_makes_the_rest_a_guess(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("numpy==0.0.1\n")
    wanted = dataclasses.replace(spec("core"), requirements=lock)
    assert need(wanted) == dataclasses.replace(need(wanted), download=0, disk=0, packages=1, estimated=True)


def test_half_a_block_is_added_for_each_file_as_a_disk_does():
    assert Size(1, 10_000, 3).disk == 10_000 + 3 * 2048


# ------------------------------------------------------------------------------------------------ weighing wheels


def offer(*names: str) -> list[Wheel]:
    return [Wheel(name, "https://host/" + name, 1) for name in names]


@pytest.mark.parametrize(
    ("platform", "ending"),
    [
        ("linux-x86_64", "cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"),
        ("linux-arm64", "cp311-abi3-manylinux2014_aarch64.whl"),
        ("windows-x86_64", "cp311-cp311-win_amd64.whl"),
        ("macos-arm64", "cp38-abi3-macosx_11_0_universal2.whl"),
    ],
)
def test_a_platform_gets_the_most_special_wheel_that_runs_on_it(platform, ending):
    wheels_available = offer(
        "a-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "a-1.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        "a-1.0-cp311-cp311-manylinux2014_x86_64.whl",
        "a-1.0-cp311-cp311-manylinux_2_34_x86_64.whl",
        "a-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "a-1.0-cp311-cp311t-manylinux_2_28_x86_64.whl",
        "a-1.0-cp311-abi3-manylinux2014_aarch64.whl",
        "a-1.0-cp38-abi3-manylinux2014_aarch64.whl",
        "a-1.0-cp311-cp311-win_amd64.whl",
        "a-1.0-cp311-cp311-win32.whl",
        "a-1.0-cp38-abi3-macosx_11_0_universal2.whl",
        "a-1.0-cp311-cp311-macosx_15_0_arm64.whl",
        "a-1.0-cp311-cp311-macosx_11_0_x86_64.whl",
        "a-1.0-py3-none-any.whl",
    )
    assert best(wheels_available, platform, "3.11").name == f"a-1.0-{ending}"
    assert best(wheels_available[-1:], platform, "3.11").name == "a-1.0-py3-none-any.whl"


def test_no_wheel_is_found_where_none_fits():
    assert best(offer("a-1.0-cp310-cp310-win_amd64.whl", "a-1.0-py2-none-any.whl"), "windows-x86_64", "3.11") is None


def wheel_of(contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


class Server(HTTPServer):
    """Gives parts of one file, and counts the bytes that it gave."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Part)
        self.content, self.given = content, 0


class Part(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server asks for
        start, end = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = self.server.content[start : end + 1]
        self.server.given += len(part)
        self.send_response(206)
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests' output is for the tests."""


@pytest.fixture
def served(monkeypatch):
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    servers = []

    def serve(content: bytes) -> tuple[Server, Wheel]:
        server = Server(content)
        servers.append(server)
        threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        name = "a-1.0-py3-none-any.whl"
        return server, Wheel(name, f"http://127.0.0.1:{server.server_address[1]}/{name}", len(content))

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_wheel_is_weighed_without_being_fetched(served):
    noise = random.Random(1).randbytes(2_000_000)
    content = wheel_of({"a/": b"", "a/big.so": noise, "a/__init__.py": b"x = 1\n" * 50})
    server, wheel = served(content)
    assert weigh(wheel, PipConfig()) == Size(len(content), 2_000_300, 2)
    assert server.given <= wheels._TAIL


def test_a_wheel_with_a_directory_larger_than_what_is_fetched_at_first_is_weighed_as_well(served, monkeypatch):
    monkeypatch.setattr(wheels, "_TAIL", 300)
    content = wheel_of({f"a/{number}.py": b"1" * number for number in range(100)})
    _, wheel = served(content)
    assert weigh(wheel, PipConfig()) == Size(len(content), 4950, 100)


def test_a_wheel_in_a_folder_is_found_by_package_and_version(tmp_path):
    for name in ("torch-1.0+cpu-cp311-cp311-linux_x86_64.whl", "torch-1.1-cp311-cp311-linux_x86_64.whl"):
        (tmp_path / name).write_bytes(wheel_of({"torch/a.py": b"12345"}))
    (found,) = wheels_in(tmp_path, "torch", "1.0+cpu")
    assert found.version == "1.0+cpu"
    assert weigh(found, PipConfig()).unpacked == 5


# ------------------------------------------------------------------------------------------------ the table of sizes


@pytest.fixture
def index(monkeypatch, tmp_path):
    """An index that has a wheel of everything for any platform, of 10 bytes and 30 unpacked; what was asked for."""
    asked = []

    def wheels_of(package: str, version: str, config: PipConfig) -> list[Wheel]:
        asked.append(package)
        return [Wheel(f"{package}-{version}-py3-none-any.whl", "https://host/", 10)]

    monkeypatch.setattr(wheels, "wheels_of", wheels_of)
    monkeypatch.setattr(wheels, "weigh", lambda wheel, config: Size(wheel.size, 30, 1))
    monkeypatch.setattr(weighing, "PATH", tmp_path / "sizes.json")
    (tmp_path / "sizes.json").write_text("{}")
    return asked


def table(platform: str, locks: str, torch: str = "") -> dict:
    path = weighing.write({platform: weighing.Wanted(locks, torch)}, PipConfig(), lambda message: None)
    return json.loads(path.read_text())


def test_what_a_build_of_torch_brings_is_kept_apart_from_what_is_locked(index):
    written = table("linux-x86_64", "a==1\nb==2\n", "a==1\nnvidia-c==3\n")["linux-x86_64"]
    assert written["packages"] == {"a==1": [10, 30, 1], "b==2": [10, 30, 1]}
    assert written["torch"]["pypi"] == {
        "estimated": False,
        "packages": {"nvidia-c": [10, 30, 1], "torch": [10, 30, 1]},
    }
    assert written["torch"]["cu126"] == {"estimated": True, "packages": {"torch": [20, 60, 2]}}


def test_a_package_that_was_weighed_is_not_weighed_again_and_one_that_is_gone_is_forgotten(index):
    table("macos-arm64", "a==1\nb==2\n")
    index.clear()
    written = table("macos-arm64", "a==1\nb==3\n")["macos-arm64"]
    assert sorted(index) == ["b", "torch"]
    assert written["packages"].keys() == {"a==1", "b==3"}


def test_platforms_that_are_not_asked_for_keep_their_sizes(index):
    before = table("linux-x86_64", "a==1\n")["linux-x86_64"]
    assert table("windows-x86_64", "a==1\n")["linux-x86_64"] == before


def test_a_package_that_the_index_does_not_have_is_named(index, monkeypatch):
    monkeypatch.setattr(wheels, "wheels_of", lambda package, version, config: offer("a-1-cp39-cp39-win32.whl"))
    with pytest.raises(EnvironmentProblem, match="no wheel of torch .* for macos-arm64"):
        table("macos-arm64", "a==1\n")
