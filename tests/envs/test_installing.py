# SPDX-License-Identifier: GPL-3.0-or-later
"""Making environments with a uv that only pretends, in processes of their own as users and the add-on start them."""

import json
import os
import signal
import sys

import pytest
from image_to_3d.envs.states import State, read_marker, status, write_marker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, and a shell script that plays uv")


def lines(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def folders(home) -> list[str]:
    return sorted(path.name for path in home.environments.iterdir() if path.is_dir())


def test_creating_makes_it_ready_and_tells_a_program_how_far_it_is(home):
    answer = home.run("create", "core", "--json")
    *progress, end = lines(answer.stdout)
    assert answer.returncode == 0
    assert end == {"state": "ready", "python": str(status(home.root).python)}
    assert [each["progress"] for each in progress] == sorted(each["progress"] for each in progress)
    assert {"python", "packages", "torch", "verify"} <= {each["stage"] for each in progress}
    assert status(home.root).state is State.READY


def test_packages_come_from_the_lock_and_torch_comes_apart_in_one_exact_version(home):
    home.run("create", "core", "--json")
    venv, packages, torch, check = home.calls()[-4:]
    assert "--python /a/base/python" in venv
    assert "--requirements" in packages
    assert "--no-build" in packages
    assert "torch==2.13.0" in torch
    assert check.startswith("pip check")
    folder = status(home.root).folder
    assert "transformers==" in (folder / "requirements.txt").read_text()


def test_what_is_ready_is_not_made_again_unless_asked(home):
    home.run("create")
    calls, first = len(home.calls()), status(home.root).python
    assert home.run("create").returncode == 0
    assert (len(home.calls()), status(home.root).python) == (calls, first)
    assert home.run("create", "--anew").returncode == 0
    assert status(home.root).python not in (None, first)
    assert len(folders(home)) == 1


def test_nothing_is_written_below_the_root_but_into_known_folders(home):
    home.run("create")
    assert {path.name for path in home.root.iterdir()} <= {"environments", "tools", "cache", "logs", "pythons"}


@pytest.mark.parametrize("step", ["venv", "--requirements", "torch==", "pip check"])
def test_a_failing_step_is_told_in_one_sentence_and_leaves_nothing(home, step):
    home.variables |= {"FAKE_FAILS_AT": step, "FAKE_SAYS": "error: No space left on device (os error 28)"}
    answer = home.run("create", "--json")
    assert answer.returncode == 1
    end = lines(answer.stdout)[-1]
    assert end["state"] == "absent"
    assert "failed: the disk is full: free some space and try again" in end["error"]
    assert folders(home) == []
    assert answer.stderr == ""


def test_a_failure_leaves_the_log_of_what_uv_said(home):
    home.variables |= {"FAKE_FAILS_AT": "torch==", "FAKE_SAYS": "error: odd thing at https://me:secret@host/"}
    home.run("create")
    log = (home.root / "logs" / "core.log").read_text()
    assert "error: odd thing at https://host/" in log
    assert "$ uv pip install" in log


def test_an_environment_that_does_not_compute_is_not_ready(home):
    verdict = {"failed": {"torch": "OSError: libgomp.so.1 is missing"}, "versions": {}}
    home.variables["FAKE_VERDICT"] = json.dumps(verdict)
    answer = home.run("create")
    assert answer.returncode == 1
    assert "torch does not work in core (OSError: libgomp.so.1 is missing)" in answer.stderr
    assert status(home.root).state is State.ABSENT


def test_an_outdated_one_stays_in_use_until_the_new_one_works(home):
    home.run("create")
    old = status(home.root).folder
    write_marker(home.environments / "core.json", old, "of an older lock", "")
    home.variables |= {"FAKE_FAILS_AT": "pip check", "FAKE_SAYS": "error: x"}
    assert home.run("create").returncode == 1
    assert (status(home.root).state, folders(home)) == (State.OUTDATED, [old.name])
    home.variables.pop("FAKE_FAILS_AT")
    assert home.run("create").returncode == 0
    assert status(home.root).state is State.READY
    assert folders(home) == [status(home.root).folder.name] != [old.name]


@pytest.mark.parametrize("step", ["python find", "venv", "--requirements", "torch==", "pip check"])
def test_a_killed_installation_is_not_ready_and_is_made_again(home, step):
    home.variables["FAKE_HANGS_AT"] = step
    process = home.start("create")
    orphan = home.hanging_uv()
    process.kill()
    process.communicate()
    assert status(home.root).state in (State.ABSENT, State.INCOMPLETE)
    if step in ("--requirements", "torch==", "pip check"):
        assert status(home.root).state is State.INCOMPLETE
    os.kill(orphan, signal.SIGKILL)
    home.variables.pop("FAKE_HANGS_AT")
    assert home.run("create").returncode == 0
    assert status(home.root).state is State.READY
    assert len(folders(home)) == 1


def test_while_an_orphaned_uv_still_writes_nobody_else_installs(home):
    home.variables["FAKE_HANGS_AT"] = "torch=="
    process = home.start("create")
    home.hanging_uv()
    process.kill()
    process.communicate()
    assert f"process {process.pid} on" in home.run("create", "--wait", "0").stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_cancelling_ends_uv_and_leaves_nothing(home, number):
    home.variables["FAKE_HANGS_AT"] = "torch=="
    process = home.start("create", "--json")
    uv = home.hanging_uv()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert lines(out)[-1] == {"state": "absent", "error": "setting up was cancelled"}
    assert "Traceback" not in err
    assert folders(home) == []
    with pytest.raises(ProcessLookupError):
        os.kill(uv, 0)


def test_the_second_of_two_says_who_holds_it(home):
    home.variables["FAKE_HANGS_AT"] = "torch=="
    first = home.start("create")
    home.hanging_uv()
    second = home.run("create", "--wait", "0.3", "--json")
    assert second.returncode == 1
    assert f"another installation is going on (process {first.pid} on" in lines(second.stdout)[-1]["error"]


def test_the_second_of_two_waits_and_uses_what_the_first_made(home):
    home.variables["FAKE_HANGS_AT"] = "torch=="
    first = home.start("create")
    home.hanging_uv()
    second = home.start("create", "--json")
    assert "waiting for another installation" in json.loads(second.stdout.readline())["message"]
    home.let_uv_go()
    out, _ = second.communicate(timeout=30)
    assert (first.wait(30), second.returncode) == (0, 0)
    assert lines(out)[-1]["state"] == "ready"
    assert sum(call.startswith("venv") for call in home.calls()) == 1


def test_a_marker_that_was_deleted_means_incomplete_and_it_is_made_again(home):
    home.run("create")
    (home.environments / "core.json").unlink()
    assert status(home.root).state is State.INCOMPLETE
    assert home.run("create").returncode == 0
    assert read_marker(home.environments / "core.json").folder == folders(home)[0]


def test_a_root_that_cannot_be_written_is_named(home, tmp_path):
    (tmp_path / "file").touch()
    answer = home.run("create", "--root", str(tmp_path / "file" / "root"))
    assert answer.returncode == 1
    assert f"{tmp_path}/file/root" in answer.stderr
    assert "choose another folder" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_removing_leaves_nothing_of_it_and_all_of_the_others(home):
    home.run("create", "core")
    home.run("create", "test")
    assert home.run("remove", "core").returncode == 0
    assert (status(home.root, "core").state, status(home.root, "test").state) == (State.ABSENT, State.READY)
    assert all(name.startswith("test@") for name in folders(home))
    assert home.run("remove", "core").returncode == 0


def test_checking_tries_what_claims_to_be_ready(home):
    assert home.run("check").returncode == 1
    home.run("create")
    answer = home.run("check", "core", "test", "--json")
    states = {each["name"]: each["state"] for each in json.loads(answer.stdout)["environments"]}
    assert states == {"core": "ready", "test": "absent"}
    home.variables["FAKE_VERDICT"] = json.dumps({"failed": {"numpy": "ImportError: no"}, "versions": {}})
    assert "core: broken (numpy does not work in core (ImportError: no)" in home.run("check").stdout


def test_what_a_check_found_wrong_stays_wrong_until_one_as_deep_finds_it_good(home):
    home.run("create")
    home.variables["FAKE_VERDICT"] = json.dumps({"failed": {"numpy": "ImportError: no"}, "versions": {}})
    assert home.run("check").returncode == 1
    assert status(home.root).state is State.BROKEN
    assert status(home.root).python is None
    home.variables.pop("FAKE_VERDICT")
    assert home.run("check", "--quick").returncode == 1
    assert home.run("check", "--files").returncode == 1
    assert "numpy does not work in core" in status(home.root).reason
    assert home.run("check").returncode == 0
    assert status(home.root).state is State.READY


def test_an_environment_in_which_the_worker_does_not_start_is_not_ready(home):
    home.variables |= {"FAKE_HELLO": "", "FAKE_HELLO_EXIT": "1"}
    answer = home.run("create")
    assert answer.returncode == 1
    assert "the worker does not start in core (exit code 1)" in answer.stderr
    assert status(home.root).state is State.ABSENT


def test_repairing_what_is_whole_makes_nothing_anew(home):
    home.run("create")
    calls, first = home.calls(), status(home.root).python
    answer = home.run("repair", "--json")
    assert lines(answer.stdout)[-1] == {"state": "ready", "python": str(first)}
    assert home.calls() == calls


def test_what_was_ended_after_its_work_leaves_no_folder_for_ever(home):
    home.run("create")
    (home.environments / "core@00000000" / "bin").mkdir(parents=True)
    home.run("create", "--anew")
    assert folders(home) == [status(home.root).folder.name]


def test_a_program_is_told_how_removing_ended(home):
    home.run("create")
    answer = home.run("remove", "core", "--json")
    assert lines(answer.stdout)[-1] == {"state": "absent", "python": None}


def test_a_wheelhouse_that_is_not_there_is_named(home, tmp_path):
    answer = home.run("create", "--wheelhouse", str(tmp_path / "nowhere"))
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert f"there is no folder {tmp_path / 'nowhere'}" in answer.stderr


def test_an_unknown_environment_is_one_sentence(home):
    answer = home.run("create", "cor")
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert "choose one of core, " in answer.stderr
