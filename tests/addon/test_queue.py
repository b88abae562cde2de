# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue, the history and the estimates of a session, against a fake worker. The clock moves only where a test
moves it."""

import dataclasses
from pathlib import Path

from image_to_3d.addon.session import jobs, launch, states
from image_to_3d.addon.session.jobs import Label
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import State
from image_to_3d.addon.session.tasks import Order
from image_to_3d.tests.addon.waiting import recipe, tick_until
from image_to_3d.worker.wire.making import RemoveParams
from image_to_3d.worker.wire.offers import EstimateParams


def named(title: str):
    return dataclasses.replace(recipe(f"/pictures/{title}.png", "included"), label=Label(title))


def ask_until_answered(session: Session, clock) -> None:
    """What a worker offers is told by its start, and then the question is another."""

    def answered() -> object:
        clock.now += states.SELECT_AFTER
        return session.estimate.answer

    tick_until(session, answered)


def folders(settings) -> list[Path]:
    return list(settings["now"].temporary.iterdir())


def test_what_is_begun_while_something_runs_waits_its_turn_and_can_be_taken_out(session, follow, requests, settings):
    follow({"generate": [{"wait_for": "go"}]})
    for title in "abc":
        session.generate(named(title))
    assert session.state is State.STARTING and session.job.label.title == "a"
    assert [job.label.title for job in session.queue] == ["b", "c"] and len(folders(settings)) == 3
    session.unqueue(session.queue[0].number)
    assert [job.label.title for job in session.queue] == ["c"] and len(folders(settings)) == 2
    settings["now"].temporary.with_name("go").touch()
    tick_until(session, lambda: len(session.results.waiting) == 2)
    assert [each["params"]["pictures"] for each in requests("generate")] == [["/pictures/a.png"], ["/pictures/c.png"]]
    assert session.state is State.READY and not session.queue and session.job is None


def test_a_cancel_is_told_and_the_queue_goes_on(session, follow, settings):
    follow({"generate": [{"wait": "cancel"}]})
    session.generate(named("a"))
    tick_until(session, lambda: session.state is State.BUSY)
    session.generate(named("b"))
    session.cancel()
    assert session.results.cancelled == Label("a", "Included scene, fast")
    tick_until(session, lambda: session.job and session.job.label.title == "b")
    assert session.results.cancelled.title == "a" and len(folders(settings)) == 1
    session.cancel()
    tick_until(session, lambda: session.state is State.READY)
    assert session.results.cancelled.title == "b" and not folders(settings) and session.problem is None
    session.dismiss()
    assert session.results.cancelled is None


def test_a_failure_stays_to_be_read_while_the_queue_goes_on(session, follow, requests):
    follow({"generate": [{"die": 3}]})
    session.generate(named("a"))
    session.generate(named("b"))
    tick_until(session, lambda: session.problem and session.job)
    assert session.job.label.title == "b" and "exit code 3" in session.problem.message
    tick_until(session, lambda: not session.moving)
    assert len(requests("generate")) == 2 and session.problem and not session.queue


def test_no_more_than_a_bound_waits(session, follow, settings):
    follow({"generate": [{"wait": "cancel"}]})
    for number in range(jobs.QUEUE_LIMIT + 3):
        session.generate(named(str(number)))
    assert len(session.queue) == jobs.QUEUE_LIMIT and not session.can_add
    assert len(folders(settings)) == jobs.QUEUE_LIMIT + 1


def test_what_waits_is_thrown_away_with_the_session(session, follow, settings):
    follow({})
    session.generate(named("a"))
    session.generate(named("b"))
    session.close()
    assert not folders(settings) and not session.queue


def test_setting_up_goes_on_with_what_was_wanted(session, follow, settings, monkeypatch):
    python = settings["now"].python
    settings["now"] = dataclasses.replace(settings["now"], python=Path("/nowhere/python"))
    session.look()
    monkeypatch.setattr(session.environments, "begin", lambda order: True)
    session.set_up(Order("create"), recipe=named("a"))
    assert session.state is State.SETTING_UP and len(session.queue) == 1
    follow({})
    session.tick()
    assert len(session.queue) == 1
    settings["now"] = dataclasses.replace(settings["now"], python=python)
    session.state = State.IDLE  # the order is over
    tick_until(session, lambda: session.results.waiting)
    assert not session.queue


def test_setting_up_fetches_what_comes_along_before_what_was_wanted_and_goes_on_without_it(
    session, follow, requests, settings, monkeypatch
):
    python = settings["now"].python
    settings["now"] = dataclasses.replace(settings["now"], python=Path("/nowhere/python"))
    session.look()
    monkeypatch.setattr(session.environments, "begin", lambda order: True)
    session.set_up(Order("create"), "moge-2", named("a"))
    assert [job.method for job in session.queue] == ["networks/download", "generate"]
    follow({"networks/download": [{"result": {"network": "moge-2", "bytes": 0, "note": "no hub could be reached"}}]})
    settings["now"] = dataclasses.replace(settings["now"], python=python)
    session.state = State.IDLE  # the order is over
    tick_until(session, lambda: session.results.waiting)
    assert requests("networks/download")[0]["params"] == {"network": "moge-2", "along": True}
    assert session.results.note == "no hub could be reached" and session.problem is None
    session.dismiss()
    assert session.results.note == ""


def test_a_job_without_its_environment_lets_others_pass(session, follow):
    follow({})
    session.queue.append(dataclasses.replace(session._making(named("a")), environment="nerf"))
    found = launch.find
    session._settings().root.mkdir()
    try:
        launch.find = lambda settings, name="core": (
            launch.Interpreter(None, "missing") if name == "nerf" else found(settings, name)
        )
        session.generate(named("b"))
        tick_until(session, lambda: session.results.waiting)
    finally:
        launch.find = found
    assert [job.label.title for job in session.queue] == ["a"]


def test_estimates_are_asked_in_the_background_and_anew_after_a_job(session, follow, clock, requests):
    follow({})
    session.estimate.ask(EstimateParams("included"))
    session.tick()
    assert session.link.client is None
    ask_until_answered(session, clock)
    assert not session.moving and session.estimate.answer.memory == 2_000_000_000
    assert [each.seconds for each in session.estimate.answer.presets] == [4.0, 4.0]
    session.generate(named("a"))
    tick_until(session, lambda: session.results.waiting)
    assert session.estimate.answer is None
    ask_until_answered(session, clock)
    assert len(requests("estimate")) >= 2


def test_history_is_told_after_each_job_and_known_again_at_the_next_start(session, follow, settings, clock):
    follow({})
    assert session.history.told.entries == ()
    session.generate(named("a"))
    tick_until(session, lambda: session.history.told.entries)
    tick_until(session, lambda: session.results.waiting)
    again = Session(lambda: settings["now"], clock)
    again.recall()
    assert again.history.told == session.history.told and again.history.find("k1").seconds == 1.5
    assert again.history.find("gone") is None


def test_a_kept_result_comes_again_and_can_be_removed(session, follow, requests, settings):
    follow({"history/fetch": [{"write": "glb"}]})
    session.generate(named("a"))
    tick_until(session, lambda: session.history.told.entries)
    tick_until(session, lambda: session.state is State.READY)
    session.results.discard(session.results.waiting[0])
    session.fetch(session.history.find("k1"))
    tick_until(session, lambda: session.results.waiting)
    [finished] = session.results.waiting
    assert Path(finished.result.glb).read_text() == "glb" and finished.result.from_cache
    session.remove(RemoveParams(("k1",)))
    tick_until(session, lambda: len(session.history.told.entries) == 1)
    tick_until(session, lambda: session.state is State.READY)
    session.remove(RemoveParams(everything=True))
    tick_until(session, lambda: not session.history.told.entries)
    assert len(requests("history/remove")) == 2 and session.problem is None


def test_a_result_that_is_gone_is_a_problem_and_history_is_asked_again(session, follow, requests):
    follow({"history/fetch": [{"error": [-32803, "it is not kept any more", {}]}]})
    session.generate(named("a"))
    tick_until(session, lambda: session.history.told.entries and session.state is State.READY)
    before = len(requests("history"))
    session.fetch(session.history.find("k1"))
    tick_until(session, lambda: session.problem)
    tick_until(session, lambda: len(requests("history")) > before)
    assert session.problem.message == "it is not kept any more"


def test_a_result_can_be_made_without_the_cache(session, follow, requests):
    follow({})
    session.generate(dataclasses.replace(named("a"), cached=False))
    tick_until(session, lambda: session.results.waiting)
    [sent] = requests("generate")
    assert sent["params"]["cached"] is False


def test_what_went_wrong_can_be_shown_whatever_a_worker_says():
    told = jobs.problem("a\tb\0\ud800\nsecond " + "x" * 9000, None, "")
    assert all(line.isprintable() for line in told.message.split("\n")) and len(told.message) < 2100
    assert jobs.problem("", None, "").message == ""
