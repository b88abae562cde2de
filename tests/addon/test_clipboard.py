# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture in the clipboard, as other programs give it."""

import sys

import pytest
from image_to_3d.addon.session import clipboard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Blender sees it")


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Makes a shell script the only program there is that gives the clipboard's picture."""

    def make(script: str) -> None:
        path = tmp_path / "xclip"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(clipboard, "COMMANDS", clipboard.COMMANDS[1:])

    return make


def test_a_picture_becomes_a_file(program, tmp_path):
    program(r"printf '\211PNG\r\n\032\nrest'")
    path = clipboard.picture(tmp_path)
    assert path.suffix == ".png" and path.read_bytes() == clipboard.PNG + b"rest" and not clipboard.missing()


@pytest.mark.parametrize("script", ["echo Error: target image/png not available >&2; exit 1", "echo words", "sleep 60"])
def test_without_a_picture_there_is_none(program, tmp_path, monkeypatch, script):
    monkeypatch.setattr(clipboard, "PATIENCE", 0.3)
    program(script)
    assert clipboard.picture(tmp_path) is None and not list(tmp_path.glob("*.png"))


def test_it_is_said_what_has_to_be_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert clipboard.picture(tmp_path) is None and "xclip" in clipboard.missing()
