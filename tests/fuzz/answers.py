# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd answers to the add-on's session: its timer never raises, what it shows can be shown, and it goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from counting import Counts
from image_to_3d.addon.session import catalogue
from image_to_3d.addon.session import link as links
from image_to_3d.addon.session.client import Client
from image_to_3d.addon.session.jobs import Recipe
from image_to_3d.addon.session.launch import Settings
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import State
from image_to_3d.addon.ui import wording
from image_to_3d.worker.wire import making, protocol
from image_to_3d.worker.wire.offers import EstimateParams, SelectParams
from odd import changed, text_of

RESULT = {
    "glb": "/t/result.glb", "name": "n", "method": "depth", "network": "included", "vertices": 4, "faces": 2,
    "seconds": {"network": 1.0}, "from_cache": False, "key": "k", "warnings": ["w"],
    "cameras": [{"position": [0.0, 0.0, 1.0], "fov_degrees": 40.0, "width": 8, "height": 6, "name": "c", "photo": "p"}],
}  # fmt: skip


ID = b"7070707"
ENTRY = {
    "key": "k", "name": "n", "faces": 2, "seconds": 1.0, "bytes": 9, "thumbnail": "/t/a.png", "clay": "",
    "provenance": {
        "pictures": ["/p.png"], "digests": ["d"], "category": "Depth", "method": "depth", "network": "included",
        "label": "l", "licence": "MIT", "revision": "r", "preset": "fast", "options": {"faces": 100}, "version": "1",
        "date": "2026-01-01T00:00:00+00:00",
    },
}  # fmt: skip
LATER = {
    "history": {"entries": [ENTRY, ENTRY], "bytes": 20, "limit": 99},
    "estimate": {"presets": [{"preset": "fast", "seconds": 3.0, "faces": 9, "texture": 64}], "memory": 10},
}
"""Of what is asked beside a job, a good answer."""


class Refused(Exception):
    """The session says what was wrong."""


class Fed(Client):
    """A client whose worker says what it is told: after each request the next of the lines; later, what is told for its
    method, with the id of the request in place of ID."""

    lines: list[bytes] = []
    later: dict[str, bytes] = {}

    def __init__(self, *_: object) -> None:
        self._methods, self._last_id, self._left, self.exit_code, self._killed = {}, 0, False, None, False
        self._said: list[bytes] = []

    def write(self, line: bytes) -> None:
        request = json.loads(line)
        if "id" in request and self.lines:
            self._said += self.lines.pop(0).split(b"\n")
        elif "id" in request and request["method"] in self.later:
            self._said += self.later[request["method"]].replace(ID, b"%d" % request["id"]).split(b"\n")

    def poll(self) -> list[bytes]:
        said, self._said = self._said, []
        self.exit_code = -9 if self._killed else None
        return said

    def end(self) -> None:
        self._killed = True

    kill = close = end

    def note(self, text: str) -> None:
        text.encode(errors="replace")

    def log_tail(self) -> str:
        return "the log"


def run(count: int, seed: int, folder: Path) -> Counts:
    counts, before = Counts(), links.Client
    links.Client = Fed
    try:
        for number in range(count):
            generator = np.random.default_rng([seed, number])
            counts.try_one(f"answer {number}", lambda g=generator: _lived(g, folder), (Refused,))
    finally:
        links.Client = before
    return counts


def _lines(generator: np.random.Generator) -> list[bytes]:
    offered = [dataclasses.asdict(method) for method in catalogue.shipped()]
    start = {"version": protocol.VERSION, "worker": "w", "methods": offered}
    results = [start, {"method": "depth", "network": "included"}, RESULT]
    answers = [{"jsonrpc": "2.0", "id": id, "result": result} for id, result in enumerate(results, 1)]
    told = {"progressToken": 3, "progress": 0.5, "stage": "s", "message": "m", "remaining": 2.0}
    error = {"jsonrpc": "2.0", "id": 3, "error": {"code": -32012, "message": "m", "data": {"network": "n", "log": "l"}}}
    report = {"jsonrpc": "2.0", "method": protocol.PROGRESS, "params": told}
    shown = {"jsonrpc": "2.0", "method": protocol.PREVIEW, "params": {"progressToken": 3, "file": "/t/p.png"}}
    which = int(generator.choice([0, 1, 2, 2, 3, 4, 5, 6, 6]))
    if which == 6:
        return [json.dumps(answer).encode() for answer in answers]
    odd = [*answers, error, report, shown][which]
    line = text_of(changed(odd, generator), generator, generator.random() < 0.5)
    plain = [json.dumps(answer).encode() for answer in answers]
    if which < 3:
        return [*plain[:which], line, *plain[which + 1 :]]
    return [*plain[:2], line + b"\n" + plain[2] if which > 3 else line]


def _later(generator: np.random.Generator) -> dict[str, bytes]:
    answers = {method: {"jsonrpc": "2.0", "id": int(ID), "result": result} for method, result in LATER.items()}
    return {method: text_of(changed(odd, generator), generator) for method, odd in answers.items()}


def _lived(generator: np.random.Generator, folder: Path) -> None:
    Fed.lines, Fed.later = _lines(generator), _later(generator)
    now = [0.0]
    python = folder / "python"
    python.touch()
    settings = Settings(folder, folder, folder, folder / "own" / "catalogue.json", python=python)
    session = Session(lambda: settings, lambda: now[0])
    session.look()
    presets = {method.name: next(iter(method.presets)) for method in session.methods}
    question = SelectParams(("/p.png",), "Depth", None)
    session.generate(Recipe(question, presets, {name: {} for name in presets}))
    problem = None
    for _ in range(60):
        session.tick()
        _shown(session)
        problem = problem or session.problem
        if session.results.waiting or not session.moving:
            break
        now[0] += 40.0  # whoever waits for ever is given up at last
    _ask_beside(session, now)
    problem = problem or session.problem
    told = [*session.results.waiting]
    session.force_stop()
    rested = False
    for _ in range(8):
        now[0] += 3.0
        session.tick()
        rested = rested or session.state in (State.IDLE, State.ABSENT, State.READY)
    assert rested, f"it stays {session.state}"
    for finished in told:
        wording.duration(sum(finished.result.seconds.values()))
    session.close()
    if problem:
        assert problem.message.isprintable() or "\n" in problem.message, "a message that cannot be shown"
        raise Refused(problem.message.replace("\n", " ")[:300])


def _ask_beside(session: Session, now: list[float]) -> None:
    """What is asked without a job: how long it will take, and what is kept."""
    session.estimate.ask(EstimateParams("included", ("/p.png",)))
    for _ in range(5):
        now[0] += 1.0
        session.tick()
        _shown(session)
    for each in session.estimate.answer.presets if session.estimate.answer else ():
        wording.duration(each.seconds or 0.0)
    told = session.history.told
    assert isinstance(told, making.History) and all(isinstance(each.name, str) for each in told.entries)


def _shown(session: Session) -> None:
    shown = session.shown
    assert 0.0 <= shown.fraction <= 1.0
    wording.remaining(shown.remaining)
    for text in (shown.stage, shown.message):
        text.encode()
