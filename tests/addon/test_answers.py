# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that no worker of ours gives: of another version, damaged, or out of all bounds. The timer never raises."""

import dataclasses
import sys
from pathlib import Path

import pytest
from image_to_3d.addon.session import catalogue, launch, log
from image_to_3d.addon.session.client import Answered, Exited
from image_to_3d.addon.session.launch import Settings
from image_to_3d.addon.session.log import Log
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import Shown, State
from image_to_3d.tests.addon.waiting import events_until, recipe, tick_until, until
from image_to_3d.worker.wire import making, offers, protocol

HUGE = 10**400


@pytest.fixture
def session(tmp_path, clock, command, monkeypatch):
    """A function that gives a session whose worker follows a script."""
    made = []

    def begin(script: dict) -> Session:
        monkeypatch.setattr(launch, "worker_command", lambda python: command(script))
        own = tmp_path / "own" / "catalogue.json"
        settings = Settings(tmp_path, tmp_path, tmp_path / "logs", own, python=Path(sys.executable))
        made.append(Session(lambda: settings, clock))
        made[-1].look()
        return made[-1]

    yield begin
    for each in made:
        each.close()


def line(body: str) -> dict:
    return {"print": '{"jsonrpc":"2.0",' + body + "}\n"}


@pytest.mark.parametrize(
    "answer",
    [
        '"id":3,"error":{"code":-32803,"message":"why","data":["a","list"]}',
        '"id":3,"error":{"code":[],"message":{},"data":7}',
        '"id":3,"error":{"code":NaN,"message":null}',
        '"id":3,"error":[]',
        '"id":3',
        '"id":3,"result":null',
        '"id":3,"result":[]',
        f'"id":3,"result":{{"vertices":{HUGE}}}',
        '"id":3,"result":{"glb":"o","name":"n","method":"m","network":"n","vertices":NaN,"faces":1e999,"seconds":{},'
        '"from_cache":false}',
        f'"id":3,"result":{{"glb":"o","name":"n","method":"m","network":"n","vertices":1,"faces":{HUGE},"seconds":{{}},'
        '"from_cache":false}',
        '"id":3,"error":{"code":-32803,"message":"\\ud800","data":{"log":[1]}}',
        '"id":3,"error":{"code":-32012,"message":"gone","data":{"network":[1],"log":{}}}',
    ],
)
def test_an_answer_that_cannot_be_read_fails_its_job_at_once(session, answer):
    session = session({"generate": [line(answer), {"wait": "ever"}]})
    session.generate(recipe(network=None))  # 1 is initialize, 2 select, 3 generate
    tick_until(session, lambda: session.problem)
    assert (
        session.state is State.READY and session.problem.message.isprintable() and isinstance(session.problem.log, str)
    )


@pytest.mark.parametrize(
    "told",
    [[-5.0, "s"], [1e300, "s"], [0.5, "s", "m", -3.0], [0.5, "s", "m", 1e300], [0.5, "x" * 9999], [0.5, "\ud800"]],
)
def test_progress_beyond_all_bounds_is_shown_within_them(session, told):
    session = session({"generate": [{"progress": told}]})
    session.generate(recipe())
    tick_until(session, lambda: session.results.waiting)
    shown = session.shown
    assert 0.0 <= shown.fraction <= 1.0 and shown.remaining is None
    assert shown.stage.isprintable() and len(shown.stage) < 500


def test_progress_that_is_no_number_is_not_heard(session):
    bad = '"method":"notifications/progress","params":{"progressToken":3,"progress":NaN,"stage":"s"}'
    session = session({"generate": [line(bad), line(bad.replace("NaN", str(HUGE)))]})
    session.generate(recipe())
    tick_until(session, lambda: session.results.waiting)
    assert session.shown == Shown(0.0, "starting")


def offer(**changes) -> dict:
    method = dataclasses.asdict(catalogue.shipped()[0])
    return {"version": protocol.VERSION, "worker": "w", "methods": [{**method, **changes}]}


OPTION = {"name": "o", "label": "O", "kind": "int", "default": 3, "help": ""}


@pytest.mark.parametrize(
    "result",
    [
        {**offer(), "version": 999},
        {**offer(), "methods": []},
        offer(networks=[]),
        offer(presets={}),
        offer(options=[{**OPTION, "default": "x"}]),
        offer(options=[{**OPTION, "kind": "choice", "default": "x"}]),
        offer(options=[{**OPTION, "minimum": 5, "maximum": 1}]),
        offer(options=[{**OPTION, "maximum": 1e300}]),
        {**offer(), "methods": offer()["methods"] * 2},
        {**offer(), "surprise": 1},
    ],
)
def test_a_worker_of_another_kind_is_ended_with_a_sentence_and_its_offer_not_taken(session, result):
    session = session({"initialize": [{"result": result}]})
    before = session.methods
    session.generate(recipe())
    tick_until(session, lambda: session.state is State.IDLE)
    assert session.problem.message and session.methods == before


def test_what_the_session_cannot_take_ends_the_worker_and_not_the_timer(session, monkeypatch):
    session = session({})
    monkeypatch.setattr(session, "_hear_result", lambda *_: {}["gone"])
    session.generate(recipe())
    tick_until(session, lambda: session.state is State.IDLE)
    assert "KeyError" in session.problem.message


def test_a_file_whose_name_is_not_utf_8_reaches_the_worker_as_it_is(start, requests):
    client = start({})
    client.request("select", offers.SelectParams(("/photos/b\udcffd.jpg",)))
    events_until(client, Answered)
    assert requests("select")[0]["params"]["pictures"] == ["/photos/b\udcffd.jpg"]


def test_a_log_has_a_bound_and_keeps_what_came_last(start, monkeypatch):
    monkeypatch.setattr(log, "LIMIT", 100_000)
    monkeypatch.setattr(log, "PAUSE", 0.0)
    client = start({"generate": [{"stderr": 3_000_000}]})
    client.request("generate", making.GenerateParams(("p",), "o", "fast"))
    events_until(client, Answered)
    until(lambda: client.log_tail().endswith("last words"))
    client.end()
    events_until(client, Exited)
    assert client._log._path.stat().st_size <= 100_000 + (1 << 17)


def test_a_log_that_was_closed_takes_nothing_more(tmp_path):
    kept = Log(tmp_path / "a" / "worker.log")
    kept.note("one")
    kept.close()
    kept.note("two")
    assert kept.tail() == "one"
