# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m envs run`: with an interpreter that shows how it was started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script plays the interpreter")
ROOT = Path(__file__).resolve().parent.parent.parent


def run_from(home, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """As a user in ``folder`` would, with the package on the path."""
    home.variables["PYTHONPATH"] = str(ROOT)
    return home.run("run", *arguments, cwd=folder)


def test_the_first_run_makes_the_environment_and_the_second_just_runs(home):
    first = home.run("run", "models")
    assert "core is ready" in first.stderr
    second = home.run("run", "models")
    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    assert first.stdout == second.stdout


def test_the_worker_starts_in_the_users_folder_with_the_users_words(home, tmp_path):
    words = ["generate", "a photo.jpg", "-o", "out.glb", "--json", "--", "-x", "*"]
    shown = run_from(home, tmp_path, *words).stdout.splitlines()
    folder, package, compiled, *arguments = shown
    assert Path(folder) == tmp_path
    assert Path(package) == ROOT
    assert arguments == ["-P", "-m", "worker", *words]
    assert Path(compiled).is_relative_to(home.root)


def test_the_worker_may_run_where_nerfstudio_is(home):
    answer = home.run("run", "--name", "nerf", "generate", "photos", "-o", "out.glb")
    assert answer.stdout.splitlines()[-5:] == ["worker", "generate", "photos", "-o", "out.glb"]
    assert {path.name.split("@")[0] for path in home.environments.glob("*@*")} == {"nerf"}


def test_help_of_the_worker_is_the_workers(home):
    assert home.run("run", "generate", "--help").stdout.splitlines()[-2:] == ["generate", "--help"]


@pytest.mark.parametrize("code", ["0", "1", "42"])
def test_exit_codes_come_back(home, code):
    home.variables["FAKE_EXIT"] = code
    assert home.run("run", "doctor").returncode == int(code)


def test_ctrl_c_reaches_what_runs_and_its_exit_code_comes_back(home, tmp_path):
    home.run("create")
    Path(home.variables["FAKE_PYTHON"]).write_text("")
    python = next(home.environments.glob("core@*/bin/python"))
    python.write_text("#!/bin/sh\ntrap 'echo cleaned up; exit 130' INT\necho begun\nwhile :; do sleep 0.05; done\n")
    process = home.start("run", "generate", "photo.jpg")
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "")


def test_tests_run_in_the_packages_folder_and_write_no_cache_there(home, tmp_path):
    shown = run_from(home, tmp_path, "test", "-k", "words", "-x").stdout.splitlines()
    folder, _, _, *arguments = shown
    assert Path(folder) == ROOT
    assert arguments == ["-m", "pytest", "-o", f"cache_dir={home.root}/cache/pytest", "-k", "words", "-x"]


def test_tests_in_blender_get_an_environment_of_their_own(home):
    answer = home.run("run", "test-blender", "--bpy", "5.0", "-x", "tests/blender/test_panel.py")
    assert answer.stdout.splitlines()[-2:] == ["-x", "tests/blender/test_panel.py"]
    assert {path.name.split("@")[0] for path in home.environments.glob("*@*")} == {"core", "blender-5.0"}
    assert not [call for call in home.calls() if "torch==" in call and "blender-5.0@" in call]


def test_tests_in_blender_are_all_of_them_by_default(home):
    assert home.run("run", "test-blender").stdout.splitlines()[-1] == "tests/blender"


@pytest.mark.parametrize("chosen", [None, "/my/python"])
def test_tests_in_blender_are_told_a_python_for_the_worker(home, chosen):
    python = Path(home.variables["FAKE_PYTHON"])
    python.write_text(python.read_text().replace('"$PWD"', '"$IMAGE_TO_3D_WORKER"'))
    home.variables |= {"IMAGE_TO_3D_WORKER": chosen} if chosen else {}
    told = home.run("run", "test-blender").stdout.splitlines()[0]
    assert told == (chosen or str(next(home.environments.glob("core@*/bin/python"))))


def test_what_cannot_be_made_is_not_run(home):
    home.variables |= {"FAKE_FAILS_AT": "venv", "FAKE_SAYS": "error: odd"}
    answer = home.run("run", "generate", "photo.jpg", "-o", "out.glb")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[-1].startswith("making the virtual environment failed: odd")


def test_the_users_pip_configuration_reaches_uv(home, tmp_path):
    seen = tmp_path / "seen"
    home.extend_uv(f'env > "{seen}"')
    home.variables |= {"PIP_FIND_LINKS": str(tmp_path), "PIP_INDEX_URL": "https://mirror/simple"}
    home.variables |= {"PIP_TIMEOUT": "99", "UV_HTTP_TIMEOUT": "5"}
    home.run("create")
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert variables["UV_FIND_LINKS"] == str(tmp_path)
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert variables["UV_HTTP_TIMEOUT"] == "5"  # uv's own variable, set by the user, counts more
    assert variables["UV_CACHE_DIR"].startswith(str(home.root))
    assert os.path.samefile(variables["PWD"], home.environments)
