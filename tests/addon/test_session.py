# SPDX-License-Identifier: GPL-3.0-or-later
"""The session against a worker that fails at every point there is. The clock moves only where a test moves it."""

import dataclasses
import sys
from pathlib import Path

import pytest
from image_to_3d.addon.session import catalogue, jobs, states
from image_to_3d.addon.session.launch import Settings
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import State
from image_to_3d.tests.addon.waiting import alive, recipe, tick_until, until
from image_to_3d.worker.wire.offers import DownloadParams
from image_to_3d.worker.wire.protocol import ErrorCode


@pytest.fixture
def first(tmp_path: Path) -> Settings:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return Settings(
        tmp_path / "root",
        temporary,
        tmp_path / "logs",
        tmp_path / "own" / "catalogue.json",
        python=Path(sys.executable),
    )


@pytest.fixture
def settings(first: Settings) -> dict[str, Settings]:
    """The settings of the moment, which a test may change."""
    return {"now": first}


def generate(session: Session) -> None:
    session.generate(recipe())


def wait_for(session: Session, wanted: State) -> None:
    def arrived() -> bool:
        session.tick()
        return session.state is wanted

    until(arrived)


def job_folders(settings: Settings) -> list[Path]:
    return list(settings.temporary.iterdir())


def test_a_job_starts_the_worker_and_ends_with_a_mesh_to_import(session, follow, first):
    follow({"generate": [{"progress": [0.25, "estimating depth", "tile 3", 40.0]}, {"write": "glb"}]})
    assert session.state is State.IDLE
    generate(session)
    assert session.state is State.STARTING
    wait_for(session, State.READY)
    finished = session.results.waiting[0]
    assert Path(finished.result.glb).read_text() == "glb"
    assert session.shown == states.Shown(0.25, "estimating depth", "tile 3", remaining=40.0)
    session.results.imported(finished)
    assert session.results.last.faces == 2 and session.problem is None and not job_folders(first)


def test_a_second_job_uses_the_same_worker(session, follow):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    pid = session.link.client.pid
    generate(session)
    assert session.state is State.BUSY
    wait_for(session, State.READY)
    assert session.link.client.pid == pid and len(session.results.waiting) == 2


def test_a_changed_setting_starts_another_worker_for_the_next_job(session, follow, settings):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    pid = session.link.client.pid
    settings["now"] = dataclasses.replace(settings["now"], device="cpu")
    generate(session)
    assert session.state is State.STOPPING
    wait_for(session, State.READY)
    assert len(session.results.waiting) == 2 and session.link.client.pid != pid and not alive(pid)


def test_what_the_worker_offers_is_kept_for_the_next_start(session, follow, first):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    assert [network.name for network in session.methods[0].networks] == ["included", "big"]
    assert catalogue.read(first.catalogue) == session.methods


def test_a_cancelled_job_is_no_problem_and_the_worker_stays(session, follow, first):
    follow({"generate": [{"progress": [0.5, "half"]}, {"wait": "cancel"}]})
    generate(session)
    until(lambda: session.tick() and session.shown.fraction == 0.5)
    session.cancel()
    assert session.state is State.CANCELLING
    wait_for(session, State.READY)
    assert session.problem is None and not session.results.waiting and not job_folders(first)


def test_what_is_made_so_far_is_shown_and_can_be_enough(session, follow, first):
    follow({"generate": [{"progress": [0.5, "half"]}, {"preview": "/a.png"}, {"wait": "enough"}, {"write": "glb"}]})
    generate(session)
    assert not session.can_end_early
    until(lambda: session.tick() and session.shown.preview == "/a.png")
    assert session.shown.fraction == 0.5 and session.state is State.BUSY and session.can_end_early
    session.enough()
    assert session.shown.enough and not session.can_end_early
    wait_for(session, State.READY)
    assert len(session.results.waiting) == 1
    generate(session)
    assert session.shown.preview == ""


def test_what_is_made_already_cannot_be_ended_early(session, follow):
    follow({"generate": [{"preview": "/a.png"}, {"preview": ""}, {"progress": [0.5, "half"]}, {"wait": "cancel"}]})
    generate(session)
    until(lambda: session.tick() and session.shown.fraction == 0.5)
    assert not session.shown.preview and not session.can_end_early


def test_a_job_that_was_done_before_it_heard_the_cancel_is_thrown_away(session, follow, first, tmp_path):
    done = tmp_path / "done"
    follow({"generate": [{"write": "glb"}, {"touch": str(done)}]})
    session.generate(recipe(network="included"))
    wait_for(session, State.BUSY)
    until(done.exists)
    session.cancel()
    wait_for(session, State.READY)
    assert not session.results.waiting and not job_folders(first)


def test_a_cancel_while_the_worker_starts_ends_it(session, follow, first):
    follow({"initialize": [{"wait": "ever"}]})
    generate(session)
    session.cancel()
    assert session.state is State.STOPPING
    wait_for(session, State.IDLE)
    assert session.problem is None and not job_folders(first)


def test_a_worker_that_ignores_cancel_is_ended_by_force_and_the_next_job_works(session, follow, clock):
    follow({"generate": [{"progress": [0.5, "half"]}, {"wait": "deaf"}]})
    generate(session)
    until(lambda: session.tick() and session.shown.fraction == 0.5)
    pid = session.link.client.pid
    session.cancel()
    session.tick()
    assert session.state is State.CANCELLING
    clock.now += states.CANCEL_GRACE + 0.1
    wait_for(session, State.IDLE)
    assert session.problem is None and not alive(pid)
    follow({})
    generate(session)
    wait_for(session, State.READY)
    assert len(session.results.waiting) == 1


def test_a_worker_that_does_not_end_when_asked_gently_can_be_ended_by_force(session, follow, clock, settings):
    follow({"catalogue": [{"wait": "deaf"}]})
    session.download("triposr")
    wait_for(session, State.READY)
    pid = session.link.client.pid
    settings["now"] = dataclasses.replace(settings["now"], device="cpu")
    generate(session)
    assert session.state is State.STOPPING and not session.can_force
    clock.now += states.FORCE_AFTER + 0.1
    assert session.can_force and alive(pid)
    follow({})
    session.force_stop()
    wait_for(session, State.READY)
    assert not alive(pid) and len(session.results.waiting) == 1


@pytest.mark.parametrize(
    "script",
    [
        {"initialize": [{"stderr": 20}, {"die": 1}]},
        {"initialize": [{"print": "garbage\n"}, {"stderr": 20}, {"die": -9}]},
        {"generate": [{"stderr": 20}, {"die": 0}]},
        {"generate": [{"progress": [0.5, "half"]}, {"stderr": 20}, {"die": -11}]},
        {"generate": [{"write": "half a g"}, {"stderr": 20}, {"die": -9}]},
    ],
)
def test_a_worker_that_dies_leaves_an_error_with_its_log_and_a_panel_that_works(session, follow, first, script):
    follow(script)
    generate(session)
    wait_for(session, State.IDLE)
    assert session.problem.code is ErrorCode.WORKER_EXITED
    assert "last words" in session.problem.log
    assert not job_folders(first)
    follow({})
    generate(session)
    assert session.problem is None
    wait_for(session, State.READY)
    assert len(session.results.waiting) == 1


def test_an_error_of_the_job_is_shown_and_the_worker_stays(session, follow):
    follow({"generate": [{"error": [-32803, "a.png is empty", {}]}]})
    generate(session)
    wait_for(session, State.READY)
    assert (session.problem.message, session.problem.code) == ("a.png is empty", ErrorCode.FAILED)
    session.dismiss()
    assert session.problem is None


def test_missing_weights_say_what_to_download(session, follow):
    follow({"generate": [{"error": [-32012, "the weights are missing", {"network": "big", "bytes": 5}]}]})
    generate(session)
    wait_for(session, State.READY)
    assert session.problem.missing == DownloadParams("big")


def test_what_the_worker_is_unsure_of_says_which_option_goes_on(session, follow):
    follow({"generate": [{"error": [-32014, "only 2 of 9 are placed", {"option": "allow_partial"}]}]})
    generate(session)
    wait_for(session, State.READY)
    assert (session.problem.code, session.problem.option) == (ErrorCode.UNSURE, "allow_partial")


def test_a_download_asks_again_what_is_here(session, follow):
    listed = catalogue.shipped()[:1]
    follow({"catalogue": [{"result": {"methods": [dataclasses.asdict(method) for method in listed]}}]})
    session.download("triposr")
    wait_for(session, State.READY)
    tick_until(session, lambda: session.methods == listed)


def test_a_refused_introduction_is_shown_and_the_worker_is_ended(session, follow):
    follow({"initialize": [{"error": [-32010, "another version", {}]}]})
    generate(session)
    wait_for(session, State.IDLE)
    assert session.problem.code is ErrorCode.VERSION_MISMATCH


def test_a_worker_that_never_answers_its_start_is_given_up(session, follow, clock, first):
    follow({"initialize": [{"wait": "ever"}]})
    generate(session)
    clock.now += states.START_LIMIT + 1
    session.tick()
    assert session.state is State.STOPPING and "did not answer" in session.problem.message
    wait_for(session, State.IDLE)
    assert not job_folders(first)


def test_a_job_without_a_sign_of_life_is_given_up(session, follow, clock):
    follow({"generate": [{"progress": [0.5, "half"]}, {"wait": "ever"}]})
    generate(session)
    until(lambda: session.tick() and session.shown.fraction == 0.5)
    clock.now += states.QUIET_LIMIT + 1
    wait_for(session, State.IDLE)
    assert "nothing was heard" in session.problem.message


def test_a_process_that_cannot_be_ended_is_left_behind(session, follow, clock, monkeypatch):
    follow({"initialize": [{"wait": "ever"}]})
    generate(session)
    client = session.link.client
    monkeypatch.setattr(client, "kill", lambda: None)
    session.cancel()
    clock.now += states.STOP_LIMIT + 1
    session.tick()
    assert session.state is State.IDLE and "could not be ended" in session.problem.message
    monkeypatch.undo()
    client.close()


def test_a_worker_killed_while_it_had_nothing_to_do_is_replaced_without_a_word(session, follow):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    session.link.client.kill()
    wait_for(session, State.IDLE)
    assert session.problem is None
    generate(session)
    wait_for(session, State.READY)
    assert len(session.results.waiting) == 2


def test_a_worker_that_rests_for_long_gives_its_memory_back(session, follow, clock):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    clock.now += states.REST_AFTER + 1
    wait_for(session, State.IDLE)
    assert session.link.client is None and session.problem is None


def test_without_an_environment_nothing_begins_and_one_that_appears_is_found(session, settings, clock):
    python = settings["now"].python
    settings["now"] = dataclasses.replace(settings["now"], python=Path("/nowhere/python"))
    session.look()
    assert session.state is State.ABSENT and "/nowhere/python" in session.interpreter.reason
    generate(session)
    assert session.state is State.ABSENT and not job_folders(settings["now"])
    settings["now"] = dataclasses.replace(settings["now"], python=python)
    clock.now += states.LOOK_AGAIN + 1
    assert session.tick() and session.state is State.IDLE


def test_a_missing_temporary_folder_is_an_error_and_not_an_exception(session, settings, tmp_path):
    settings["now"] = dataclasses.replace(settings["now"], temporary=tmp_path / "nowhere")
    session.generate(recipe(network="included"))
    assert session.state is State.IDLE and "temporary folder" in session.problem.message


def test_a_mesh_that_cannot_be_imported_is_shown_as_an_error(session, follow, first):
    follow({})
    generate(session)
    wait_for(session, State.READY)
    session.not_imported(session.results.waiting[0], "Traceback:\n  line 3\nno such file\n")
    assert session.problem.message.endswith(": no such file") and "line 3" in session.problem.log
    assert not job_folders(first)


def test_close_leaves_no_process_and_no_folder(session, follow, first):
    follow({"generate": [{"progress": [0.5, "half"]}, {"wait": "deaf"}]})
    generate(session)
    until(lambda: session.tick() and session.shown.fraction == 0.5)
    pid = session.link.client.pid
    session.close()
    until(lambda: not alive(pid))
    assert not job_folders(first) and session.tick() is False


def test_all_that_a_job_writes_goes_into_its_own_folder_which_goes_with_it(tmp_path):
    job = jobs.generation(recipe(), *catalogue.find(catalogue.shipped(), "included"), tmp_path)
    assert {Path(job.params.output).parent, Path(job.params.previews), Path(job.params.photos)} == {job.folder}
    job.discard()
    assert list(tmp_path.iterdir()) == []
