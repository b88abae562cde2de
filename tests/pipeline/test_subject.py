# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo of a thing before a background, as a thing, as a scene and as both, with a network that draws what it is told
to."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.app import App
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.depth import included
from image_to_3d.worker.methods.matting import U2NETP, saliency
from image_to_3d.worker.pictures.load import load
from image_to_3d.worker.pipeline import subject
from image_to_3d.worker.wire.making import GenerateResult
from image_to_3d.worker.wire.offers import InitializeParams, SelectParams
from image_to_3d.worker.wire.protocol import VERSION
from PIL import Image


@pytest.fixture
def ball(tmp_path) -> Path:
    """A red ball on a meadow."""
    rows, columns = np.mgrid[:120, :160]
    inside = np.hypot(rows - 60, columns - 80) < 35
    meadow = np.random.default_rng(0).integers(60, 200, (120, 160, 1)) * np.array([0.3, 1.0, 0.4])
    Image.fromarray(np.where(inside[..., None], [210, 40, 30], meadow).astype(np.uint8)).save(tmp_path / "ball.png")
    return tmp_path / "ball.png"


@pytest.fixture
def matting(machine, monkeypatch):
    """A matting network that is there and sees the ball, or what it is set to."""
    folder = machine.weights.root / "u2netp"
    folder.mkdir(parents=True)
    (folder / "u2netp.onnx").write_bytes(b"")
    rows, columns = np.mgrid[:320, :320]
    sees = {"matte": (np.hypot((rows - 160) * 120 / 320, (columns - 160) * 160 / 320) < 35).astype(np.float32)}
    monkeypatch.setattr(saliency, "matte", lambda network, weights, rgb: sees["matte"])
    monkeypatch.setattr(saliency, "installed", lambda weights: U2NETP)
    subject._found.cache_clear()
    yield sees
    subject._found.cache_clear()


def nodes(result: GenerateResult) -> list[str]:
    data = Path(result.glb).read_bytes()
    document = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    return [node["name"] for node in document["nodes"]]


def test_a_clear_thing_is_taken_alone_and_that_is_said(ball, make, matting):
    made = make(ball)
    assert (made.method, nodes(made)) == ("layers", ["ball"])
    assert [note for note in made.warnings if "set the subject to scene" in note]
    assert made.provenance.digests == make(ball, options={"subject": "scene"}).provenance.digests


def test_the_scene_is_all_that_the_photo_shows(ball, make, matting):
    made = make(ball, options={"subject": "scene"})
    assert made.method == "depth" and not any("subject" in note for note in made.warnings)
    matting["matte"] = np.zeros((320, 320), np.float32)
    subject._found.cache_clear()
    assert make(ball).method == "depth"


def test_both_are_two_named_objects_in_one_file_and_come_from_the_cache(ball, make, matting):
    made = make(ball, options={"subject": "both"})
    assert nodes(made) == ["ball", "ball scene"] and not made.from_cache
    again = make(ball, options={"subject": "both"})
    assert again.from_cache and nodes(again) == ["ball", "ball scene"] and again.faces == made.faces
    coarser = make(ball, options={"subject": "both", "texture": 128})
    assert not coarser.from_cache and "network" not in coarser.seconds, "what networks made is kept"


def test_the_panels_question_finds_the_thing_once_for_all_workers(ball, make, machine, matting, monkeypatch):
    job = Job(lambda *_: None)
    places = {"weights": str(machine.weights.root), "cache": str(machine.results)}
    for _ in range(2):
        app = App()
        app.initialize(InitializeParams(VERSION, device="cpu", **places), job)
        assert app.select(SelectParams((str(ball),), "Depth"), job).method == "layers"
        subject._found.cache_clear()
        monkeypatch.setattr(saliency, "matte", lambda *_: pytest.fail("looked again"))
    assert make(ball).method == "layers"


def test_another_matte_is_another_thing(ball, make, matting):
    make(ball)
    before = make(ball)
    assert before.from_cache
    matting["matte"][:, :150] = 0.0
    subject._found.cache_clear()
    changed = make(ball, options={"subject": "thing"}, cached=False)
    assert changed.faces != before.faces or changed.vertices != before.vertices


def test_without_a_matting_network_the_thing_is_cut_out_roughly_and_that_is_said(ball, make, machine, monkeypatch):
    rows, columns = np.mgrid[:160, :224]
    logits = np.where(np.hypot(rows - 80, columns - 112) < 45, 5.0, -5.0)
    logits[78:82, 110:114] = -1.0  # a hole of which it is not sure
    averaged = included.Seen.enlarged

    def with_ball(seen: included.Seen, height: int, width: int) -> included.Seen:
        mask = Image.fromarray(logits.astype(np.float32)).resize((width, height))
        return averaged(seen, height, width)._replace(salient=np.array(mask))

    monkeypatch.setattr(included.Seen, "enlarged", with_ball)
    subject._found.cache_clear()
    made = make(ball, options={"subject": "thing"})
    matte = subject.thing_in(load(ball), machine.weights, "cpu").matte
    assert matte[len(matte) // 2, matte.shape[1] // 2] == 1.0
    subject._found.cache_clear()
    assert made.method == "layers" and [note for note in made.warnings if "U2-Net small (4.6 MB" in note]
