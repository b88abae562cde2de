# SPDX-License-Identifier: GPL-3.0-or-later
"""Which network is taken is decided by the worker, once, and known before the start. Against a fake worker; the clock
moves only where a test moves it.
"""

from dataclasses import asdict
from pathlib import Path

import pytest
from image_to_3d.addon.session import catalogue, states
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import State
from image_to_3d.tests.addon.waiting import alive, recipe, tick_until, until
from image_to_3d.worker.wire.offers import Catalogue, SelectResult
from image_to_3d.worker.wire.protocol import ErrorCode

TAKEN = SelectResult("layers", "included-object")
SELECTS = {"result": {"method": TAKEN.method, "network": TAKEN.network}}
RECIPE = recipe(method="layers")
QUESTION = RECIPE.question
SHIPPED = {"initialize": [{"shipped": True}]}
"""The fake offers what the product does, not a list of its own."""


@pytest.fixture
def follow(follow):
    """Makes the worker follow a script, and offer what the product does."""
    return lambda script: follow(SHIPPED | script)


def wait_quietly(session: Session, what) -> None:
    """Ticks until something is so; nothing that the user would notice as work may go on meanwhile."""

    def arrived() -> object:
        session.tick()
        assert not session.moving and session.problem is None
        return what()

    until(arrived)


def select(session: Session, clock) -> SelectResult:
    """Asks as the panel does, until there is an answer."""
    session.selection.ask(QUESTION)
    clock.now += states.SELECT_AFTER
    wait_quietly(session, lambda: session.selection.answer)
    return session.selected(QUESTION)


def test_the_worker_is_started_and_asked_in_the_background_once_and_not_at_once(session, follow, clock, requests):
    follow({"select": [SELECTS]})
    session.tick()
    assert session.link.client is None, "nothing is chosen yet"
    session.selection.ask(QUESTION)
    session.tick()
    assert session.link.client is None, "the user may go on choosing"
    assert session.selected(QUESTION) is None
    assert select(session, clock) == TAKEN and session.state is State.READY
    for _ in range(3):
        session.selection.ask(QUESTION)
        clock.now += states.SELECT_AFTER
        session.tick()
    assert session.selected(QUESTION) == TAKEN and len(requests("select")) == 1
    assert session.selected(recipe("/pictures/b.png").question) is None


def test_another_question_is_asked_anew_and_only_the_last_one(session, follow, clock, requests):
    follow({"select": [SELECTS]})
    select(session, clock)
    for letter in "bcd":
        session.selection.ask(recipe(f"/pictures/{letter}.png").question)
        session.tick()
    assert session.selection.answer is None
    clock.now += states.SELECT_AFTER
    wait_quietly(session, lambda: session.selection.answer)
    assert [each["params"]["pictures"] for each in requests("select")] == [["/pictures/a.png"], ["/pictures/d.png"]]


def test_a_network_that_the_user_names_is_no_question(session):
    named = recipe(network="included-object").question
    assert session.selected(named) == SelectResult("layers", "included-object")


def test_what_was_selected_is_what_is_generated_with(session, follow, clock, requests):
    follow({"select": [SELECTS]})
    select(session, clock)
    session.generate(RECIPE)
    tick_until(session, lambda: session.results.waiting)
    [sent] = requests("generate")
    assert sent["params"]["network"] == "included-object" and sent["params"]["options"] == {"faces": 500}
    assert sent["params"]["category"] == "Depth" and sent["params"]["preset"] == "fast"
    assert len(requests("select")) == 1


@pytest.mark.parametrize("asked_before", [False, True])
def test_generate_before_the_answer_waits_for_it_and_goes_on_with_it(session, follow, clock, requests, asked_before):
    follow({"select": [{"wait_for": "go"}, SELECTS]})
    if asked_before:
        session.selection.ask(QUESTION)
        clock.now += states.SELECT_AFTER
        wait_quietly(session, lambda: requests("select"))
    session.generate(RECIPE)
    tick_until(session, lambda: session.state is State.BUSY)
    go(session)
    tick_until(session, lambda: session.results.waiting)
    assert [each["method"] for each in requests("select", "generate")] == ["select", "generate"]
    assert requests("generate")[0]["params"]["network"] == "included-object"
    assert session.selected(QUESTION) == TAKEN


def go(session: Session) -> None:
    """Lets the fake's `wait_for` end."""
    (Path(session._settings().logs).parent / "go").touch()


def test_generate_while_the_worker_is_started_in_the_background_uses_that_one(session, follow, clock, requests):
    follow({"select": [SELECTS]})
    session.selection.ask(QUESTION)
    clock.now += states.SELECT_AFTER
    session.tick()
    pid = session.link.client.pid
    session.generate(RECIPE)
    assert session.state is State.STARTING and session.link.client.pid == pid
    tick_until(session, lambda: session.results.waiting)
    assert len(requests("initialize")) == 1


def test_a_cancel_while_it_is_selected_generates_nothing(session, follow, requests):
    follow({"select": [{"wait": "cancel"}]})
    session.generate(RECIPE)
    tick_until(session, lambda: session.state is State.BUSY)
    session.cancel()
    tick_until(session, lambda: session.state is State.READY)
    assert session.problem is None and not requests("generate") and not list(session._settings().temporary.iterdir())


@pytest.mark.parametrize(
    "answer, message",
    [({"error": [-32803, "a.png is empty", {}]}, "a.png is empty"), ({"result": {"method": 3}}, "lacks the key")],
)
def test_a_question_that_cannot_be_answered_is_no_problem_until_somebody_wants_a_mesh(
    session, follow, clock, requests, answer, message
):
    follow({"select": [answer]})
    session.selection.ask(QUESTION)
    clock.now += states.SELECT_AFTER
    wait_quietly(session, lambda: session.selection.problem)
    assert message in session.selection.problem and session.selected(QUESTION) is None
    clock.now += 60
    session.tick()
    assert len(requests("select")) == 1
    session.generate(RECIPE)
    tick_until(session, lambda: session.problem)
    assert message in session.problem.message
    assert session.problem.code in (ErrorCode.FAILED, ErrorCode.INTERNAL_ERROR)
    assert session.state is State.READY and not requests("generate")


@pytest.mark.parametrize(
    "script",
    [
        {"initialize": [{"die": 1}]},
        {"initialize": [{"error": [-32010, "another version", {}]}]},
        {"initialize": [{"print": "garbage\n"}, {"die": -9}]},
        {"select": [{"die": 1}]},
    ],
)
def test_a_worker_that_fails_in_the_background_disturbs_nobody_and_is_not_started_again_and_again(
    session, follow, clock, script, requests
):
    follow(script)
    session.selection.ask(QUESTION)
    clock.now += states.SELECT_AFTER
    tick_until(session, lambda: session.selection.problem)
    tick_until(session, lambda: not session.moving)
    assert session.problem is None
    begun = len(requests("initialize"))
    for _ in range(5):
        clock.now += states.SELECT_AFTER
        session.tick()
    assert len(requests("initialize")) == begun == 1
    follow({"select": [SELECTS]})
    session.generate(RECIPE)
    tick_until(session, lambda: session.results.waiting)
    assert session.problem is None and session.selected(QUESTION) == TAKEN


def test_a_worker_that_never_answers_in_the_background_is_ended(session, follow, clock):
    follow({"initialize": [{"wait": "ever"}]})
    session.selection.ask(QUESTION)
    clock.now += states.SELECT_AFTER
    session.tick()
    pid = session.link.client.pid
    clock.now += states.START_LIMIT + 1
    tick_until(session, lambda: session.link.client is None)
    assert not alive(pid) and session.problem is None and "did not answer" in session.selection.problem


def test_what_is_here_now_may_change_the_answer_so_it_is_asked_again(session, follow, clock, requests):
    others = catalogue.shipped()[:1]
    follow({"select": [SELECTS], "catalogue": [{"result": asdict(Catalogue(others))}]})
    select(session, clock)
    session.download("triposr")
    tick_until(session, lambda: session.methods == others)
    assert session.selection.answer is None
    clock.now += states.SELECT_AFTER
    tick_until(session, lambda: len(requests("select")) == 2)


def test_a_job_of_networks_that_are_not_offered_any_more_says_so(session, follow):
    follow({"select": [{"result": {"method": "gone", "network": "gone"}}]})
    session.generate(RECIPE)
    tick_until(session, lambda: session.problem)
    assert "gone is not offered any more" in session.problem.message and session.state is State.READY
