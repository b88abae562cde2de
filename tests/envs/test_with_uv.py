# SPDX-License-Identifier: GPL-3.0-or-later
"""The real uv, with one tiny package in a wheelhouse instead of the locks. Uses a uv that is already here."""

import base64
import hashlib
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest
from image_to_3d.envs import installer, states
from image_to_3d.envs.check import verify
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.places import Places, default_root
from image_to_3d.envs.specs import Spec
from image_to_3d.envs.states import State, status
from image_to_3d.envs.uv.uvtool import find_or_fetch


def make_wheel(folder: Path) -> str:
    """A wheel of the package `tiny` 1.0 with one module; returns its sha256."""
    files = {
        "tiny.py": b"answer = 42\n",
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},"
        for name, content in files.items()
    ]
    files["tiny-1.0.dist-info/RECORD"] = "\n".join([*record, "tiny-1.0.dist-info/RECORD,,"]).encode()
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Spec:
    """Environments called core consist of the package tiny in this test, which lies in a wheelhouse."""
    try:
        uv = find_or_fetch(Places(default_root()).tools, PipConfig(no_index=True))
    except EnvironmentProblem:
        pytest.skip("no uv is here yet")
    if not any(sys.version_info[:2] == pair for pair in ((3, 11), (3, 12))):
        pytest.skip("needs Python 3.11 or 3.12 as a base")
    (tmp_path / "wheels").mkdir()
    digest = make_wheel(tmp_path / "wheels")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    wanted = Spec(
        "core", "Core", lock, ("tiny",), torch=False, pythons=(f"{sys.version_info[0]}.{sys.version_info[1]}",)
    )
    for module in (installer, states):
        monkeypatch.setattr(module, "spec", lambda name: wanted)
    for name in [each for each in os.environ if each.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    folders = [str(uv.parent), str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    return wanted


def silent(stage, part, message, amount=None):
    pass


def test_it_is_installed_from_the_wheelhouse_alone_and_works(tmp_path, tiny):
    made = installer.create(tmp_path / "data", "core", silent)
    assert made.state is State.READY
    assert verify(made.python, tiny, tmp_path / "data").versions == {"tiny": "1.0"}


def test_what_is_imported_is_compiled_when_it_is_made(tmp_path, tiny):
    installer.create(tmp_path / "data", "core", silent)
    compiled = Places(tmp_path / "data").compiled("core")
    assert [path.name.partition(".")[0] for path in compiled.rglob("tiny.*.pyc")] == ["tiny"]


def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path, tiny):
    tiny.requirements.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentProblem, match="not the one that was locked"):
        installer.create(tmp_path / "data", "core", silent)
    assert status(tmp_path / "data").state is State.ABSENT


def test_a_damaged_wheel_is_refused(tmp_path, tiny):
    wheel = next((tmp_path / "wheels").iterdir())
    wheel.write_bytes(wheel.read_bytes()[:-40])
    with pytest.raises(EnvironmentProblem, match="installing the packages failed"):
        installer.create(tmp_path / "data", "core", silent)
    assert status(tmp_path / "data").state is State.ABSENT


def test_a_file_that_was_deleted_is_found_and_setting_up_anew_helps(tmp_path, tiny):
    made = installer.create(tmp_path / "data", "core", silent)
    module = next(made.folder.rglob("tiny.py"))
    module.unlink()
    with pytest.raises(EnvironmentProblem, match=re.escape(f"an installed file of core is damaged ({module} is gone)")):
        verify(made.python, tiny, tmp_path / "data")
    again = installer.create(tmp_path / "data", "core", silent, anew=True)
    verify(again.python, tiny, tmp_path / "data")


def test_a_package_that_cannot_be_imported_is_named(tmp_path, tiny):
    made = installer.create(tmp_path / "data", "core", silent)
    next(made.folder.rglob("tiny.py")).write_text("import what_is_not_there\n")
    with pytest.raises(EnvironmentProblem, match="tiny does not work in core .*what_is_not_there"):
        verify(made.python, tiny, tmp_path / "data")
