# SPDX-License-Identifier: GPL-3.0-or-later
"""`hello` with the real worker, and with processes that play one that is ill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_to_3d.worker import __version__, hello
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.wire import offers, protocol
from image_to_3d.worker.wire.protocol import ErrorCode, WireError

ROOT = Path(__file__).resolve().parent.parent
PARAMS = offers.InitializeParams(protocol.VERSION, device="cpu")


def run(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-m", "worker", "hello", *arguments]
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60)


def test_it_prints_one_line_of_json_wherever_it_is_called_from(tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file in the user\\'s folder was imported')")
    done = run("--device", "cpu", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {"product": __version__, "protocol": protocol.VERSION, "device": "cpu", "methods": ["depth"]}
    found = json.loads(done.stdout)
    assert found | {"methods": found["methods"][:1]} == expected


def test_a_device_that_there_is_not_is_one_sentence_and_exit_code_1(tmp_path):
    done = run("--device", "toaster", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "there is no device 'toaster': choose auto, cpu, cuda or mps\n"


@pytest.fixture
def played(monkeypatch):
    """Has a Python script play the worker."""

    def by(script: str) -> None:
        monkeypatch.setattr(hello, "worker_command", lambda: [sys.executable, "-c", script])

    return by


def test_the_last_word_of_a_worker_that_cannot_start_is_told(played):
    played("import sys; sys.exit('first line\\nModuleNotFoundError: no numpy')")
    with pytest.raises(Unable, match=r"the worker ended with exit code 1 \(ModuleNotFoundError: no numpy\)"):
        hello.greet(PARAMS)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_worker_that_crashes_is_told_by_its_signal(played):
    played("import os; os.kill(os.getpid(), 4)")
    with pytest.raises(Unable, match=r"the worker ended by signal 4 \(it said nothing\)"):
        hello.greet(PARAMS)


def test_a_worker_that_never_answers_is_ended(played):
    played("import sys; sys.stderr.write('loading\\n'); sys.stderr.flush(); sys.stdin.read()")
    with pytest.raises(Unable, match=r"the worker did not answer and end within 1.5 s \(loading\)"):
        hello.greet(PARAMS, limit=1.5)


def test_a_worker_that_answers_and_never_ends_is_ended(played):
    result = {"version": 1, "worker": "1", "methods": []}
    lines = "".join(json.dumps({"jsonrpc": "2.0", "id": id, "result": r}) + "\n" for id, r in ((1, result), (2, {})))
    played(f"import sys, time; sys.stdout.write({lines!r}); sys.stdout.flush(); time.sleep(1000)")
    with pytest.raises(Unable, match="did not answer and end within 1.5 s"):
        hello.greet(PARAMS, limit=1.5)


def test_a_refusal_is_the_workers_own_sentence(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(hello, "worker_command", lambda: [sys.executable, "-m", "worker"])
    with pytest.raises(WireError, match="the worker speaks version") as refused:
        hello.greet(offers.InitializeParams(version=0, device="cpu"))
    assert refused.value.code == ErrorCode.VERSION_MISMATCH
