# SPDX-License-Identifier: GPL-3.0-or-later
"""The request loop in a process of its own, with handlers that misbehave on purpose."""

import json
import os
import subprocess
import sys
import threading
from queue import Queue

import pytest
from image_to_3d.worker.wire.protocol import ErrorCode

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 20.0

# Stands in for worker/__main__.py: the same pipe and loop, other handlers.
SCRIPT = """
import ctypes, os, sys, time
from worker.wire import stdio
source, sink = stdio.claim()
from worker.core.errors import Cancelled, WeightsMissing, OutOfMemory, Unable, Unsure
from worker.wire.offers import Empty
from worker.wire.making import GenerateResult
from worker.wire.server import Server

def generate(params, job):
    what = params.category
    if what == "prints":
        print("library noise on stdout")
        os.system("echo noise from a child process")
        ctypes.CDLL(None).puts(b"noise from C")
        ctypes.CDLL(None).fflush(None)
    if what == "reads":
        assert sys.stdin.read() == ""
    if what == "works":
        for step in range(100000):
            job.report(min(step / 1000, 1.0), "working", str(step))
            time.sleep(0.001)
    if what == "learns":
        while not job.span(0.0, 0.5).is_enough():
            job.report(0.5, "learning")
            job.span(0.0, 0.5).show("so far.png")
            time.sleep(0.001)
        job.show(None)
    if what == "deaf":
        job.report(0.5, "deaf")
        time.sleep(1000)
    if what == "noisy":
        sys.stderr.write("x" * 1000000)
    raised = {"unable": Unable("no"), "missing": WeightsMissing("no", "m", 5, "MIT"), "memory": OutOfMemory("no", 2, 1),
              "bug": KeyError("oops"), "full": MemoryError(), "unsure": Unsure("no", "anyway")}.get(what)
    if raised:
        raise raised
    return GenerateResult("o.glb", "o", "m", "n", 1, 2, {"a": 1.0}, False)

Server(source, sink, {"generate": generate, "shutdown": lambda params, job: params}).run()
"""


class Worker:
    """Talks to the script; answers arrive in a queue, so that every wait is bounded."""

    def __init__(self, stderr):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        )
        self.lines: Queue = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def send(self, line: bytes):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def generate(self, id: int, what: str):
        params = {"pictures": ["p"], "output": "o", "category": what, "preset": "fast"}
        self.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": "generate", "params": params}).encode())

    def enough(self, id: int):
        params = {"requestId": id}
        self.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/enough", "params": params}).encode())

    def cancel(self, id: int):
        params = {"requestId": id}
        self.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode())

    def next(self):
        return self.lines.get(timeout=LIMIT)

    def answer(self):
        while "method" in (message := self.next()):
            pass
        return message


@pytest.fixture
def worker(tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        worker = Worker(stderr)
        yield worker
        worker.process.kill()
        worker.process.wait(LIMIT)


def test_output_of_libraries_never_reaches_the_pipe(worker, tmp_path):
    worker.generate(1, "prints")
    assert worker.next()["result"]["faces"] == 2
    worker.send(b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}')
    assert worker.next()["id"] == 2
    assert worker.next() is None
    noise = (tmp_path / "stderr").read_text()
    assert "library noise" in noise and "child process" in noise and "noise from C" in noise


def test_a_library_that_reads_stdin_takes_nothing_from_the_pipe(worker):
    worker.generate(1, "reads")
    worker.generate(2, "fine")
    assert [worker.answer()["id"], worker.answer()["id"]] == [1, 2]


def test_progress_comes_before_the_answer_and_never_falls(worker):
    worker.generate(1, "works")
    seen = [worker.next()["params"] for _ in range(5)]
    assert {report["progressToken"] for report in seen} == {1}
    assert [report["progress"] for report in seen] == sorted(report["progress"] for report in seen)


def test_cancel_stops_a_running_job_and_the_next_job_works(worker):
    worker.generate(1, "works")
    worker.next()
    worker.cancel(1)
    answer = worker.answer()
    assert (answer["id"], answer["error"]["code"]) == (1, ErrorCode.CANCELLED)
    worker.generate(2, "fine")
    assert worker.answer()["result"]["faces"] == 2


def test_a_job_that_shows_what_it_has_ends_with_that_when_it_is_enough(worker):
    worker.generate(1, "learns")
    while (told := worker.next())["method"] != "notifications/preview":
        pass
    assert told["params"] == {"progressToken": 1, "file": "so far.png"}
    worker.enough(1)
    while (told := worker.next()).get("params", {}).get("file") != "":
        assert told["method"].startswith("notifications/")
    assert worker.answer()["result"]["faces"] == 2


def test_a_job_that_is_cancelled_while_it_waits_is_answered_without_being_run(worker):
    worker.generate(1, "works")
    worker.next()
    worker.generate(2, "bug")
    worker.cancel(2)
    worker.cancel(1)
    assert [worker.answer()["error"]["code"] for _ in range(2)] == [ErrorCode.CANCELLED] * 2


@pytest.mark.parametrize(
    "what, code, data",
    [
        ("unable", ErrorCode.FAILED, {}),
        ("missing", ErrorCode.WEIGHTS_MISSING, {"network": "m", "bytes": 5, "licence": "MIT"}),
        ("memory", ErrorCode.OUT_OF_MEMORY, {"needed": 2, "free": 1}),
        ("full", ErrorCode.OUT_OF_MEMORY, {}),
        ("unsure", ErrorCode.UNSURE, {"option": "anyway"}),
        ("bug", ErrorCode.INTERNAL_ERROR, {}),
    ],
)
def test_what_is_raised_becomes_one_answer_and_the_next_job_works(worker, what, code, data):
    worker.generate(1, what)
    error = worker.answer()["error"]
    assert (error["code"], error["data"]) == (code, data)
    assert "Traceback" not in error["message"]
    worker.generate(2, "fine")
    assert worker.answer()["id"] == 2


def test_bad_lines_are_answered_and_do_no_harm(worker):
    worker.send(b"this is not json")
    worker.send(b'{"jsonrpc":"2.0","id":5,"method":"explode"}')
    worker.send(b"x" * 3_000_000)
    worker.generate(6, "fine")
    codes = [worker.answer() for _ in range(4)]
    assert [answer.get("error", {}).get("code") for answer in codes] == [
        ErrorCode.PARSE_ERROR,
        ErrorCode.METHOD_NOT_FOUND,
        ErrorCode.PARSE_ERROR,
        None,
    ]
    assert codes[3]["id"] == 6


def test_an_id_that_is_in_use_is_refused(worker):
    worker.generate(1, "works")
    worker.next()
    worker.generate(1, "fine")
    assert worker.answer()["error"]["code"] == ErrorCode.INVALID_REQUEST


def test_much_stderr_does_not_block(worker):
    worker.generate(1, "noisy")
    assert "result" in worker.answer()


@pytest.mark.parametrize("doing", ["nothing", "works", "deaf"])
def test_the_worker_ends_when_its_pipe_closes(worker, doing):
    if doing != "nothing":
        worker.generate(1, doing)
        worker.next()
    worker.process.stdin.close()
    assert worker.process.wait(5.0) == 0


def test_shutdown_cancels_what_runs_and_is_answered_last(worker):
    worker.generate(1, "works")
    worker.next()
    worker.send(b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}')
    assert worker.answer()["error"]["code"] == ErrorCode.CANCELLED
    assert worker.answer() == {"jsonrpc": "2.0", "id": 2, "result": {}}
    assert worker.process.wait(LIMIT) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors")
def test_nobody_reading_the_answers_does_not_crash_the_worker(tmp_path):
    unread, sink = os.pipe()
    os.close(unread)
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, stdin=subprocess.PIPE, stdout=sink, stderr=stderr
        )
    os.close(sink)
    process.communicate(b'{"jsonrpc":"2.0","id":1,"method":"shutdown"}\n', timeout=LIMIT)
    assert process.returncode == 0
    assert "Traceback" not in (tmp_path / "stderr").read_text()
