# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys
import time
from pathlib import Path

import pytest
from image_to_3d.addon.session import log, process
from image_to_3d.addon.session.client import Answered, Client, Exited, Failed
from image_to_3d.addon.session.process import CannotStart
from image_to_3d.tests.addon.waiting import alive, events_until, until
from image_to_3d.worker.wire import making, offers, protocol
from image_to_3d.worker.wire.protocol import ErrorCode, Progress

GENERATE = making.GenerateParams(("p.png",), "o.glb", "fast")


def answers(events: list) -> list:
    return [event for event in events if isinstance(event, Answered | Failed)]


def test_an_answer_comes_as_the_dataclass_of_its_method(start):
    client = start({})
    id = client.request("initialize", offers.InitializeParams(protocol.VERSION))
    [answer] = events_until(client, Answered)
    assert (answer.id, answer.method) == (id, "initialize")
    assert answer.result.methods[0].networks[1].name == "big"


def test_progress_comes_before_the_answer_and_in_order(start):
    client = start({"generate": [{"progress": [0.1, "a"]}, {"progress": [0.9, "b"]}]})
    client.request("generate", GENERATE)
    *progress, answer = events_until(client, Answered)
    assert progress == [Progress(1, 0.1, "a"), Progress(1, 0.9, "b")]
    assert answer.result.faces == 2


def test_a_cancelled_request_is_answered_as_cancelled(start):
    client = start({"generate": [{"progress": [0.1, "a"]}, {"wait": "cancel"}]})
    id = client.request("generate", GENERATE)
    events_until(client, Progress)
    client.cancel(id)
    [answer] = answers(events_until(client, Failed))
    assert answer.error.code is ErrorCode.CANCELLED


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "{\n",
        "[1, 2]\n",
        "x" * 3_000_000 + "\n",
        "\x00\xff\n",
        "\n\n\n",
        '{"jsonrpc": "2.0", "id": 99, "result": {}}\n',
    ],
)
def test_garbage_on_stdout_is_put_in_the_log_and_the_answer_still_comes(start, text):
    client = start({"generate": [{"print": text}]})
    client.request("generate", GENERATE)
    assert len(answers(events_until(client, Answered))) == 1
    assert client.log_tail()


def test_a_flood_of_garbage_costs_one_poll_only_a_few_milliseconds_of_work(start, monkeypatch):
    monkeypatch.setattr(process, "LINES_WAITING", 100)
    client = start({"generate": [{"print": "x\n" * 50_000}]})
    client.request("generate", GENERATE)
    longest = 0

    def poll() -> bool:
        nonlocal longest
        lines = client.poll()
        longest = max(longest, len(lines))
        return any(b'"result"' in line for line in lines)

    until(poll)
    assert longest < 50_000


@pytest.mark.parametrize("code", [0, 3, -9, -11])
def test_a_worker_that_dies_during_a_request_answers_it_with_the_end_of_its_log(start, code):
    client = start({"generate": [{"progress": [0.5, "half"]}, {"stderr": 20}, {"die": code}]})
    client.request("generate", GENERATE)
    client.request("catalogue", offers.Empty())
    events = events_until(client, Exited)
    exited = ErrorCode.WORKER_EXITED
    assert [(a.id, a.error.code) for a in answers(events)] == [(1, exited), (2, exited)]
    assert "last words" in answers(events)[0].error.data["log"]
    assert events[-1] == Exited(code)
    assert client.events() == []


def test_a_worker_that_dies_before_it_answers_anything_is_reported(start):
    client = start({"initialize": [{"die": 1}]})
    client.request("initialize", offers.InitializeParams(protocol.VERSION))
    assert answers(events_until(client, Exited))[0].error.code is ErrorCode.WORKER_EXITED


def test_a_megabyte_on_stderr_does_not_stop_the_worker(start):
    client = start({"generate": [{"stderr": 1_000_000}]})
    client.request("generate", GENERATE)
    events_until(client, Answered)
    assert client.log_tail().endswith("last words")
    assert len(client.log_tail()) <= log.TAIL


@pytest.mark.parametrize("result", [{}, {"glb": 3}, [], None])
def test_an_answer_of_the_wrong_shape_is_a_failure_and_not_an_exception(start, result):
    client = start({"generate": [{"result": result}]})
    client.request("generate", GENERATE)
    [answer] = answers(events_until(client, Failed))
    assert answer.error.code is ErrorCode.INTERNAL_ERROR


def test_an_error_keeps_its_code_and_data_and_an_unknown_code_is_an_internal_error(start):
    client = start(
        {"generate": [{"error": [-32012, "missing", {"network": "big"}]}], "catalogue": [{"error": [-1, "odd", {}]}]}
    )
    client.request("generate", GENERATE)
    client.request("catalogue", offers.Empty())
    failures: list = []
    until(lambda: failures.extend(client.events()) or len(failures) == 2)
    assert [f.error.code for f in failures] == [ErrorCode.WEIGHTS_MISSING, ErrorCode.INTERNAL_ERROR]
    assert failures[0].error.data == {"network": "big"}


def test_closing_its_stdin_ends_the_worker(start):
    client = start({})
    client.end()
    [exited] = events_until(client, Exited)
    assert exited == Exited(0)


def test_a_worker_deaf_to_everything_is_terminated_and_then_killed_as_time_passes(start, clock):
    client = start({"generate": [{"progress": [0.1, "deaf"]}, {"wait": "deaf"}]})
    client.request("generate", GENERATE)
    events_until(client, Progress)
    client.end()
    client.events()
    assert alive(client.pid)
    clock.now += process.EXIT_AFTER_EOF
    client.events()
    clock.now += process.EXIT_AFTER_TERMINATE
    events = events_until(client, Exited)
    assert events[-1].code in (-15, -9)
    assert answers(events)[0].error.code is ErrorCode.WORKER_EXITED


def test_kill_ends_what_the_worker_started_too(start, tmp_path):
    pid_file = tmp_path / "pid"
    client = start({"generate": [{"spawn": str(pid_file)}, {"progress": [0.5, "spawned"]}, {"wait": "ever"}]})
    client.request("generate", GENERATE)
    events_until(client, Progress)
    client.kill()
    events_until(client, Exited)
    until(lambda: not alive(int(pid_file.read_text())))


def test_a_grandchild_that_holds_the_pipe_open_does_not_hide_that_the_worker_is_gone(start, tmp_path, clock):
    pid_file = tmp_path / "pid"
    client = start({"generate": [{"spawn": str(pid_file)}, {"progress": [0.5, "spawned"]}, {"die": 4}]})
    client.request("generate", GENERATE)
    events_until(client, Progress)
    until(lambda: client.events() == [] and client._process.returncode is not None)
    clock.now += process.DRAIN_AFTER_EXIT
    assert events_until(client, Exited)[-1].code == 4
    until(lambda: not alive(int(pid_file.read_text())))


def test_a_worker_that_reads_nothing_does_not_make_requests_wait(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    client = Client(command, tmp_path, tmp_path / "log", os.environ)
    began = time.monotonic()
    for _ in range(50):
        client.request("generate", making.GenerateParams(("p" * 10_000,), "o", "fast"))
        client.events()
    assert time.monotonic() - began < 10  # it would be for ever
    client.kill()
    assert len(answers(events_until(client, Exited))) == 50


def test_close_ends_even_a_deaf_worker_and_may_be_called_twice(start):
    client = start({"generate": [{"progress": [0.1, "deaf"]}, {"wait": "deaf"}]})
    client.request("generate", GENERATE)
    events_until(client, Progress)
    client.close()
    client.close()
    until(lambda: not alive(client.pid))


@pytest.mark.parametrize("python", ["/nowhere/python", "/", "/dev/null"])
def test_what_cannot_be_started_is_said_in_one_sentence(tmp_path, python):
    with pytest.raises(CannotStart, match=f"^{python} could not be started: "):
        Client([python], tmp_path, tmp_path / "log", os.environ)


def test_a_log_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="^the log .* cannot be written"):
        Client([sys.executable], tmp_path, tmp_path / "file" / "log", os.environ)


def test_a_worker_that_closes_its_stdout_is_ended(tmp_path):
    command = [sys.executable, "-c", "import os, sys; os.close(1); sys.stdin.read()"]
    client = Client(command, tmp_path, Path(tmp_path / "log"), os.environ)
    client.request("catalogue", offers.Empty())
    events = events_until(client, Exited)
    assert answers(events)[0].error.code is ErrorCode.WORKER_EXITED
