# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes with the set-up: fetched from a hub on this machine, and quickly done without where there is none."""

import dataclasses
import hashlib
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from image_to_3d.worker import cli
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import along, with_network
from image_to_3d.worker.methods.matting import U2NETP
from image_to_3d.worker.store.weights import HubFile, HubModel, WebModel, WeightStore
from PIL import Image

FILES = {"model.pt": b"moge" * 1000, "u2netp.onnx": b"matte" * 700}


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_error(404)  # a folder is no page: that somebody answers will do

    def do_GET(self):
        self.server.asked.append(self.path)
        content = FILES[self.path.rsplit("/", 1)[1]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    """A hub with both networks, small; `asked` are the files that were fetched from it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.daemon_threads = [], True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point_at(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def point_at(monkeypatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    rows = {name: HubFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()}
    moge = with_network("moge-2")[1]
    matte = dataclasses.replace(U2NETP, published=WebModel(f"{address}/matting", (rows["u2netp.onnx"],)))
    monkeypatch.setitem(vars(moge), "published", HubModel("someone/moge", "main", (rows["model.pt"],)))
    monkeypatch.setitem(vars(moge), "also", (matte,))


def silent() -> Job:
    return Job(lambda *_: None)


def test_both_are_told_with_size_and_licence_and_fetched_in_one_go(hub, tmp_path):
    store = WeightStore(tmp_path, online=True)
    assert along.told(along.wanted(store)).startswith(
        "two networks: MoGe-2 (0.0 MB, MIT) and U2-Net small (0.0 MB, Apa"
    )
    assert along.fetch(store, silent()) == ""
    assert (tmp_path / "moge-2" / "model.pt").read_bytes() == FILES["model.pt"]
    assert (tmp_path / "u2netp" / "u2netp.onnx").read_bytes() == FILES["u2netp.onnx"]
    assert along.wanted(store) == () and len(hub.asked) == 2
    assert along.fetch(store, silent()) == "" and len(hub.asked) == 2


def test_the_published_sizes_are_those_that_are_told():
    assert along.told(along.networks()[0].fetched) == (
        "two networks: MoGe-2 (141 MB, MIT) and U2-Net small (4.6 MB, Apache-2.0)"
    )


@pytest.mark.parametrize("silence", ["refused", "unanswered", "no such name"])
def test_where_no_hub_can_be_reached_that_is_quick_and_one_sentence(monkeypatch, tmp_path, silence):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if silence == "unanswered":
            deaf.listen()  # it connects, and then nobody says anything
        port = deaf.getsockname()[1]
        point_at(monkeypatch, "http://no.such.host.invalid" if "name" in silence else f"http://127.0.0.1:{port}")
        monkeypatch.setattr(along, "PATIENCE", 0.5)
        store, began = WeightStore(tmp_path, online=True), time.monotonic()
        note = along.fetch(store, silent())
        assert time.monotonic() - began < 5.0
    assert "could not be reached" in note and "\n" not in note and "MoGe-2" in note
    assert along.wanted(store) == (), "nobody waits for it a second time"
    os.utime(tmp_path / "unreachable", (1e9, 1e9))
    assert along.wanted(store)


def test_a_cancel_is_heard_while_nobody_answers(monkeypatch, tmp_path):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        point_at(monkeypatch, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        job = silent()
        job.cancel()
        with pytest.raises(Cancelled):
            along.fetch(WeightStore(tmp_path, online=True), job)


def test_what_came_damaged_is_done_without(hub, monkeypatch, tmp_path):
    monkeypatch.setitem(FILES, "model.pt", b"another" * 572)
    note = along.fetch(WeightStore(tmp_path, online=True), silent())
    assert "came damaged" in note and "networks that ship are used" in note


@pytest.fixture
def generate(monkeypatch, tmp_path, capsys):
    """`generate` in a terminal; what it says."""
    rgb = Image.radial_gradient("L").convert("RGB")
    rgb.save(tmp_path / "photo.png")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("UV_OFFLINE", raising=False)

    def run(*more: str):
        folders = ["--weights", str(tmp_path / "weights"), "--cache", str(tmp_path / "cache")]
        photo, out = str(tmp_path / "photo.png"), str(tmp_path / "out.glb")
        fast = ["--preset", "fast", "--set", "subject=scene"]
        code = cli.main(["generate", photo, "-o", out, *fast, *folders, *more])
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return run


def test_the_first_generate_says_what_it_fetches_and_goes_on_without_where_it_cannot(monkeypatch, generate):
    point_at(monkeypatch, "http://127.0.0.1:9")
    first = generate()
    assert first.code == 0 and "and two networks: MoGe-2 (0.0 MB, MIT) and U2-Net small" in first.err
    assert "could not be reached" in first.out and "so it is rough: MoGe-2" in first.out
    second = generate()
    assert second.code == 0 and "two networks" not in second.err and "so it is rough: MoGe-2" in second.out


def test_included_does_without(hub, generate):
    assert generate("--included").code == 0 and hub.asked == []


def test_the_first_generate_takes_what_it_fetched(hub, generate, tmp_path):
    """Which is no network here, and so is told."""
    ended = generate()
    assert len(hub.asked) == 2 and ended.code == 1 and "cannot be loaded" in ended.err
