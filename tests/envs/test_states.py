# SPDX-License-Identifier: GPL-3.0-or-later
import json
import subprocess
import sys
from pathlib import Path

import pytest
from image_to_3d import envs
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine.platforms import python_in
from image_to_3d.envs.specs import Spec, spec
from image_to_3d.envs.states import State, status, write_marker

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def made(tmp_path):
    """The folder of an environment that is ready."""
    folder = tmp_path / "environments" / "core@1"
    python_in(folder).parent.mkdir(parents=True)
    python_in(folder).touch()
    write_marker(tmp_path / "environments" / "core.json", folder, spec("core").fingerprint, "torch==2.13.0")
    return folder


def test_nothing_there_is_absent(tmp_path):
    found = status(tmp_path)
    assert (found.state, found.python) == (State.ABSENT, None)
    assert str(tmp_path) in found.reason


def test_a_marker_with_its_folder_is_ready(tmp_path, made):
    found = status(tmp_path)
    assert (found.state, found.python, found.folder) == (State.READY, python_in(made), made)


def test_a_folder_without_a_marker_is_incomplete(tmp_path, made):
    (tmp_path / "environments" / "core.json").unlink()
    assert status(tmp_path).state is State.INCOMPLETE


def test_another_environments_folder_does_not_count(tmp_path):
    (tmp_path / "environments" / "core-other@1").mkdir(parents=True)
    assert status(tmp_path, "core").state is State.ABSENT


def test_a_root_that_was_moved_stays_ready(tmp_path, made):
    (tmp_path / "moved").mkdir()
    (tmp_path / "environments").rename(tmp_path / "moved" / "environments")
    found = status(tmp_path / "moved")
    assert found.state is State.READY
    assert found.python.exists()


def test_another_lock_makes_it_outdated(tmp_path, made):
    write_marker(tmp_path / "environments" / "core.json", made, "of another lock", "")
    found = status(tmp_path)
    assert (found.state, found.python) == (State.OUTDATED, None)


def test_a_missing_interpreter_is_broken(tmp_path, made):
    python_in(made).unlink()
    found = status(tmp_path)
    assert found.state is State.BROKEN
    assert str(python_in(made)) in found.reason


def test_a_link_to_an_uninstalled_interpreter_is_broken(tmp_path, made):
    python_in(made).unlink()
    python_in(made).symlink_to(tmp_path / "uninstalled")
    assert status(tmp_path).state is State.BROKEN


@pytest.mark.parametrize("content", ["", "{", "[]", '{"folder": "core@1"}', '"text"', b"\xff\xfe"])
def test_a_damaged_marker_is_broken(tmp_path, made, content):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "environments" / "core.json").write_bytes(content)
    assert status(tmp_path).state is State.BROKEN


def test_a_marker_replaces_the_one_before_and_leaves_no_other_file(tmp_path, made):
    write_marker(tmp_path / "environments" / "core.json", made, "two", "")
    assert json.loads((tmp_path / "environments" / "core.json").read_text())["fingerprint"] == "two"
    assert sorted(path.name for path in (tmp_path / "environments").iterdir()) == ["core.json", "core@1"]


def test_the_fingerprint_is_of_packages_and_not_of_comments_or_line_endings(tmp_path):
    def fingerprint(content: bytes) -> str:
        path = tmp_path / "lock.txt"
        path.write_bytes(content)
        return Spec("core", "Core", path, (), torch=True).fingerprint

    assert fingerprint(b"# one\na==1\nb==2\n") == fingerprint(b"# two\r\na==1\r\n\r\nb==2\r\n")
    assert fingerprint(b"a==1\n") != fingerprint(b"a==2\n")


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(EnvironmentProblem, match="no environment called cor: choose one of core, "):
        status(tmp_path, "cor")


def test_the_root_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGE_TO_3D_HOME", str(tmp_path / "mine"))
    assert envs.default_root() == tmp_path / "mine"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG specification is for other systems")
def test_the_default_root_is_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("IMAGE_TO_3D_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/invalid")
    assert envs.default_root() == tmp_path / ".local" / "share" / "image_to_3d"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert envs.default_root() == tmp_path / "xdg" / "image_to_3d"


def test_asking_for_the_state_loads_nothing_heavy_and_nothing_installed():
    """The add-on asks whenever it starts. -S: no installed package; so the standard library is enough."""
    script = (
        "import sys; from pathlib import Path; import envs; envs.status(Path('nowhere'));"
        "print([name for name in ('ssl', 'urllib.request', 'argparse', 'zipfile') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_process_in_the_environment_sees_nothing_of_the_hosts_python(monkeypatch, tmp_path):
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.setenv(name, "of the host")
    variables = envs.process_environment(tmp_path)
    assert "of the host" not in variables.values()
    assert variables["IMAGE_TO_3D_HOME"] == str(tmp_path)
    assert Path(variables["PYTHONPYCACHEPREFIX"]).is_relative_to(tmp_path)
