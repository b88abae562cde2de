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


@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
@pytest.mark.parametrize(
    "kind, said",
    [
        ("pipe", "not a file"),
        ("link to pipe", "not a file"),
        ("link to itself", "Too many levels"),
        ("link to folder", "is a folder"),
        ("below a file", "there is no folder"),
        ("trailing dots", "should end in .glb"),
        ("trailing space", "'a.glb ' should end in .glb"),
    ],
)
@pytest.mark.parametrize("method", ["generate", "history/fetch"])
def test_outputs_that_are_no_files_are_refused_before_any_work(worker, tmp_path, kind, said, method):
    out = tmp_path / {"trailing dots": "a.glb..", "trailing space": "a.glb "}.get(kind, "a.glb")
    os.mkfifo(tmp_path / "pipe")
    if kind.startswith("link"):
        out.symlink_to({"pipe": tmp_path / "pipe", "itself": out, "folder": tmp_path}[kind.rpartition(" ")[2]])
    elif kind == "pipe":
        os.mkfifo(out)
    elif kind == "below a file":
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "a.glb"
    asked = {"pictures": ["/none.png"], "preset": "fast"} if method == "generate" else {"key": "0" * 40}
    send(worker, request(5, method, output=str(out), **asked))
    assert said in answer(worker)["error"]["message"]
    assert_alive_and_ends(worker)


KEYS = "", "../../x", "0" * 5000, "a\0b", "\ud800", "*", "0" * 40


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_no_result_has_are_one_sentence_and_remove_nothing(worker, tmp_path, key):
    send(worker, request(5, "history/fetch", key=key, output=str(tmp_path / "a.glb")))
    assert "is not kept any more" in answer(worker)["error"]["message"]
    send(worker, request(6, "history/remove", keys=[key, key]))
    assert answer(worker)["result"]["entries"] == []
    assert_alive_and_ends(worker)


@pytest.mark.parametrize("where", ["previews", "photos", "maps", "views"])
@pytest.mark.parametrize("name", ["a\0b", "\udfff", "/" + "x" * 300])
def test_folders_that_cannot_be_are_refused_before_any_work(worker, tmp_path, where, name):
    params = {"output": str(tmp_path / "a.glb"), where: name}
    send(worker, request(5, "generate", pictures=["/none.png"], preset="fast", **params))
    assert "no file can be called" in (said := answer(worker)["error"]["message"]) or "longer than" in said
    if where == "photos":
        send(worker, request(6, "history/fetch", key="0" * 40, **params))
        assert answer(worker)["error"]["message"] == said
    assert_alive_and_ends(worker)


def test_texts_that_are_repeated_are_cut(worker):
    for number, odd in enumerate([{"network": "x" * 9000}, {"category": "x" * 9000}]):
        pictures = [str(ROOT / "docs" / "examples" / "robot.png")]
        send(worker, request(5 + number, "select", pictures=pictures, **odd))
        assert len(answer(worker)["error"]["message"]) < 600
    assert_alive_and_ends(worker)


def test_ids_that_are_worked_on_and_cancels_of_unknown_ones(worker, tmp_path):
    picture = str(ROOT / "docs" / "examples" / "robot.png")
    for number in (424242, -1):
        send(worker, json.dumps({"jsonrpc": "2.0", "method": protocol.CANCELLED, "params": {"requestId": number}}))
    line = request(7, "generate", pictures=[picture], output=str(tmp_path / "a.glb"), preset="fast", cached=False)
    send(worker, line)
    send(worker, line)
    assert "is being worked on" in answer(worker)["error"]["message"]
    send(worker, json.dumps({"jsonrpc": "2.0", "method": protocol.CANCELLED, "params": {"requestId": 7}}))
    assert answer(worker)["error"]["code"] == protocol.ErrorCode.CANCELLED
    send(worker, request(7, "networks/unload"))  # the id is free again
    assert answer(worker)["result"] == {}
    assert_alive_and_ends(worker)


def test_whoever_comes_after_the_request_to_end_is_answered(worker, tmp_path):
    picture = str(ROOT / "docs" / "examples" / "robot.png")
    busy = request(7, "generate", pictures=[picture], output=str(tmp_path / "a.glb"), preset="fast", cached=False)
    lines = [busy, request(8, "shutdown"), *(request(number, "catalogue") for number in range(9, 14))]
    send(worker, "\n".join(lines))
    found = {message["id"]: message for message in (answer(worker) for _ in lines)}
    assert set(found) == set(range(7, 14)) and found[7]["error"]["code"] == protocol.ErrorCode.CANCELLED
    assert found[8]["result"] == {} and all("told to end" in found[n]["error"]["message"] for n in range(9, 14))
    assert worker.wait(8.0) == 0


def test_a_line_of_100_megabytes_is_not_kept(worker):
    send(worker, b'{"jsonrpc":"2.0","id":5,"method":"' + b"x" * 100_000_000 + b'"}')
    assert "error" in answer(worker)
    assert_alive_and_ends(worker)


@pytest.mark.parametrize("line", [b'{"jsonrpc":"2.0","id":5,"met', b"\xf0\x9f", b'{"a":"' + b"x" * 3_000_000])
def test_stdin_that_closes_within_a_line_ends_it(worker, line):
    worker.stdin.write(line)
    worker.stdin.close()
    assert worker.wait(8.0) == 0


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_pipes_where_previews_and_photos_are_to_be_hang_nothing(worker, tmp_path):
    for name in ("preview-a.png", "preview-b.png", "photo-0000.png", "photo-0000.jpg"):
        os.mkfifo(tmp_path / name)
    asked = {"pictures": [str(ROOT / "docs" / "examples" / "robot.png")], "preset": "fast", "cached": False}
    asked |= {"output": str(tmp_path / "a.glb"), "network": "included-object", "options": {"texture": 64}}
    send(worker, request(5, "generate", **asked, previews=str(tmp_path), photos=str(tmp_path)))
    found = answer(worker)["result"]
    assert any("photos of the cameras could not be written" in warning for warning in found["warnings"])
    assert_alive_and_ends(worker)
