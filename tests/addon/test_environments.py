# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks and orders of a session, carried out by a fake of `python -m envs`. The clock moves only where a test moves
it; environments are a marker file, as `envs` writes it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest
from image_to_3d.addon.session import launch, process, states, tasks
from image_to_3d.addon.session.environments import Report
from image_to_3d.addon.session.jobs import Label
from image_to_3d.addon.session.launch import Settings, Standing
from image_to_3d.addon.session.session import Session
from image_to_3d.addon.session.states import State
from image_to_3d.addon.session.tasks import Check, Order
from image_to_3d.addon.ui import report
from image_to_3d.envs.machine.platforms import python_in
from image_to_3d.envs.specs import spec
from image_to_3d.envs.states import write_marker
from image_to_3d.tests.addon.waiting import alive, recipe, until

FAKE = Path(__file__).with_name("fake_envs.py")


@pytest.fixture
def first(tmp_path: Path) -> Settings:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "root").mkdir()
    return Settings(tmp_path / "root", temporary, tmp_path / "logs", tmp_path / "own" / "catalogue.json", online=True)


@pytest.fixture
def settings(first: Settings) -> dict[str, Settings]:
    """The settings of the moment, which a test may change."""
    return {"now": first}


@pytest.fixture
def envs(monkeypatch, tmp_path):
    """Makes `python -m envs` follow a script; its `calls` are what was asked of it."""

    class Envs:
        path = tmp_path / "envs.json"

        def follow(self, script: dict) -> None:
            self.path.write_text(json.dumps(script))

        def calls(self, command: str = "") -> list[dict]:
            log = Path(f"{self.path}.calls")
            found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
            return [call for call in found if command in ("", call["command"])]

    fake = Envs()
    fake.follow({})
    monkeypatch.setattr(tasks, "ENVS", (sys.executable, str(FAKE), str(fake.path)))
    return fake


@pytest.fixture
def make_ready(first):
    """Makes an environment ready as far as `envs.status` looks: a marker, and a folder with an interpreter."""

    def make(name: str = "core", root: Path = first.root) -> None:
        folder = root / "environments" / f"{name}@1"
        python = python_in(folder)
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        write_marker(root / "environments" / f"{name}.json", folder, spec(name).fingerprint, "")

    return make


@pytest.fixture
def session(settings, clock, envs):
    made = Session(lambda: settings["now"], clock)
    made.look()
    yield made
    made.close()


def found(state: str = "absent", **more) -> dict:
    """What a check says of one environment and the machine."""
    entry = {
        "name": "core",
        "label": "Core",
        "state": state,
        "reason": "why",
        "python": None,
        "bytes": None,
        "need": {"download": 300_000_000, "disk": 1_400_000_000, "packages": 40},
        "licence": "free",
        "versions": None,
        "log_tail": "",
    }
    whole = {
        "root": "r",
        "product": "0.1",
        "platform": "p",
        "hardware": {"gpus": [{"name": "Card 3000"}]},
        "torch": {"requirement": "torch==1", "reason": "the driver is new enough", "device": "cuda", "warning": None},
        "free_bytes": 5_000_000_000,
        "findings": [{"name": "space", "ok": True, "text": "there is room"}],
        "environments": [entry],
        "sizes": None,
        "text": "## Report of a check\n",
    }
    return {**whole, **{key: value for key, value in more.items() if key in whole}} | {
        "environments": [{**entry, **{key: value for key, value in more.items() if key in entry}}]
    }


def wait_for(session: Session, what) -> None:
    until(lambda: session.tick() and what() or what())


def checked(session: Session) -> bool:
    return session.environments.last_check is not None and not session.environments.checking


# ---- checks


def test_an_environment_is_checked_some_seconds_after_the_start_and_only_once(session, envs, clock):
    envs.follow({"check": [{"say": found()}, {"exit": 1}]})
    session.tick()
    assert session.environments.checking and not envs.calls()
    clock.now += states.CHECK_AFTER + 0.1
    wait_for(session, lambda: checked(session))
    entry = session.environments.last_check.entry("core")
    assert (entry.standing, entry.download, entry.disk) == (Standing.ABSENT, 300_000_000, 1_400_000_000)
    assert session.environments.last_check.gpus == ("Card 3000",) and session.environments.check_error == ""
    clock.now += 100
    session.look()
    session.tick()
    [call] = envs.calls()
    assert call["arguments"][:2] == ["core", "--files"] and not session.environments.checking


@pytest.mark.skipif(os.name != "posix", reason="niceness is POSIX's")
def test_a_check_leaves_the_processor_to_others_and_an_order_does_not(session, envs, clock):
    envs.follow({"check": [{"wait": "ever"}], "create": [{"wait": "ever"}]})
    clock.now += states.CHECK_AFTER + 0.1
    session.tick()
    [call] = until(envs.calls)
    assert os.getpriority(os.PRIO_PROCESS, call["pid"]) >= niceness()
    session.give_order(Order("create"))
    [call] = until(lambda: envs.calls("create"))
    assert call["niceness"] == os.nice(0)


def niceness() -> int:
    return min(os.nice(0) + 1, process.GENTLE)


def test_a_check_waits_until_no_job_runs(session, envs, clock, make_ready, command, monkeypatch):
    make_ready()
    script = command({"generate": [{"progress": [0.5, "half"]}, {"wait": "cancel"}]})
    monkeypatch.setattr(launch, "worker_command", lambda python: script)
    session.look()
    session.generate(recipe())
    wait_for(session, lambda: session.shown.fraction == 0.5)
    clock.now += states.CHECK_AFTER + 0.1
    session.tick()
    assert session.environments.checking and not envs.calls()
    envs.follow({"check": [{"say": found("ready")}]})
    session.cancel()
    wait_for(session, lambda: checked(session))


def test_a_python_of_the_users_own_is_not_checked(envs, first, clock):
    session = Session(lambda: dataclasses.replace(first, python=Path(sys.executable)), clock)
    session.look()
    clock.now += 100
    session.tick()
    assert not session.environments.checking and session.state is State.IDLE


def test_another_method_may_need_another_environment_which_is_looked_at_and_checked(session, envs, clock, make_ready):
    make_ready()
    session.look()
    assert session.state is State.IDLE
    clock.now += states.CHECK_AFTER + 0.1
    envs.follow({"check": [{"say": found("ready")}]})
    wait_for(session, lambda: checked(session))
    session.need("nerf")
    assert session.state is State.ABSENT and session.interpreter.standing is Standing.ABSENT
    envs.follow({"check": [{"say": found(name="nerf", label="NeRF")}]})
    wait_for(session, lambda: checked(session) and session.environments.last_check.entry("nerf"))
    assert session.environments.last_check.entry("core").standing is Standing.READY
    session.need("core")
    assert session.state is State.IDLE and not session.environments.checking
    assert [call["arguments"][0] for call in envs.calls()] == ["core", "nerf"]


def test_a_method_of_an_environment_that_we_do_not_have_is_explained_and_can_be_left(session):
    session.need("of another version")
    assert session.state is State.ABSENT and "of another version" in session.interpreter.reason
    session.need("core")
    assert session.interpreter.standing is Standing.ABSENT


def test_damage_that_a_check_finds_is_what_the_panel_says(session, envs, clock, make_ready, first):
    make_ready()
    session.look()
    assert session.state is State.IDLE
    damage = {"folder": "core@1", "reason": "a file of numpy is gone", "when": "now"}
    write = [str(first.root / "environments" / "core.broken.json"), json.dumps(damage)]
    envs.follow({"check": [{"write": write}, {"say": found("broken")}, {"exit": 1}]})
    clock.now += states.CHECK_AFTER + 0.1
    wait_for(session, lambda: checked(session))
    assert session.state is State.ABSENT and session.interpreter.standing is Standing.BROKEN
    assert "a file of numpy is gone" in session.interpreter.reason and session.problem is None


@pytest.mark.parametrize(
    "steps",
    [
        [{"exit": 3}],
        [{"print": "garbage"}, {"print": "[]"}, {"print": "{"}],
        [{"say": {"environments": 3}}],
        [{"say": {"environments": [3], "root": "r"}}],
        [{"say": {"environments": [{"name": "core", "state": "wonderful"}], "root": "r"}}],
        [{"say": found() | {"root": None, "findings": 3}}],
    ],
)
def test_a_check_that_cannot_be_understood_is_no_problem_of_the_panels(session, envs, clock, steps):
    envs.follow({"check": steps})
    clock.now += states.CHECK_AFTER + 0.1
    wait_for(session, lambda: session.environments.check_error)
    assert session.problem is None and session.environments.problem is None and not session.environments.checking


def test_a_check_that_never_ends_is_ended(session, envs, clock):
    envs.follow({"check": [{"wait": "deaf"}]})
    clock.now += states.CHECK_AFTER + 0.1
    session.tick()
    [call] = until(envs.calls)
    clock.now += states.CHECK_LIMIT + 1
    wait_for(session, lambda: session.environments.check_error)
    assert not alive(call["pid"])


def test_a_check_can_be_stopped(session, envs, clock):
    envs.follow({"check": [{"wait": "ever"}]})
    session.environments.want(Check(("core",), deep=True))
    session.tick()
    [call] = until(envs.calls)
    assert "--files" not in call["arguments"]
    session.environments.stop_check()
    wait_for(session, lambda: not session.environments.checking)
    assert session.environments.check_error == "" and not alive(call["pid"])


def test_a_size_that_was_counted_is_not_forgotten_by_a_check_that_does_not_count(session, envs):
    envs.follow({"check": [{"say": found("ready", bytes=1234)}], "check --files": [{"say": found("ready")}]})
    session.environments.want(Check(("core",), deep=True))
    wait_for(session, lambda: checked(session))
    session.environments.last_check = dataclasses.replace(session.environments.last_check, free=None)
    session.environments.want(Check(("core",)))
    session.environments.ask_for_report()
    wait_for(session, lambda: session.environments.last_check.free is not None)
    assert session.environments.last_check.entry("core").bytes == 1234


# ---- a worker that does not start


@pytest.fixture
def dying_worker(monkeypatch, command):
    script = command({"initialize": [{"stderr": 20}, {"die": 1}]})
    monkeypatch.setattr(launch, "worker_command", lambda python: script)


def test_a_worker_that_does_not_start_has_its_environment_tried(session, envs, make_ready, dying_worker, first):
    make_ready()
    session.look()
    damage = {"folder": "core@1", "reason": "torch cannot be imported", "when": "now"}
    write = [str(first.root / "environments" / "core.broken.json"), json.dumps(damage)]
    envs.follow({"check": [{"write": write}, {"say": found("broken")}, {"exit": 1}]})
    session.generate(recipe())
    wait_for(session, lambda: session.problem)
    wait_for(session, lambda: checked(session))
    assert session.interpreter.standing is Standing.BROKEN and "torch cannot be imported" in session.interpreter.reason
    assert session.problem is None
    [call] = envs.calls()
    assert "--files" not in call["arguments"]


def test_a_worker_that_does_not_start_in_a_good_environment_keeps_its_own_message(
    session, envs, make_ready, dying_worker
):
    make_ready()
    session.look()
    envs.follow({"check": [{"say": found("ready")}]})
    session.generate(recipe())
    wait_for(session, lambda: checked(session))
    assert "exit code 1" in session.problem.message and "was tried" in session.problem.message
    assert "last words" in session.problem.log and session.state is State.IDLE


# ---- orders


def progress(fraction: float, **more) -> dict:
    return {"say": {"stage": "torch", "progress": fraction, "message": "fetching torch", **more}}


def test_setting_up_shows_stages_and_bytes_and_ends_ready(session, envs, first, make_ready):
    envs.follow({"create": [progress(0.5, bytes=120, of=300), {"wait": "ever"}]})
    session.give_order(Order("create"))
    assert session.state is State.SETTING_UP
    wait_for(session, lambda: session.shown == states.Shown(0.5, "torch", "fetching torch", 120, 300))
    session.cancel()
    wait_for(session, lambda: session.state is State.ABSENT)
    assert session.environments.problem is None and session.environments.done is None
    envs.follow({"create": [progress(0.5), {"say": {"state": "ready", "python": "x"}}], "check": [{"say": found()}]})
    session.give_order(Order("create"))
    make_ready()
    wait_for(session, lambda: session.state is State.IDLE)
    assert session.environments.done == Order("create") and session.environments.problem is None
    wait_for(session, lambda: checked(session))
    [call, _] = envs.calls("create")
    assert call["arguments"] == ["core", "--root", str(first.root), "--json", "--device", "auto"]
    assert "UV_OFFLINE" not in call["variables"]


@pytest.mark.parametrize(
    "steps, message",
    [
        ([{"say": {"state": "absent", "error": "the disk is full"}}, {"exit": 1}], "the disk is full"),
        ([{"stderr": "garbage"}, {"exit": 3}], tasks.UNFINISHED),
        ([{"print": "{"}, {"print": "[]"}, {"say": {"stage": 1}}, {"exit": 1}], tasks.UNFINISHED),
    ],
)
def test_setting_up_that_fails_says_why_and_can_be_tried_again(session, envs, steps, message):
    envs.follow({"create": [{"stderr": "last words"}, *steps]})
    session.give_order(Order("create"))
    wait_for(session, lambda: session.state is State.ABSENT)
    assert session.environments.problem.message == message and session.environments.failed == Order("create")
    assert "last words" in session.environments.problem.log
    session.results.cancelled = Label("setting up")
    session.give_order(Order("create"))
    assert session.state is State.SETTING_UP and session.environments.problem is None
    assert session.results.cancelled is None, "what was given up before is not what happens now"


def test_setting_up_that_does_not_hear_a_cancel_is_killed(session, envs, clock):
    envs.follow({"create": [{"wait": "deaf"}]})
    session.give_order(Order("create"))
    wait_for(session, lambda: session.shown.stage == "deaf")
    [call] = envs.calls("create")
    session.cancel()
    session.tick()
    assert session.state is State.STOPPING and alive(call["pid"])
    clock.now += 2.1
    wait_for(session, lambda: session.state is State.ABSENT)
    assert not alive(call["pid"]) and session.environments.problem is None


def test_an_order_that_says_nothing_for_long_is_ended(session, envs, clock):
    envs.follow({"create": [{"wait": "ever"}]})
    session.give_order(Order("create"))
    until(lambda: envs.calls("create"))
    clock.now += states.QUIET_LIMIT + 1
    wait_for(session, lambda: session.state is State.ABSENT)
    assert session.environments.problem.message == tasks.UNFINISHED


def test_a_worker_is_ended_before_its_environment_is_changed(session, envs, make_ready, command, monkeypatch):
    make_ready()
    script = command({})
    monkeypatch.setattr(launch, "worker_command", lambda python: script)
    session.look()
    session.generate(recipe())
    wait_for(session, lambda: session.state is State.READY)
    pid = session.link.client.pid
    envs.follow({"repair": [{"say": {"state": "ready", "python": "x"}}], "check": [{"say": found("ready")}]})
    session.give_order(tasks.making("core", session.interpreter.standing))
    assert session.state is State.STOPPING and not envs.calls("repair")
    wait_for(session, lambda: session.environments.done)
    assert not alive(pid) and session.state is State.IDLE and len(envs.calls("repair")) == 1


def test_each_method_gets_a_worker_of_its_own_environment_and_there_is_one_at_a_time(
    session, envs, make_ready, command, monkeypatch, requests
):
    envs.follow({"check": [{"say": found("ready")}], "create": [{"say": {"state": "ready", "python": "x"}}]})
    make_ready()
    script, started, alive_then = command({"initialize": [{"shipped": True}]}), [], []

    def start(python: Path) -> list[str]:
        started.append(python.parent.parent.name.partition("@")[0])
        alive_then.append([each["pid"] for each in requests("initialize") if alive(each["pid"])])
        return script

    monkeypatch.setattr(launch, "worker_command", start)
    session.look()
    session.generate(recipe(network="included"))
    wait_for(session, lambda: len(session.results.waiting) == 1)

    session.need("nerf")
    assert session.interpreter.standing is Standing.ABSENT and not session.can_begin and not session.moving
    session.generate(recipe(network="nerfacto", method="nerfstudio"))
    assert session.state is State.READY and len(session.results.waiting) == 1
    session.give_order(tasks.making("nerf", session.environments.standing("nerf")))
    make_ready("nerf")
    wait_for(session, lambda: session.environments.done)
    assert [call["arguments"][0] for call in envs.calls("create")] == ["nerf"] and session.state is State.IDLE
    session.generate(recipe(network="nerfacto", method="nerfstudio"))
    wait_for(session, lambda: len(session.results.waiting) == 2)

    session.need("core")
    assert session.can_begin
    session.generate(recipe(network="included"))
    wait_for(session, lambda: len(session.results.waiting) == 3)
    assert started == ["core", "nerf", "core"] and alive_then == [[], [], []]
    assert [each["params"]["network"] for each in requests("generate")] == ["included", "nerfacto", "included"]
    assert session.problem is None and session.environments.problem is None


@pytest.mark.parametrize(
    "standing, verb",
    [
        (Standing.ABSENT, "create"),
        (Standing.INCOMPLETE, "create"),
        (Standing.OUTDATED, "create"),
        (Standing.BROKEN, "repair"),
        (Standing.READY, "repair"),
        (None, "create"),
    ],
)
def test_what_makes_an_environment_ready_depends_on_its_state(standing, verb):
    assert tasks.making("nerf", standing) == Order(verb, "nerf")


def test_without_a_network_packages_come_from_the_wheelhouse_alone(first):
    offline = dataclasses.replace(first, online=False, wheelhouse=Path("/wheels"))
    for verb in ("create", "repair"):
        command = tasks.order_command(offline, Order(verb))
        assert command[command.index("--wheelhouse") + 1] == "/wheels"
    assert "--wheelhouse" not in tasks.order_command(offline, Order("remove"))


def test_in_offline_mode_uv_is_told_so(session, envs, settings):
    settings["now"] = dataclasses.replace(settings["now"], online=False)
    session.give_order(Order("remove"))
    [call] = until(lambda: envs.calls("remove"))
    assert call["variables"]["UV_OFFLINE"] == "1"


def test_what_was_moved_is_told_once_and_checked_where_it_is_now(session, envs, settings, tmp_path, make_ready):
    new = tmp_path / "new"
    envs.follow({"move": [{"say": {"state": "ready", "python": "x", "root": str(new)}}], "check": [{"say": found()}]})
    session.give_order(Order("move", folder=new))
    wait_for(session, lambda: session.environments.done)
    assert session.environments.take_moved() == new and session.environments.take_moved() is None
    assert envs.calls("move")[0]["arguments"][0] == str(new)
    make_ready(root=new)
    settings["now"] = dataclasses.replace(settings["now"], root=new)
    session.look()
    assert session.state is State.IDLE and session.environments.checking


def test_what_could_not_be_moved_stays(session, envs, tmp_path):
    envs.follow({"move": [{"say": {"state": "absent", "error": "no room there"}}, {"exit": 1}]})
    session.give_order(Order("move", folder=tmp_path / "new"))
    wait_for(session, lambda: session.environments.problem)
    assert session.environments.take_moved() is None and session.environments.failed.doing == "moving"


def test_close_leaves_no_process_behind(session, envs):
    envs.follow({"create": [{"wait": "deaf"}], "check": [{"wait": "deaf"}]})
    session.give_order(Order("create"))
    wait_for(session, lambda: session.shown.stage == "deaf")
    [call] = envs.calls("create")
    session.close()
    until(lambda: not alive(call["pid"]))
    assert session.tick() is False and session.state is State.ABSENT


# ---- the report


def test_a_report_waits_for_a_check_if_there_was_none(session, envs):
    envs.follow({"check": [{"say": found(text="## Report of a check\n")}]})
    session.environments.ask_for_report()
    assert session.environments.report is Report.WANTED
    wait_for(session, lambda: session.environments.report is Report.DUE)
    assert "## Report of a check" in report.text(session, "4.3")
    session.environments.ask_for_report()
    assert session.environments.report is Report.DUE and len(envs.calls()) == 1


def test_a_report_comes_also_when_the_check_does_not_work(session, envs):
    envs.follow({"check": [{"exit": 3}]})
    session.environments.ask_for_report()
    wait_for(session, lambda: session.environments.report is Report.DUE)
    assert "could not be checked" in report.text(session, "4.3")


def test_a_report_names_no_home_folder(session, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings["now"] = dataclasses.replace(settings["now"], python=tmp_path / "bin" / "python")
    session.look()
    assert str(tmp_path) not in report.text(session, "4.3")
