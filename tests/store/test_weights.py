# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a hub on this machine that behaves, breaks off, or lies."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from image_to_3d.worker.core.errors import Cancelled, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import all_methods
from image_to_3d.worker.store.weights import HubFile, HubModel, WebModel, WeightStore

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"a": 1}', "model.safetensors": bytes(range(256)) * 40_000}


class Hub(ThreadingHTTPServer):
    """The part of the Hugging Face hub's interface that a download uses."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.break_after, self.requests = dict(FILES), None, []
        self.etag = None
        self.stall = threading.Event()  # what comes after the first bytes waits for it
        self.stall.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.command, self.path, self.headers.get("Range")))
        name = self.path.split("?")[0].rsplit("/", 1)[1]
        if name not in self.server.files or not self.path.startswith(
            (f"/someone/something/resolve/{REVISION}/", "/v1/")
        ):
            self.send_error(404)
            return
        content = self.server.files[name]
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        stop = self.server.break_after
        self.wfile.write(content[start : start + 10])
        self.wfile.flush()
        self.server.stall.wait(20.0)
        self.wfile.write(content[start + 10 :] if stop is None else content[start + 10 : stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = Hub()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub cache"))
    yield server
    server.shutdown()
    server.server_close()


def model(files=FILES) -> HubModel:
    described = tuple(HubFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items())
    return HubModel("someone/something", REVISION, described)


def silent() -> Job:
    return Job(lambda *_: None)


def test_a_download_brings_every_file_and_reports_bytes(hub, tmp_path):
    store, reports = WeightStore(tmp_path, online=True), []
    assert store.find("m", model()) is None
    folder = store.download("m", model(), Job(lambda *report: reports.append(report)))
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == FILES
    assert store.find("m", model()) == folder == tmp_path / "m"
    assert any("MB" in message for _, _, message, _ in reports)
    assert all(f"/resolve/{REVISION}/" in path for _, path, _ in hub.requests)


def test_nothing_is_asked_of_the_network_while_that_is_not_allowed(hub, tmp_path):
    with pytest.raises(Unable, match="online"):
        WeightStore(tmp_path, online=False).download("m", model(), silent())
    assert hub.requests == []


def test_a_second_download_fetches_nothing(hub, tmp_path):
    store = WeightStore(tmp_path, online=True)
    store.download("m", model(), silent())
    hub.requests.clear()
    store.download("m", model(), silent())
    assert hub.requests == []


def test_a_file_that_is_not_the_published_one_is_refused_and_removed(hub, tmp_path):
    hub.files["model.safetensors"] = b"x" * len(FILES["model.safetensors"])
    store = WeightStore(tmp_path, online=True)
    with pytest.raises(Unable, match="damaged"):
        store.download("m", model(), silent())
    assert store.find("m", model()) is None


def test_a_small_file_of_unknown_size_comes_whole_or_not_at_all(hub, tmp_path):
    files = (HubFile("config.json", None, None), HubFile("model.safetensors", len(FILES["model.safetensors"]), None))
    known, store = HubModel("someone/something", REVISION, files), WeightStore(tmp_path, online=True)
    assert known.bytes == len(FILES["model.safetensors"])
    hub.break_after = 3
    with pytest.raises(Unable, match="broke off"):
        store.download("m", known, silent())
    assert store.find("m", known) is None
    hub.break_after = None
    folder = store.download("m", known, silent())
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert store.find("m", known) == folder and store.remarks("m", known) == ()
    hub.requests.clear()
    store.download("m", known, silent())
    assert hub.requests == []


def test_a_missing_file_and_a_dead_server_are_one_sentence(hub, tmp_path, monkeypatch):
    store = WeightStore(tmp_path, online=True)
    del hub.files["model.safetensors"]
    with pytest.raises(Unable, match="could not be downloaded") as caught:
        store.download("m", model(), silent())
    assert "\n" not in str(caught.value)
    assert store.find("m", model()) is None


def test_a_download_can_be_cancelled_and_goes_on_later(hub, tmp_path):
    job = Job(lambda *_: job.cancel())  # at the first report, so the second one stops
    store = WeightStore(tmp_path, online=True)
    big = {"a.bin": b"a" * 3_000_000, "b.bin": b"b" * 3_000_000}
    hub.files = big
    with pytest.raises(Cancelled):
        store.download("m", model(big), job)
    assert 0 < (tmp_path / "m" / "a.bin.part").stat().st_size < 3_000_000
    assert store.find("m", model(big)) is None
    store.download("m", model(big), silent())
    assert store.find("m", model(big)) is not None


def test_a_connection_that_breaks_off_is_told_and_resumed_where_it_was(hub, tmp_path):
    store = WeightStore(tmp_path, online=True)
    hub.break_after = 1_000_000
    with pytest.raises(Unable, match="broke off"):
        store.download("m", model(), silent())
    assert store.find("m", model()) is None
    hub.break_after = None
    store.download("m", model(), silent())
    assert hub.requests[-1][2] == "bytes=1000000-"
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not list((tmp_path / "m").glob("*.part"))


def test_what_is_missing_says_its_size_and_licence(tmp_path):
    with pytest.raises(WeightsMissing, match="MIT") as caught:
        WeightStore(tmp_path).require("m", model(), "MIT")
    assert (caught.value.network, caught.value.bytes, caught.value.licence) == ("m", model().bytes, "MIT")


def test_a_folder_filled_by_hand_and_the_hubs_own_cache_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--someone--something" / "snapshots" / REVISION
    for folder in (cached, tmp_path / "weights" / "m"):
        folder.mkdir(parents=True)
        for name, data in FILES.items():
            (folder / name).write_bytes(data)
        assert WeightStore(tmp_path / "weights").find("m", model()) == folder


def test_files_that_do_not_lie_on_the_hub_are_fetched_checked_and_found_as_well(hub, tmp_path):
    store = WeightStore(tmp_path, online=True)
    elsewhere = WebModel(f"http://127.0.0.1:{hub.server_port}/v1", model().files)
    with pytest.raises(WeightsMissing):
        store.require("m", elsewhere, "MIT")
    assert store.download("m", elsewhere, silent()) == store.find("m", elsewhere) == tmp_path / "m"
    assert [path for _, path, _ in hub.requests] == ["/v1/config.json", "/v1/model.safetensors"]
    hub.files["model.safetensors"] = b"x" * len(FILES["model.safetensors"])
    with pytest.raises(Unable, match="damaged"):
        store.download("n", elsewhere, silent())
    assert store.find("n", elsewhere) is None


def test_a_folder_filled_by_hand_may_hold_the_same_under_another_name(tmp_path):
    store, folder = WeightStore(tmp_path), tmp_path / "m"
    files = (HubFile("config.json", 8, None), HubFile("model.safetensors", 9, None, also=("model.index.json",)))
    known = HubModel("someone/something", REVISION, files)
    folder.mkdir()
    (folder / "config.json").write_bytes(FILES["config.json"])
    assert store.find("m", known) is None
    (folder / "model.index.json").write_bytes(b"{}")
    assert store.find("m", known) == folder and store.remarks("m", known) == ()


def test_weights_that_cannot_be_the_published_ones_are_named(tmp_path):
    store, folder = WeightStore(tmp_path), tmp_path / "thing"
    folder.mkdir()
    assert store.remarks("thing", model()) == ()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    assert store.remarks("thing", model()) == ()
    (folder / "model.safetensors").write_bytes(b"others")
    (remark,) = store.remarks("thing", model())
    assert str(folder) in remark


def test_progress_and_a_cancel_are_heard_from_the_first_bytes(hub, tmp_path):
    hub.stall.clear()
    reports = []

    def hear(*report) -> None:
        reports.append(report)
        if report[1] == "downloading" and not hub.stall.is_set():
            job.cancel()
            hub.stall.set()

    job, part = Job(hear), tmp_path / "m" / "config.bin.part"
    hub.files = {"config.bin": b"a" * 200_000}
    with pytest.raises(Cancelled):
        WeightStore(tmp_path, online=True).download("m", model(hub.files), job)
    assert reports[0][1] == "connecting" and part.stat().st_size < 200_000


@pytest.mark.parametrize(
    "content", [b"<html>sign in first</html>", b"[" * 100_000, b"7", b"{" + b" " * 2_000_000 + b"}"]
)
def test_a_small_file_that_cannot_be_the_published_one_is_refused(hub, tmp_path, content):
    files = (HubFile("config.json", None, None), HubFile("model.safetensors", len(FILES["model.safetensors"]), None))
    hub.files["config.json"] = content
    with pytest.raises(Unable, match="damaged"):
        WeightStore(tmp_path, online=True).download("m", HubModel("someone/something", REVISION, files), silent())
    assert not list((tmp_path / "m").iterdir())


@pytest.mark.parametrize("mark", ['"{}"', 'W/"{}"'])
def test_a_small_file_must_have_the_digest_that_the_hub_tells_of_it(hub, tmp_path, mark):
    known = HubModel("someone/something", REVISION, (HubFile("config.json", None, None),))
    store, content = WeightStore(tmp_path, online=True), FILES["config.json"]
    hub.etag = mark.format(hashlib.sha1(b"blob 8\0" + b'{"a": 2}').hexdigest())
    with pytest.raises(Unable, match="damaged"):
        store.download("m", known, silent())
    assert not list((tmp_path / "m").iterdir())
    for number, told in enumerate((hashlib.sha1(b"blob 8\0" + content).hexdigest(), "5d41402abc-2")):
        hub.etag = mark.format(told)  # git's; and what another server may say
        assert (store.download(f"n{number}", known, silent()) / "config.json").read_bytes() == content


def test_small_files_without_a_digest_are_pinned_by_a_commit():
    networks = [network for method in all_methods() for network in method.networks]
    for model in (network.published for network in networks if network.published and not network.by_hand):
        unknown = [file for file in model.files if file.bytes is None]
        assert not unknown or re.fullmatch("[0-9a-f]{40}", model.revision)
        assert all(file.name.endswith(".json") for file in unknown)
