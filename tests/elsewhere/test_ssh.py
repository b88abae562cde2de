# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on another machine: what travels, what is refused, and what a lost connection leaves, over a real sshd on
the loopback where there is one."""

import dataclasses
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.addon.session.jobs import Recipe
from image_to_3d.addon.session.launch import Settings
from image_to_3d.addon.session.session import Session
from image_to_3d.envs.specs import spec
from image_to_3d.envs.states import Marker
from image_to_3d.worker.core.errors import Cancelled, Invalid, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.elsewhere import far, frames, ssh
from image_to_3d.worker.elsewhere import near as near_end
from image_to_3d.worker.elsewhere.near import Near
from image_to_3d.worker.geometry.splats import gltf, spz
from image_to_3d.worker.wire.calling import Called, worker_variables
from image_to_3d.worker.wire.making import BatchParams, GenerateParams
from image_to_3d.worker.wire.offers import Empty, InitializeParams, SelectParams
from image_to_3d.worker.wire.protocol import VERSION, ErrorCode, WireError
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
LIMIT = 60.0

needs_sshd = pytest.mark.skipif(not SSHD or not shutil.which("ssh"), reason="no sshd here (Debian: openssh-server)")


# ------------------------------------------------------------------------------------------------ what needs no sshd


@pytest.mark.parametrize(
    "where", ["-oProxyCommand=x", "", "a b", "a;b", "a\nb", "$(x)", "user@-x", "a:", "'a'", "a@b@c d"]
)
def test_what_is_no_machine_is_refused(where):
    with pytest.raises(Invalid, match="is no machine"):
        ssh.command(where)


@pytest.mark.parametrize("name", ["a b", "it's", "$(touch pwned)", "`touch pwned`", "-x", 'say "no"', "a;touch pwned"])
def test_a_folder_is_one_word_for_the_shell_there(tmp_path, name):
    (tmp_path / name / "envs").mkdir(parents=True)
    (tmp_path / name / "envs" / "__main__.py").write_text("import sys; print('found', sys.argv[1:])")
    *options, host, words = ssh.command(f"me@there:{name}", "x; touch pwned")
    assert options[-1] == "--" and host == "me@there"
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert done.stdout.startswith("found ['run', '--only-ready', '--name', 'x; touch pwned', 'far']"), done.stderr
    assert not [*tmp_path.rglob("pwned")]


def test_hosts_and_folders_are_told_apart():
    assert ssh.split("me@host") == ("me@host", ssh.FOLDER) and ssh.split("host:/a b") == ("host", "/a b")
    assert ssh.split("me@[::1]:x") == ("me@::1", "x")


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "", "a\\..\\b", "a\0"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="leads elsewhere"):
        frames.below(tmp_path, name)


@pytest.mark.parametrize("size", [0, 1, frames.PIECE, frames.PIECE + 1])
def test_a_file_arrives_whole_or_not_at_all(tmp_path, size):
    (tmp_path / "sent").write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    arriving, over = frames.Arriving(tmp_path / "to" / "a"), False
    for piece in frames.pieces(tmp_path / "sent", "a"):
        line, _, content = piece.partition(b"\n")
        fields = frames.fields_of(line)
        assert not over and len(content) == fields["bytes"] <= frames.PIECE
        over = arriving.take(content, fields.get("sha256"))
    assert over and (tmp_path / "to" / "a").read_bytes() == (tmp_path / "sent").read_bytes()
    damaged = frames.Arriving(tmp_path / "to" / "b")
    with pytest.raises(Unable, match="damaged"):
        damaged.take(b"y", "0" * 64)
    damaged.drop()
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["a"]


def test_a_full_disk_there_is_told_once_and_the_rest_thrown_away(monkeypatch):
    class Full:
        def __init__(self, path):
            raise OSError(28, "No space left on device")

    said = []
    monkeypatch.setattr(far, "Arriving", Full)
    there = far.Far(None, None)
    monkeypatch.setattr(there, "_send", lambda content: said.append(json.loads(content)))
    monkeypatch.setattr(far, "read_exactly", lambda source, count: b"x" * count)
    for _ in range(3):
        there._take({"file": "up/a", "bytes": 1})
    shutil.rmtree(there._folder)
    assert said == [{"file": "up/a", "problem": "No space left on device"}]


def test_the_near_end_runs_by_any_python():
    """Blender's own, without an environment: no package beside the standard library is there."""
    script = "import sys\nfor name in ('numpy', 'PIL', 'scipy', 'rich', 'torch'): sys.modules[name] = None\n"
    script += "import worker.elsewhere.near, worker.elsewhere.far, worker.wire.server"
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------ what does


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An sshd of ours on a free port, with keys of its own; gives its process and the folder of what is there."""
    folder = tmp_path_factory.mktemp("there")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True, timeout=LIMIT)
    (folder / "tmp").mkdir()
    _environment(folder / "home")
    variables = {"IMAGE_TO_3D_HOME": folder / "home", "TMPDIR": folder / "tmp", "OMP_NUM_THREADS": "1"}
    variables["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    granted = ",".join(f'environment="{name}={value}"' for name, value in variables.items())
    (folder / "authorized_keys").write_text(f"{granted} {(folder / 'user.pub').read_text()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile {folder}/pid\nPermitUserEnvironment yes\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # where root's sshd shuts itself in
    (folder / "ssh_config").write_text(
        f"Host there\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentityFile {folder}/user\n"
        f" IdentitiesOnly yes\n UserKnownHostsFile {folder}/known\n StrictHostKeyChecking accept-new\n"
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    (folder / "bin" / "ssh").chmod(0o755)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=(folder / "log").open("wb"))
    _until(lambda: _answers(port) or process.poll() is not None)
    if process.poll() is not None:
        pytest.skip(f"sshd does not start here: {(folder / 'log').read_text()[-300:]}")
    yield process, folder
    process.terminate()
    process.wait(LIMIT)


def _environment(home: Path) -> None:
    """This Python as the environment that is ready there."""
    places = home / "environments"
    places.mkdir(parents=True)
    (places / "core@test").symlink_to(sys.prefix)
    made = Marker(folder="core@test", fingerprint=spec("core").fingerprint, torch="cpu", made_at="")
    (places / "core.json").write_text(json.dumps(asdict(made)))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(condition, limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def there(server, monkeypatch):
    """The folder of what is there; afterwards nothing of a connection may be left in it."""
    process, folder = server
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    yield folder
    _until(lambda: not [*(folder / "tmp").glob("image-to-3d-*")])


@pytest.fixture
def near(there):
    found = Near(f"there:{ROOT}")
    found.initialize(InitializeParams(VERSION, device="cpu"), silent())
    yield found
    found.close()


def silent() -> Job:
    return Job(lambda *report: None)


def picture(path: Path) -> Path:
    rows, columns = np.mgrid[:90, :120]
    rgb = np.stack([rows * 2, columns * 2, 255 - rows * 2], -1).astype(np.uint8)
    rgb[30:70, 40:80] = (200, 60, 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def asked(tmp_path: Path, photo: Path, **more) -> GenerateParams:
    return GenerateParams((str(photo),), str(tmp_path / "out.glb"), "fast", "Depth", "included", cached=False, **more)


@needs_sshd
def test_a_picture_goes_there_and_its_mesh_comes_back_as_if_made_here(near, there, tmp_path, monkeypatch):
    name = "-rf \"a b\" 'c' $(touch pwned);ä.png"
    photo, told = picture(tmp_path / "in" / name), []
    params = asked(tmp_path, photo, thumbnail=str(tmp_path / "seen.png"))
    made = near.generate(params, Job(lambda *report: told.append(report)))
    assert made.glb == params.output and made.name == name.removesuffix(".png")
    assert made.provenance.pictures == (str(photo),) and Image.open(params.thumbnail).size == (256, 256)
    assert [report[0] for report in told] == sorted(report[0] for report in told)
    assert {"sending pictures", "estimating depth", "fetching the result"} <= {report[1] for report in told}
    assert not [*ROOT.glob("pwned"), *tmp_path.rglob("pwned"), *there.rglob("pwned")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.glb", "seen.png"]
    command = [sys.executable, "-m", "worker", "generate", str(photo), "-o", str(tmp_path / "here.glb"), "--no-cache"]
    variables = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    options = ["--preset", "fast", "--model", "included", "--device", "cpu"]
    subprocess.run([*command, *options], cwd=ROOT, env=variables, check=True, capture_output=True, timeout=LIMIT)
    assert (tmp_path / "here.glb").read_bytes() == Path(made.glb).read_bytes()


@needs_sshd
@pytest.mark.parametrize(("ending", "decode"), [(".spz", spz.decode), (".splats.glb", gltf.decode)])
def test_splats_come_back_as_splats(near, tmp_path, ending, decode):
    photo = picture(tmp_path / "in" / "a.png")
    params = dataclasses.replace(asked(tmp_path, photo), output=str(tmp_path / f"out{ending}"))
    made = near.generate(params, silent())
    assert made.glb == params.output and len(decode(Path(made.glb).read_bytes())) == made.splats > 0


@needs_sshd
def test_the_terminal_does_all_of_it_with_one_word_more(there, tmp_path):
    photo = picture(tmp_path / "in" / "a.png")
    options = ["--preset", "fast", "--included", "--on", f"there:{ROOT}"]
    for words in (["generate", photo, "-o", tmp_path / "a.glb"], ["batch", photo.parent, "-o", tmp_path / "many"]):
        command = [sys.executable, "-m", "worker", *map(str, words), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "many" / "a.glb").read_bytes()
    assert (tmp_path / "many" / "contact_sheet.html").stat().st_size > 1000
    done = subprocess.run(
        [sys.executable, "-m", "worker", "models", "--on", f"there:{ROOT}", "--json"], cwd=ROOT, capture_output=True
    )
    assert json.loads(done.stdout)["methods"]


@needs_sshd
@pytest.mark.parametrize("stage", ["sending pictures", "estimating depth"])
def test_a_cancel_is_heard_there_and_the_connection_goes_on(near, tmp_path, stage):
    photo = picture(tmp_path / "in" / "a.png")
    job = Job(lambda progress, now, *_: job.cancel() if now == stage else None)
    with pytest.raises(Cancelled):
        near.generate(asked(tmp_path, photo), job)
    ferry = near._ferry
    assert near.generate(asked(tmp_path, photo), silent()).faces > 100 and near._ferry is ferry


@needs_sshd
@pytest.mark.parametrize("stage", ["sending pictures", "estimating depth", "fetching the result"])
@pytest.mark.parametrize("end", ["here", "there"])
def test_a_connection_that_is_cut_is_told_and_ends_what_was_done_there(server, near, there, tmp_path, stage, end):
    photo = picture(tmp_path / "in" / "a.png")

    def cut(progress, now, *_):
        if now == stage:
            pids = [near._ferry._process.pid] if end == "here" else _children(server[0].pid)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            near._ferry._process.wait(LIMIT)

    with pytest.raises(WireError, match="the connection to there ended") as caught:
        near.generate(asked(tmp_path, photo), Job(cut))
    assert caught.value.code == ErrorCode.WORKER_EXITED and not (tmp_path / "out.glb").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    _until(lambda: not [*(there / "tmp").glob("image-to-3d-*")])
    assert near.generate(asked(tmp_path, photo), silent()).faces > 100  # it connects again


def _children(pid: int) -> list[int]:
    """Processes that this one has started, and theirs."""
    own = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*own, *(below for each in own for below in _children_named(each, "sshd"))]


def _children_named(pid: int, name: str) -> list[int]:
    try:
        return [each for each in _children(pid) if Path(f"/proc/{each}/comm").read_text().startswith(name)]
    except OSError:
        return []


@needs_sshd
def test_another_version_there_is_named(there, tmp_path):
    (tmp_path / "old" / "envs").mkdir(parents=True)
    says = 'print(\'{"folder": "/x", "version": 1}\', flush=True); import sys; sys.stdin.read()'
    (tmp_path / "old" / "envs" / "__main__.py").write_text(says)
    near = Near(f"there:{tmp_path / 'old'}")
    with pytest.raises(WireError, match=f"version 1 and not {VERSION}") as caught:
        near.initialize(InitializeParams(VERSION), silent())
    assert caught.value.code == ErrorCode.VERSION_MISMATCH
    near.close()


@needs_sshd
def test_an_environment_that_is_made_there_is_waited_for_and_told(there, tmp_path, monkeypatch):
    """The far end says what it does, and answers once somebody lets it."""
    (tmp_path / "slow" / "envs").mkdir(parents=True)
    says = f"""import json, os, sys, time
while not os.path.exists({str(tmp_path / "done")!r}):
    print("[ 10%] installing torch", file=sys.stderr, flush=True)
    time.sleep(0.05)
print(json.dumps({{"folder": "/x", "version": 1}}), flush=True)
sys.stdin.read()"""
    (tmp_path / "slow" / "envs" / "__main__.py").write_text(says)
    monkeypatch.setattr(near_end, "ANSWERS_WITHIN", 0.3)
    monkeypatch.setattr(near_end, "TOLD_EVERY", 0.1)
    hasty = Near(f"there:{tmp_path / 'slow'}")
    with pytest.raises(WireError, match="did not answer in 0 s"):
        hasty.initialize(InitializeParams(VERSION), silent())
    hasty.close()
    told = []

    def hear(progress, stage, message, remaining):
        told.append(message)
        if "installing torch" in message:
            (tmp_path / "done").touch()

    patient = Near(f"there:{tmp_path / 'slow'}", make=True)
    with pytest.raises(WireError, match="speaks version 1"):  # it has answered
        patient.initialize(InitializeParams(VERSION), Job(hear))
    patient.close()
    assert "[ 10%] installing torch" in told


@needs_sshd
@pytest.mark.parametrize("what, told", [("environment", "python3 -m envs create core"), ("folder", "[Nn]o such|cd")])
def test_what_is_missing_there_is_told(there, what, told):
    marker = there / "home" / "environments" / "core.json"
    marker.rename(marker.with_suffix(".away"))
    try:
        near = Near(f"there:{ROOT}" if what == "environment" else "there:/nowhere at all")
        with pytest.raises(WireError, match=told):
            near.initialize(InitializeParams(VERSION), silent())
        near.close()
    finally:
        marker.with_suffix(".away").rename(marker)


@needs_sshd
def test_what_speaks_the_wire_may_be_near(there, tmp_path):
    """As Blender starts it, by a Python without packages."""
    script = "import sys; sys.modules['numpy'] = sys.modules['PIL'] = None; import runpy; "
    script += "runpy.run_module('worker', run_name='__main__')"
    worker = Called([sys.executable, "-S", "-c", script, "near", f"there:{ROOT}"], worker_variables())
    photo = picture(tmp_path / "in" / "a.png")
    assert worker.ask("initialize", InitializeParams(VERSION, device="cpu")).methods
    assert worker.ask("generate", asked(tmp_path, photo), silent()).glb == str(tmp_path / "out.glb")
    assert worker.ask("history", Empty()).limit > 0
    with pytest.raises(WireError, match="on this machine only"):
        worker.ask("batch", BatchParams(str(tmp_path), str(tmp_path), "fast"))
    worker.ask("shutdown", Empty())
    worker.close()


@needs_sshd
def test_blenders_session_works_there_where_its_preferences_say_so(there, tmp_path):
    places = {"root": tmp_path / "none", "temporary": tmp_path, "logs": tmp_path / "logs"}
    settings = Settings(**places, catalogue=tmp_path / "catalogue.json", device="cpu", host=f"there:{ROOT}")
    session = Session(lambda: settings)
    session.recall()
    session.look()
    photo = picture(tmp_path / "in" / "a.png")
    question = SelectParams((str(photo),), "Depth", "included")
    assert session.generate(Recipe(question, {"depth": "fast"}, {"depth": {}}, cached=False))
    _until(lambda: session.tick() and bool(session.results.waiting or session.problem))
    assert session.problem is None and session.results.waiting[0].result.faces > 100
    session.close()
