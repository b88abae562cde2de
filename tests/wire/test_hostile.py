# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker itself, given lines and names that no add-on of ours sends: each request has its one answer, and closing
its stdin ends it."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue

import pytest
from image_to_3d.worker.wire import protocol

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0
HUGE = "1" + "0" * 400


@pytest.fixture
def worker(tmp_path):
    variables = {**os.environ, "IMAGE_TO_3D_HOME": str(tmp_path / "home")}
    with open(tmp_path / "stderr", "wb") as log:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=ROOT, env=variables, stdin=pipe, stdout=pipe, stderr=log
        )
        process.lines = Queue()
        threading.Thread(target=lambda: [process.lines.put(line) for line in process.stdout], daemon=True).start()
        send(process, request(1, "initialize", version=protocol.VERSION))
        assert "result" in answer(process)
        yield process
        process.kill()
        process.wait(LIMIT)


def request(id: int, method: str, **params) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def send(process, line: str | bytes) -> None:
    process.stdin.write((line.encode() if isinstance(line, str) else line) + b"\n")
    process.stdin.flush()


def answer(process) -> dict:
    while "method" in (message := json.loads(process.lines.get(timeout=LIMIT))):
        pass
    return message


def assert_alive_and_ends(process) -> None:
    send(process, request(99, "networks/unload"))
    assert answer(process)["id"] == 99
    process.stdin.close()
    assert process.wait(8.0) == 0


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"stage":"x","progress":'
        + HUGE
        + "}}",
        f'{{"jsonrpc":"2.0","id":{HUGE},"method":"catalogue"}}',
        '{"jsonrpc":"2.0","id":5,"method":"generate","params":{"pictures":["a"],"output":"o.glb","preset":"fast",'
        '"options":{"\\ud800":[]}}}',
        '{"jsonrpc":"2.0","id":5,"method":"select","params":{"pictures":["a"],"options":{"faces":NaN}}}',
        '{"jsonrpc":"2.0","id":5,"method":"select","params":{"pictures":["a"],"options":{"faces":1e999}}}',
        f'{{"jsonrpc":"2.0","id":5,"method":"select","params":{{"pictures":["a"],"options":{{"faces":{HUGE}}}}}}}',
        '{"jsonrpc":"2.0","id":5,"method":"\\ud800"}',
        '{"jsonrpc":"2.0","id":5,"method":"' + "x" * 500_000 + '"}',
        b'{"jsonrpc":"2.0","id":5,"method":"\xff"}',
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 1000,
        b"[" * 200_000,
        b"9" * 10_000,
        b"",
    ],
)
def test_whatever_a_line_holds_it_has_one_answer_and_the_reader_lives(worker, line):
    send(worker, line)
    assert len(answer(worker)["error"]["message"]) < 2500
    assert_alive_and_ends(worker)


@pytest.mark.parametrize(
    "name, said",
    [
        ("/none/b\udcffd.jpg", "there is no file"),
        ("\ud800", "no file can be called"),
        ("a\0b.png", "no file can be called"),
        ("/" + "x" * 5000, "longer than a file's can be"),
        ("", "empty name"),
        ("/dev/null/x.png", None),
    ],
)
@pytest.mark.parametrize("where", ["pictures", "output", "previews"])
def test_names_that_no_file_can_have_are_one_sentence(worker, name, said, where):
    params = {
        "pictures": [str(ROOT / "docs" / "examples" / "robot.png")],
        "output": "/tmp/none/a.glb",
        "preset": "fast",
    }
    params |= {where: [name] if where == "pictures" else name}
    send(worker, request(5, "generate", **params))
    error = answer(worker)["error"]
    assert error["code"] in (protocol.ErrorCode.FAILED, protocol.ErrorCode.INVALID_PARAMS), error
    assert error["message"].isprintable() and "unexpected" not in error["message"]
    if said and where == "pictures":
        params["output"] = "/tmp/a.glb"
        send(worker, request(6, "generate", **params))
        assert said in answer(worker)["error"]["message"]
    assert_alive_and_ends(worker)


def test_a_picture_whose_name_is_not_utf_8_is_read(worker, tmp_path):
    name = os.fsdecode(os.fsencode(str(tmp_path)) + b"/b\xffd.png")
    try:
        Path(name).write_bytes((ROOT / "docs" / "examples" / "robot.png").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    params = {"pictures": [name], "output": str(tmp_path / "a.glb"), "preset": "fast", "network": "included-object"}
    send(worker, request(5, "generate", **params, options={"texture": 256}))
    found = answer(worker)["result"]
    assert found["provenance"]["pictures"] == [name] and found["name"].isprintable()
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"
    send(worker, request(6, "history"))
    assert answer(worker)["result"]["entries"][0]["name"] == found["name"]
    assert_alive_and_ends(worker)


def test_somebody_who_reads_nothing_cannot_keep_the_worker(tmp_path):
    with open(tmp_path / "stderr", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        for _ in range(30_000):  # far more than a pipe holds
            process.stdin.write(b"nonsense\n")
        process.stdin.close()
        began = time.monotonic()
        try:
            assert process.wait(30.0) == 0
        finally:
            process.kill()
        assert time.monotonic() - began < 30.0


@pytest.mark.skipif(os.name == "nt", reason="modes and links")
@pytest.mark.parametrize("kind", ["read-only", "folder"])
def test_an_output_that_must_not_be_written_is_refused_at_once(worker, tmp_path, kind):
    out = tmp_path / "a.glb"
    out.mkdir() if kind == "folder" else (out.write_bytes(b"old"), out.chmod(0o444))
    send(worker, request(5, "generate", pictures=["/none.png"], output=str(out), preset="fast"))
    assert kind in answer(worker)["error"]["message"]
