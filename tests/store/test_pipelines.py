# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines of diffusers, whose files a hub on this machine names."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.store.weights import HubPipeline, WeightStore

FILES = {
    "model_index.json": b'{"_class_name": "Tiny"}',
    "README.md": b"---\nlicense: mit\n---\n",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": bytes(range(256)) * 9000,
    "vae/diffusion_pytorch_model.fp16.safetensors": b"half",
    "text_encoder/model.fp16.safetensors": b"only in half",
    "tokenizer/chat_template.jinja": b"{{ x }}",
    "whole.safetensors": b"the same in one file",
    "vae/diffusion_pytorch_model.bin": b"pickle",
    "onnx/deep/model.json": b"{}",
    "picture.png": b"png",
}
WANTED = {"model_index.json", "README.md", "vae/config.json", "vae/diffusion_pytorch_model.safetensors"}
WANTED |= {"text_encoder/model.fp16.safetensors", "tokenizer/chat_template.jinja"}
PUBLISHED = HubPipeline("someone/something", "main", 1000)


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder that it serves; what it lists is written by `listed`."""
    root = tmp_path / "hub"
    for name, content in FILES.items():
        path = root / "someone" / "something" / "resolve" / "main" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    yield root
    server.shutdown()
    server.server_close()


def listed(root: Path, files=FILES, **odd) -> None:
    path = root / "api" / "models" / "someone" / "something" / "revision" / "main"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
    for entry in entries:
        if entry["rfilename"].endswith(".safetensors"):
            digest = hashlib.sha256(FILES[entry["rfilename"]]).hexdigest()
            entry["lfs"] = {"sha256": odd.get(entry["rfilename"], digest)}
    path.write_text(json.dumps({"siblings": [*entries, *odd.get("more", [])]}))


def fetch(tmp_path: Path) -> Path:
    return WeightStore(tmp_path / "w", online=True).download("painter", PUBLISHED, Job(lambda *_: None))


def test_what_diffusers_reads_is_fetched_and_nothing_else(hub, tmp_path):
    store = WeightStore(tmp_path / "w")
    listed(hub)
    assert store.find("painter", PUBLISHED) is None
    folder = fetch(tmp_path)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == WANTED
    assert all((folder / name).read_bytes() == FILES[name] for name in WANTED)
    assert store.find("painter", PUBLISHED) == folder


def test_it_is_found_only_once_all_of_it_is_here(hub, tmp_path):
    name = "vae/diffusion_pytorch_model.safetensors"
    listed(hub, **{name: "0" * 64})
    with pytest.raises(Unable, match="damaged"):
        fetch(tmp_path)
    assert WeightStore(tmp_path / "w").find("painter", PUBLISHED) is None


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "vae\\..\\outside.json", "C:/outside.json"])
def test_no_name_leads_out_of_the_folder(hub, tmp_path, name):
    listed(hub, more=[{"rfilename": name, "size": 3}, {"rfilename": 7}, None])
    fetch(tmp_path)
    assert not [path for path in tmp_path.rglob("outside.json") if "hub" not in path.parts]


@pytest.mark.parametrize("answer", ["[]", "<html>", '{"siblings": 5}', '{"siblings": []}'])
def test_what_is_no_pipeline_is_refused_in_one_sentence(hub, tmp_path, answer):
    listed(hub)
    (hub / "api/models/someone/something/revision/main").write_text(answer)
    with pytest.raises(Unable, match="as the hub does|no pipeline of diffusers") as caught:
        fetch(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_told(hub, tmp_path):
    with pytest.raises(Unable, match="could not be asked .*404"):
        fetch(tmp_path)
