# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake workers that follow a script."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from image_to_3d.addon.session import client as clients
from image_to_3d.addon.session import launch
from image_to_3d.addon.session.launch import Settings
from image_to_3d.addon.session.session import Session

FAKE = Path(__file__).with_name("fake_worker.py")


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def command(tmp_path: Path) -> Callable[[dict], list[str]]:
    """Writes a script; returns the command of a fake worker that follows it."""

    def write(script: dict) -> list[str]:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        return [sys.executable, str(FAKE), str(path)]

    return write


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Settings]:
    """The settings of the moment, which a test may change."""
    (tmp_path / "temporary").mkdir()
    own = tmp_path / "own" / "catalogue.json"
    now = Settings(tmp_path / "root", tmp_path / "temporary", tmp_path / "logs", own, python=Path(sys.executable))
    return {"now": now}


@pytest.fixture
def session(settings, clock):
    """A session with the settings of the moment, `settings["now"]`, which files of tests may make for themselves."""
    made = Session(lambda: settings["now"], clock)
    made.look()
    yield made
    made.close()


@pytest.fixture
def follow(command, monkeypatch):
    """Makes the worker follow a script."""

    def set_script(script: dict) -> None:
        monkeypatch.setattr(launch, "worker_command", lambda python: command(script))

    return set_script


@pytest.fixture
def requests(tmp_path: Path) -> Callable[..., list[dict]]:
    """The requests that fake workers got, those of some methods alone where they are named."""

    def read(*methods: str) -> list[dict]:
        log = tmp_path / "script.json.requests"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if not methods or line["method"] in methods]

    return read


@pytest.fixture
def start(command, tmp_path: Path, clock: Clock):
    """Starts clients of fake workers and ends them after the test."""
    started: list[clients.Client] = []

    def begin(script: dict) -> clients.Client:
        client = clients.Client(command(script), tmp_path, tmp_path / "logs" / "worker.log", os.environ, clock)
        started.append(client)
        return client

    yield begin
    for client in started:
        client.close()
