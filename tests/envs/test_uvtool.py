# SPDX-License-Identifier: GPL-3.0-or-later
"""Where uv comes from. The wheels are made here; addresses are files or a server on this machine."""

import base64
import functools
import hashlib
import http.server
import io
import os
import threading
import zipfile
from pathlib import Path

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine.platforms import executable, platform_name
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.uv import uvtool
from image_to_3d.envs.uv.uvtool import UV, WHEELS, Wheel, find_or_fetch


@pytest.fixture
def wheel(monkeypatch) -> tuple[str, bytes]:
    """Name and content of a wheel that is the pinned one in this test."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"uv-{UV}.data/scripts/{executable('uv')}", "the program")
    pinned = Wheel("any", "aa/bb", hashlib.sha256(content.getvalue()).hexdigest())
    monkeypatch.setattr(uvtool, "WHEELS", {platform_name(): pinned})
    monkeypatch.setattr(uvtool, "_FILES", Path("/nonexistent").as_uri())
    monkeypatch.setenv("PATH", os.devnull)
    return pinned.name, content.getvalue()


def put(folder: Path, wheel: tuple[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / wheel[0]).write_bytes(wheel[1])
    return folder


def index(folder: Path, wheel: tuple[str, bytes]) -> Path:
    """A package index in ``folder`` as pip's documentation describes it."""
    put(folder / "files", wheel)
    (folder / "simple" / "uv").mkdir(parents=True)
    page = f'<a href="../../files/{wheel[0]}#sha256=x">{wheel[0]}</a>'
    (folder / "simple" / "uv" / "index.html").write_text(page)
    return folder / "simple"


def test_it_is_taken_from_a_wheelhouse_and_can_be_executed(tmp_path, wheel):
    config = PipConfig(find_links=(str(put(tmp_path / "wheels", wheel)),), no_index=True)
    found = find_or_fetch(tmp_path / "tools", config)
    assert found.read_text() == "the program"
    assert os.access(found, os.X_OK)
    assert {path.name for path in found.parent.iterdir()} == {found.name, "uv.sha256"}


def test_it_is_fetched_once(tmp_path, wheel):
    found = find_or_fetch(tmp_path / "tools", PipConfig(find_links=(str(put(tmp_path / "wheels", wheel)),)))
    assert find_or_fetch(tmp_path / "tools", PipConfig(no_index=True)) == found


@pytest.mark.parametrize("content", [b"", b"the prog", b"the problem"])
def test_a_damaged_one_is_fetched_again(tmp_path, wheel, content):
    config = PipConfig(find_links=(str(put(tmp_path / "wheels", wheel)),))
    find_or_fetch(tmp_path / "tools", config).write_bytes(content)
    assert find_or_fetch(tmp_path / "tools", config).read_text() == "the program"


def test_one_of_which_nothing_is_known_must_at_least_start(tmp_path, wheel):
    config = PipConfig(find_links=(str(put(tmp_path / "wheels", wheel)),))
    found = find_or_fetch(tmp_path / "tools", config)
    found.with_name("uv.sha256").unlink()
    found.write_bytes(b"\x7fELF")
    assert find_or_fetch(tmp_path / "tools", config).read_text() == "the program"


def test_it_is_taken_from_an_extra_index_that_is_a_folder(tmp_path, wheel):
    config = PipConfig(extra_index_urls=("file:///nonexistent/simple", index(tmp_path / "index", wheel).as_uri()))
    assert find_or_fetch(tmp_path / "tools", config).read_text() == "the program"


def test_a_damaged_file_is_not_used_but_another_source_is(tmp_path, wheel):
    damaged = put(tmp_path / "damaged", (wheel[0], wheel[1][:-1]))
    whole = put(tmp_path / "whole", wheel)
    config = PipConfig(find_links=(str(damaged), str(whole)), no_index=True)
    assert find_or_fetch(tmp_path / "tools", config).read_text() == "the program"
    with pytest.raises(EnvironmentProblem, match="damaged"):
        find_or_fetch(tmp_path / "other", PipConfig(find_links=(str(damaged),), no_index=True))
    assert not (tmp_path / "other").exists()


def test_an_index_that_cannot_be_reached_is_named(tmp_path, wheel):
    with pytest.raises(EnvironmentProblem, match=r"http://127.0.0.1:9/simple: \[Errno"):
        find_or_fetch(tmp_path / "tools", PipConfig(index_url="http://127.0.0.1:9/simple"))


def test_without_any_source_the_message_says_what_to_do(tmp_path, wheel):
    with pytest.raises(EnvironmentProblem, match=f"proxy, or put {wheel[0]} in a folder named by PIP_FIND_LINKS"):
        find_or_fetch(tmp_path / "tools", PipConfig())


class Private(http.server.SimpleHTTPRequestHandler):
    """Serves files to who knows the password."""

    def do_GET(self):
        if self.headers["Authorization"] != "Basic " + base64.b64encode(b"me:p@ss").decode():
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def private_index(tmp_path, wheel, monkeypatch):
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    index(tmp_path / "served", wheel)
    handler = functools.partial(Private, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


def test_an_index_that_wants_a_password_gets_it(tmp_path, private_index):
    config = PipConfig(index_url=f"http://me:p%40ss@{private_index}")
    assert find_or_fetch(tmp_path / "tools", config).read_text() == "the program"


def test_a_password_is_never_shown(tmp_path, private_index, wheel):
    (tmp_path / "served" / "files" / wheel[0]).write_bytes(b"not it")
    with pytest.raises(EnvironmentProblem) as problem:
        find_or_fetch(tmp_path / "tools", PipConfig(index_url=f"http://me:p%40ss@{private_index}"))
    assert "p%40ss" not in str(problem.value)
    assert "the file is damaged" in str(problem.value)


@pytest.mark.skipif(os.name != "posix", reason="a shell script plays uv")
@pytest.mark.parametrize(("version", "used"), [(UV, True), ("0.1.0", False), ("9.9.9", False)])
def test_a_uv_on_the_path_is_used_if_it_is_of_the_series_we_test(tmp_path, wheel, monkeypatch, version, used):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_text(f"#!/bin/sh\necho uv {version} abc\n")
    (tmp_path / "bin" / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = find_or_fetch(tmp_path / "tools", PipConfig(find_links=(str(put(tmp_path / "wheels", wheel)),)))
    assert (found == tmp_path / "bin" / "uv") is used


def test_every_supported_platform_has_a_wheel():
    assert WHEELS.keys() >= {"linux-x86_64", "linux-arm64", "windows-x86_64", "macos-arm64"}
    assert all(len(wheel.sha256) == 64 for wheel in WHEELS.values())
