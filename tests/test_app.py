# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests mean before any network runs: agreeing, offering, refusing."""

import subprocess
import sys
from pathlib import Path

import pytest
from image_to_3d.worker.app import App
from image_to_3d.worker.core.errors import Invalid, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.wire import offers, protocol
from image_to_3d.worker.wire.protocol import ErrorCode, WireError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def job() -> Job:
    return Job(lambda *_: None)


def started(tmp_path, job, **settings) -> App:
    app = App()
    app.initialize(offers.InitializeParams(protocol.VERSION, weights=str(tmp_path), **settings), job)
    return app


def test_hello_imports_neither_torch_nor_numpy():
    script = (
        "import sys; from worker.app import App; from worker.wire.protocol import VERSION\n"
        "from worker.wire.offers import InitializeParams\n"
        "App().initialize(InitializeParams(VERSION), None)\n"
        "sys.exit(', '.join({'torch', 'numpy', 'PIL', 'scipy', 'transformers'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_version_of_the_protocol_is_refused(job):
    with pytest.raises(WireError) as caught:
        App().initialize(offers.InitializeParams(protocol.VERSION + 1), job)
    assert caught.value.code == ErrorCode.VERSION_MISMATCH


def test_a_device_that_does_not_exist_is_refused_at_once(job):
    with pytest.raises(Invalid, match="abacus"):
        App().initialize(offers.InitializeParams(protocol.VERSION, device="abacus"), job)


@pytest.mark.parametrize("kind", ["weights", "cache"])
def test_folders_of_weights_and_of_the_cache_that_are_files_are_refused_at_once(job, tmp_path, kind):
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="file is a file: name a folder"):
        App().initialize(offers.InitializeParams(protocol.VERSION, **{kind: str(tmp_path / "file")}), job)


def test_nothing_is_done_before_initialize(job):
    with pytest.raises(WireError) as caught:
        App().catalogue(offers.Empty(), job)
    assert caught.value.code == ErrorCode.INVALID_REQUEST


def test_every_request_of_the_protocol_has_a_handler():
    assert App().handlers().keys() == protocol.REQUESTS.keys()


def test_a_download_is_refused_while_network_use_is_not_allowed(tmp_path, job):
    app = started(tmp_path, job, online=False)
    with pytest.raises(Unable, match="online"):
        app.download(offers.DownloadParams("depth-anything-v2-small"), job)


def test_what_needs_no_download_is_there_at_once(tmp_path, job):
    answer = started(tmp_path, job).download(offers.DownloadParams("included"), job)
    assert answer == offers.DownloadResult("included", 0)
