# SPDX-License-Identifier: GPL-3.0-or-later
import io
import json

import pytest
from image_to_3d.envs.progress import Bar, JsonLines, Terminal
from image_to_3d.envs.failures import recognise
from image_to_3d.envs.uvrun import Watch

# What uv 0.13 wrote while it installed, in its order.
UV_SAID = """Using Python 3.11.7 environment at: v
Resolved 46 packages in 315ms
Downloading hf-xet (4.0MiB)
Downloading transformers (12.0MiB)
 Downloaded hf-xet
Downloading torch (1.0GiB)
 Downloaded transformers
Prepared 46 packages in 1.01s
Installed 46 packages in 141ms
 + annotated-doc==0.0.7
"""


def test_the_bar_only_grows():
    stages = ["wait", "uv", "python", "packages", "torch", "verify", "ready"]
    bar = Bar()
    values = [bar.overall(stage, part) for stage in stages for part in (0.0, 0.5, 1.0)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.0, 1.0)


def test_uvs_downloads_become_parts_that_never_go_back():
    told = []
    watch = Watch("packages", "installing", lambda stage, part, message: told.append((part, message)))
    for line in UV_SAID.splitlines(keepends=True):
        watch(line)
    parts = [part for part, message in told]
    assert parts == sorted(parts)
    assert parts[0] == 0.0
    assert told[2] == (pytest.approx(0.9 * 4 / 16), "installing: 4 of 16 MB, fetching transformers")
    assert "16 of 1040 MB, fetching torch" in told[-2][1]
    assert told[-1] == (0.9, "installing: unpacking")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("error: Failed to extract archive\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        ("error: Request failed\n  Caused by: dns error: failed to lookup address", "the network cannot be reached"),
        ("cause: error sending request for url (https://me:secret@proxy.away:80/x)", "proxy.away cannot be reached"),
        ("error: Failed to download `scipy`\n  cause: Hash mismatch for `scipy==1`", "not the one that was locked"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("error: tunnel error: 407 Proxy Authentication Required", "the proxy refused"),
        ("error: failed to create directory: Permission denied (os error 13)", "a folder cannot be written"),
        ("error: No interpreter found for Python 3.11 in search path", "install Python 3.11 or 3.12"),
        ("error: something new at https://me:secret@host/simple", "something new at https://host/simple"),
        ("error: No solution found\n\n  cause: Because a wants b\n  cause: x", "No solution found: Because a wants b"),
        ("Checked 15 packages\nThe package `a` is too old\n", "The package `a` is too old"),
        ("", "said nothing"),
    ],
)
def test_uvs_failures_are_explained(said, means):
    assert means in recognise(said).sentence
    assert "secret" not in recognise(said).sentence


def test_a_program_gets_one_json_object_per_line():
    stream = io.StringIO()
    JsonLines(stream)("torch", 0.5, "half\nway")
    assert json.loads(stream.getvalue()) == {"stage": "torch", "progress": 0.65, "message": "half\nway"}
    assert stream.getvalue().count("\n") == 1


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_redrawn(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = FakeTerminal()
    terminal = Terminal(stream)
    terminal("packages", 0.0, "one")
    terminal("torch", 1.0, "two " * 40)
    terminal.done()
    first, second, last = stream.getvalue().split("\r")[1:]
    assert first.startswith("[##..................]  10%")
    assert max(len(each) for each in (first, second)) <= 60 + len("\x1b[K")
    assert last == "\x1b[K"
    assert "\n" not in stream.getvalue()


def test_a_log_gets_a_line_for_each_new_message():
    stream = io.StringIO()
    terminal = Terminal(stream)
    for part in (0.0, 0.5):
        terminal("torch", part, "fetching")
    terminal.done()
    assert stream.getvalue() == "[ 40%] fetching\n"
