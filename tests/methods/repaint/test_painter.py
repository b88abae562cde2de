# SPDX-License-Identifier: GPL-3.0-or-later
"""Repainting with tiny pipelines of random weights, without any hub."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="diffusers is not installed")

import inspect  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from diffusers import Flux2KleinPipeline  # noqa: E402
from image_to_3d.tests.methods.repaint import tiny  # noqa: E402 (needs diffusers)
from image_to_3d.worker.core.errors import Cancelled, Invalid, OutOfMemory, Unable  # noqa: E402
from image_to_3d.worker.core.job import Job  # noqa: E402
from image_to_3d.worker.methods import repaint  # noqa: E402
from image_to_3d.worker.methods.repaint import painter  # noqa: E402
from image_to_3d.worker.methods.runtime import hooks, memory  # noqa: E402
from image_to_3d.worker.store.weights import WeightStore  # noqa: E402

SIDE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("klein"))


@pytest.fixture(scope="module")
def loaded(folder):
    made = painter.load(repaint.named(str(folder)), folder / "model_index.json", "cpu")
    made.side = SIDE
    return made


def silent() -> Job:
    return Job(lambda *_: None)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A render and what of it nobody knows."""
    picture = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    unknown = np.zeros((70, 90), bool)
    unknown[20:40, 30:60] = True
    return picture, unknown


def test_what_is_known_stays_and_a_seed_gives_the_same(loaded):
    picture, unknown = scene()
    made, again, other = (loaded.repaint(picture, unknown, [picture], 0.7, seed, silent()) for seed in (1, 1, 2))
    assert made.shape == picture.shape and made.dtype == np.uint8
    assert (made[~unknown] == picture[~unknown]).all() and (made[unknown] != picture[unknown]).mean() > 0.9
    assert (made == again).all() and (made != other).any()


def test_half_known_is_mixed_and_nothing_to_do_is_nothing_done(loaded):
    picture, unknown = scene()
    whole = loaded.repaint(picture, unknown, [], 1.0, 1, silent()).astype(int)
    half = loaded.repaint(picture, 0.5 * unknown, [], 1.0, 1, silent()).astype(int)
    assert np.abs(2 * half - picture - whole)[unknown].max() <= 2
    for share, strength in ((unknown, 0.0), (np.zeros_like(unknown), 1.0)):
        assert (loaded.repaint(picture, share, [], strength, 1, silent()) == picture).all()


def test_the_pipeline_is_told_prompt_mask_reference_and_how_it_was_distilled(loaded, folder, monkeypatch):
    told = {}
    real = loaded.kind.__call__

    def call(self, *args, **given):
        told.update(given)
        return real(self, *args, **given)

    call.__signature__ = inspect.signature(real)
    monkeypatch.setattr(loaded.kind, "__call__", call)
    picture, unknown = scene()
    loaded.repaint(picture, unknown, [picture, picture[:20]], 0.5, 1, silent())
    whole = Flux2KleinPipeline.from_pretrained(folder, low_cpu_mem_usage=False).encode_prompt(painter.PROMPT)[0]
    assert torch.allclose(told["prompt_embeds"], whole, atol=1e-5) and "prompt" not in told
    assert (told["strength"], told["num_inference_steps"], told["guidance_scale"]) == (0.5, 4, 1.0)
    assert [each.size for each in told["image_reference"]] == [(SIDE, SIDE)] * 2
    assert told["image"].size == told["mask_image"].size == (96, 64)
    mask = np.asarray(told["mask_image"])
    rows, columns = np.nonzero(mask)
    scale = 96 / 90
    assert rows.min() <= 20 * scale and rows.max() >= 39 * scale and set(np.unique(mask)) == {0, 255}
    assert rows.min() > 0 and columns.min() > 0 and columns.max() < 95


def test_cancelled_between_two_steps(loaded):
    steps = []

    def report(share, stage, message="", *_):
        if stage == "painting":
            steps.append(message)
            raise Cancelled

    picture, unknown = scene()
    with pytest.raises(Cancelled):
        loaded.repaint(picture, unknown, [], 1.0, 1, Job(report))
    assert steps == ["step 1 of 4"]
    assert loaded.repaint(picture, unknown, [], 1.0, 1, silent()).shape == picture.shape


def test_it_says_before_it_reads_that_memory_is_too_small(folder, monkeypatch):
    made = painter.load(repaint.named(str(folder)), folder, "cpu")
    monkeypatch.setattr(memory, "free", lambda device: 10)
    with pytest.raises(OutOfMemory, match="free"):
        made.repaint(*scene(), [], 1.0, 1, silent())


def test_blocks_that_come_and_go_give_the_same():
    torch.manual_seed(0)
    network = tiny.klein().transformer
    moved = []
    given = {
        "hidden_states": torch.randn(1, 4, 16),
        "encoder_hidden_states": torch.randn(1, 3, 24),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(1, 4, 4),
        "txt_ids": torch.zeros(1, 3, 4),
        "return_dict": False,
    }
    with torch.inference_mode():
        before = network(**given)[0]
        hooks.stream(network, torch.device("cpu"))
        blocks = [*network.transformer_blocks, *network.single_transformer_blocks]
        for block in blocks:
            block.to = lambda device, block=block: moved.append((id(block), str(device))) or block
        after = network(**given)[0]
    assert torch.equal(before, after)
    assert len(moved) == 2 * len(blocks) and [here for here, _ in moved[::2]] == [here for here, _ in moved[1::2]]


def test_another_pipeline_of_diffusers_is_run_as_it_wants(tmp_path):
    tiny.write_stable_diffusion(tmp_path)
    made = painter.load(repaint.named(str(tmp_path)), tmp_path, "cpu")
    made.side = 64
    picture, unknown = scene()
    painted = made.repaint(picture, unknown, [picture], 0.2, 1, silent())
    assert made.kind.__name__ == "StableDiffusionInpaintPipeline"
    assert (painted[~unknown] == picture[~unknown]).all() and (painted[unknown] != picture[unknown]).any()


def test_what_makes_no_picture_of_a_picture_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    with pytest.raises(Unable, match="DDPMPipeline .* makes no picture of a picture"):
        painter.load(repaint.named(str(tmp_path)), tmp_path, "cpu")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


BROKEN = {
    "its part vae is missing": lambda folder: shutil.rmtree(folder / "vae"),
    "its part vae has no weights": lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink(),
    "vae/diffusion_pytorch_model.safetensors is damaged": lambda folder: _cut(
        folder / "vae" / "diffusion_pytorch_model.safetensors"
    ),
    "transformer/config.json is damaged": lambda folder: _cut(folder / "transformer" / "config.json"),
    "its model_index.json is damaged": lambda folder: _cut(folder / "model_index.json"),
    "diffusers cannot read it": lambda folder: (folder / "vae" / "config.json").write_text('{"_class_name": "Nobody"}'),
}


@pytest.mark.parametrize("told", BROKEN)
def test_what_is_broken_in_a_pipelines_folder_is_named(tmp_path, told):
    BROKEN[told](tiny.write(tmp_path))
    with pytest.raises(Unable, match=re.escape(told)) as caught:
        painter.load(repaint.named(str(tmp_path)), tmp_path, "cpu").repaint(*scene(), [], 1.0, 1, silent())
    assert "copy the whole pipeline into it again, or name another repainter" in str(caught.value)
    assert "remove" not in str(caught.value)


def test_what_a_user_names(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert repaint.named("FLUX2-klein") is repaint.KLEIN
    assert repaint.named(str(folder)).licence == "apache-2.0"
    assert "not known" in repaint.named(str(tiny.write(tmp_path / "bare", card=False))).licence
    elsewhere = repaint.named("someone/painter")
    assert elsewhere.licence == "see its page" and not elsewhere.is_here(WeightStore(tmp_path))
    for name in ("nobody knows this", "../..", "./.", "~nobodyhere/x"):
        with pytest.raises(Invalid, match="no repainter"):
            repaint.named(name)
