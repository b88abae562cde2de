# SPDX-License-Identifier: GPL-3.0-or-later
"""How uv is run: what it gets to see, and that its silence is noticed."""

import os
from pathlib import Path

import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.places import Places
from image_to_3d.envs.uv.uvrun import Uv, uv_variables

SILENT = r"""#!/bin/sh
echo "Resolved 1 package in 1ms"
echo "DEBUG Identified uncached distribution: torch==2.13.0"
mkdir -p "$UV_CACHE_DIR/.tmp1/torch"
head -c 3000000 /dev/zero > "$UV_CACHE_DIR/.tmp1/torch/lib.so"
while [ ! -e "$GO" ]; do sleep 0.02; done
echo "Prepared 1 package in 1ms"
"""


def test_the_users_variables_for_the_network_are_kept_and_those_for_other_projects_are_not(tmp_path, monkeypatch):
    kept = {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX_MIRROR_PASSWORD": "secret",
        "UV_HTTP_TIMEOUT": "99",
        "UV_PYTHON_INSTALL_MIRROR": "https://mirror/pythons",
        "UV_CACHE_DIR": "/big/cache",
    }
    dropped = {
        "UV_CONSTRAINT": "c.txt",
        "UV_TORCH_BACKEND": "cu118",
        "UV_EXCLUDE_NEWER": "2020-01-01",
        "UV_PYTHON": "3.8",
    }
    for name, value in (kept | dropped).items():
        monkeypatch.setenv(name, value)
    variables = uv_variables(Places(tmp_path), {"UV_HTTP_TIMEOUT": "5"})
    assert kept.items() <= variables.items()
    assert not dropped.keys() & variables.keys()


def test_uv_sees_every_python_of_pyenv_behind_those_on_the_path(tmp_path, monkeypatch):
    for version in ("3.11.7", "3.13.0"):
        (tmp_path / "pyenv" / "versions" / version / "bin").mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", "/own")
    own, *others = uv_variables(Places(tmp_path), {})["PATH"].split(os.pathsep)
    assert own == "/own"
    assert [Path(each).parent.name for each in others] == ["3.11.7", "3.13.0"]


@pytest.fixture
def silent_uv(tmp_path, monkeypatch) -> Uv:
    """A uv that says nothing while something arrives, until the file ``go`` is there."""
    if os.name != "posix":
        pytest.skip("a shell script plays uv")
    script = tmp_path / "uv"
    script.write_text(SILENT)
    script.chmod(0o755)
    places = Places(tmp_path / "data")
    places.environments.mkdir(parents=True)
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    with (tmp_path / "log").open("w") as log:
        yield Uv(script, places, uv_variables(places, {}), log)


def test_bytes_that_arrive_while_uv_is_silent_are_told(tmp_path, silent_uv):
    reported = []

    def report(stage, part, message, amount=None):
        reported.append((part, message))
        if amount and amount.bytes == 3_000_000:
            (tmp_path / "go").touch()

    silent_uv.run(["pip", "install"], "torch", "installing torch", report, {"torch": 6_000_000})
    assert (pytest.approx(0.475), "installing torch: 3 of 6 MB unpacked") in reported
    assert reported[-1] == (0.95, "installing torch: putting files into place")


def test_the_log_has_everything_and_who_asked_gets_what_uv_said_to_people(tmp_path, silent_uv):
    (tmp_path / "go").touch()
    said = silent_uv.run(["pip", "install"], "torch", "installing torch", lambda *report: None)
    assert said == "Resolved 1 package in 1ms\nPrepared 1 package in 1ms\n"
    assert "Identified uncached" in (tmp_path / "log").read_text()


def test_what_an_earlier_uv_left_is_cleared_away_when_nobody_else_can_be_at_work(tmp_path, silent_uv):
    left = silent_uv.places.cache / ".tmpleft" / "torch"
    left.mkdir(parents=True)
    (tmp_path / "go").touch()
    silent_uv.run(["pip", "install"], "torch", "installing", lambda *report: None)
    assert left.exists()
    with (tmp_path / "lock").open("w") as lock:
        held = Uv(silent_uv.path, silent_uv.places, silent_uv.variables, silent_uv.log, lock.fileno())
        held.run(["pip", "install"], "torch", "installing", lambda *report: None)
    assert not left.exists()


def test_a_failure_is_a_sentence_with_what_to_do_and_where_the_log_is(tmp_path, silent_uv):
    silent_uv.path.write_text(
        "#!/bin/sh\necho 'error: x'; echo '  cause: No space left on device (os error 28)'; exit 2\n"
    )
    with pytest.raises(
        EnvironmentProblem, match=r"installing torch failed: the disk is full: .* \(log: .*/log\)"
    ) as problem:
        silent_uv.run(["pip"], "torch", "installing torch", lambda *report: None)
    assert problem.value.kind == "space"


def test_a_program_that_is_none_is_told(tmp_path, silent_uv):
    silent_uv.path.write_bytes(b"\x7fELF nothing")
    with pytest.raises(EnvironmentProblem, match="cannot be started .* remove it and try again"):
        silent_uv.run(["pip"], "torch", "installing torch", lambda *report: None)
