# SPDX-License-Identifier: GPL-3.0-or-later
"""The Diffusion backend with a tiny generator of random weights."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods.triposg import tiny
from image_to_3d.worker import methods as backends
from image_to_3d.worker.core.errors import Cancelled, OutOfMemory, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.methods import triposg as diffusion
from image_to_3d.worker.methods.layers.generator_network import IncludedGenerator, IncludedGeneratorConfig, metadata
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.methods.runtime import memory
from image_to_3d.worker.methods.triposg import network as triposg
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline import generate as generation
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.training.run import export
from image_to_3d.worker.wire.protocol import GenerateParams
from PIL import Image

WIDTHS, BLOCKS = (8, 8, 16, 16), (0, 0, 1, 1)
TINY = IncludedGeneratorConfig(IncludedObjectConfig(WIDTHS, BLOCKS, 32), WIDTHS, BLOCKS, 32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The file of a generator whose samples vary by a fifth of a half side."""
    torch.manual_seed(2)
    network = IncludedGenerator(TINY)
    network.scale.fill_(0.2)
    torch.nn.init.normal_(network.flow.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("included") / "generator.safetensors"
    export(network, metadata(TINY), path)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch, tiny):
    torch.set_num_threads(1)
    monkeypatch.setattr(diffusion, "FILE", tiny)


@pytest.fixture
def weights(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "weights")


def photo(alpha: bool = True, column: int = 80) -> Picture:
    """A red disc of radius 40 on nothing or on plain white, 120 x 160."""
    rows, columns = np.indices((120, 160))
    disc = (rows - 60) ** 2 + (columns - column) ** 2 <= 40**2
    rgb = np.where(disc[..., None], [200, 40, 30], [255, 255, 255]).astype(np.uint8)
    digest = hashlib.sha256(rgb.tobytes()).hexdigest()
    return Picture(rgb, np.where(disc, 255, 0).astype(np.uint8) if alpha else None, None, digest, "disc")


def task(weights: WeightStore, *pictures: Picture, **options) -> backends.Task:
    settled = backends.settle(diffusion.Backend().describe(weights), "fast", options)
    return backends.Task(pictures or (photo(),), "included", settled, "cpu", weights)


def made(weights: WeightStore, *pictures: Picture, **options) -> Layers:
    return diffusion.Backend().generate(task(weights, *pictures, **options), Job(lambda *_: None))


def test_the_same_seed_imagines_the_same_and_another_one_another_back(weights):
    first, again, other = (made(weights, seed=seed) for seed in (1, 1, 2))
    assert (first.back == again.back).all() and (first.back_colour == again.back_colour).all()
    assert np.abs(first.back - other.back).mean() > 0.01


def test_without_variety_all_seeds_give_the_likeliest(weights):
    first, other = (made(weights, seed=seed, variety=0.0) for seed in (1, 2))
    assert (first.front == other.front).all() and (first.back == other.back).all()


def test_the_layers_say_where_in_the_photo_the_thing_is(weights):
    found = made(weights, photo(column=50))
    assert found.subject[60, 50] == 255 and found.subject[60, 120] == 0 and found.front.shape == (32, 32)
    middle = found.window.left + found.window.side / 2
    assert middle == pytest.approx(50.5, abs=1.0)


def test_around_the_thing_lies_what_is_nearest_in_it(weights):
    """Else a mesh whose outline is a little wider would have spikes towards nothing."""
    found = made(weights)
    rows, columns = np.indices((32, 32)) - 15.5
    assert (found.front[16, 0], found.back[16, 31]) == (found.front[16, 2], found.back[16, 29])
    outside = rows**2 + columns**2 > 15**2
    assert (found.back - found.front)[outside].min() > (found.back - found.front).min() - 1e-6
    assert not (found.front[outside] == 0).any()


def test_a_plain_background_is_as_good_as_transparency(weights):
    found = made(weights, photo(alpha=False))
    assert found.subject[60, 80] == 255 and found.subject[0, 0] == 0


def test_the_mirrored_photo_gives_the_mirrored_likeliest_shape(weights, tmp_path, monkeypatch):
    straight = IncludedGenerator(TINY)  # whose flow does not bend, so that the regression is all there is
    export(straight, metadata(TINY), tmp_path / "generator.safetensors")
    monkeypatch.setattr(diffusion, "FILE", tmp_path / "generator.safetensors")
    found, mirrored = (made(weights, photo(column=column), variety=0.0) for column in (50, 109))
    rows, columns = np.indices((32, 32)) - 15.5
    inside = rows**2 + columns**2 < 13**2
    np.testing.assert_allclose(found.front[inside], mirrored.front[:, ::-1][inside], atol=1e-3)


def test_progress_tells_each_step_of_the_sampler(weights):
    told = []
    diffusion.Backend().generate(task(weights, steps=5), Job(lambda share, stage, message: told.append((share, stage))))
    steps = [(share, stage) for share, stage in told if stage.startswith("denoising")]
    assert [stage for _, stage in steps] == [f"denoising {i}/5" for i in range(1, 6)]
    assert sorted(share for share, _ in steps) == [share for share, _ in steps]


def test_a_cancel_is_heard_in_the_middle_of_sampling(weights):
    told = []

    def notify(share: float, stage: str, message: str) -> None:
        told.append(stage)
        if stage == "denoising 3/50":
            job.cancel()

    job = Job(notify)
    with pytest.raises(Cancelled):
        diffusion.Backend().generate(task(weights, steps=50), job)
    assert told[-1] == "denoising 3/50"


def test_the_same_layers_come_back_from_the_cache_without_the_network(weights, tmp_path):
    first, kept = made(weights), cache.Cache(tmp_path / "cache")
    kept.save_arrays("key", first.to_arrays())
    backend = diffusion.Backend()
    again = backend.restored(kept.load_arrays("key"), task(weights))
    assert backend._loaded is None and again.window == first.window
    assert (again.back == first.back).all() and (again.subject == first.subject).all()


def test_a_picture_that_is_transparent_all_over_is_refused(weights):
    empty = photo()
    empty.alpha[...] = 0
    with pytest.raises(Unable, match="transparent everywhere"):
        made(weights, empty)


def test_haze_alone_is_no_object(weights):
    hazy = photo()
    hazy.alpha[...] = 100
    with pytest.raises(Unable, match="no object"):
        made(weights, hazy)


def test_a_photo_whose_background_is_not_plain_needs_the_network_that_cuts_out(weights):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(WeightsMissing, match="cut out") as caught:
        made(weights, Picture(noise, None, None, "", "noise"))
    assert caught.value.model == "included"


def test_several_photos_are_refused(weights):
    with pytest.raises(Unable, match="one photo, not 2"):
        made(weights, photo(), photo())


def test_a_damaged_file_and_one_of_another_network_are_named(weights, tiny, tmp_path, monkeypatch):
    cut = tmp_path / "generator.safetensors"
    cut.write_bytes(tiny.read_bytes()[:5000])
    monkeypatch.setattr(diffusion, "FILE", cut)
    with pytest.raises(Unable, match="generator.safetensors cannot be loaded"):
        made(weights)
    monkeypatch.setattr(diffusion, "FILE", tmp_path / "gone.safetensors")
    with pytest.raises(Unable, match="gone.safetensors cannot be loaded"):
        made(weights)


def test_weights_that_are_not_numbers_are_told(weights, tmp_path, monkeypatch):
    broken = IncludedGenerator(TINY)
    broken.flow.head.bias.data.fill_(float("nan"))
    export(broken, metadata(TINY), tmp_path / "generator.safetensors")
    monkeypatch.setattr(diffusion, "FILE", tmp_path / "generator.safetensors")
    with pytest.raises(Unable, match="not finite"):
        made(weights)


def run(tmp_path, picture: Picture, **options):
    rgba = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    params = GenerateParams(
        (str(tmp_path / "disc.png"),), str(tmp_path / "out.glb"), "diffusion", "fast", None, options
    )
    job = Job(lambda *_: None)
    return generation.generate(params, WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu", job)


def test_a_photo_becomes_a_closed_textured_thing_and_only_another_seed_is_made_anew(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    done = run(tmp_path, photo(alpha=False), faces=3000)
    mesh = trimesh.load(done.glb, force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and mesh.body_count == 1 and mesh.volume > 0
    assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(2.0, abs=1e-3)
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert (np.abs(image[: len(image) // 2] - [200, 40, 30]).max(-1) < 40).mean() > 0.5
    assert done.model == "included" and not done.from_cache and done.warnings == ()
    assert run(tmp_path, photo(alpha=False), faces=3000).from_cache
    other = run(tmp_path, photo(alpha=False), faces=3000, seed=1)
    extents = [np.ptp(found.vertices, axis=0) for found in (mesh, trimesh.load(other.glb, force="mesh"))]
    assert not other.from_cache and np.abs(extents[0] - extents[1]).max() > 1e-3


def test_a_thing_that_is_cut_off_and_several_things_are_made_with_a_warning(tmp_path):
    rows, columns = np.indices((120, 160))
    low = photo()
    low.alpha[...] = np.where((rows > 60) & (abs(columns - 80) < 50), 255, 0)
    assert any("cut off by the photo's border" in text for text in run(tmp_path, low).warnings)
    twins = photo()
    twins.alpha[...] = np.where((abs(rows - 60) < 20) & (abs(abs(columns - 80) - 40) < 20), 255, 0)
    assert any("2 separate things" in text for text in run(tmp_path, twins).warnings)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> WeightStore:
    """A store with a tiny TripoSG whose field is a ball."""
    root = tmp_path_factory.mktemp("weights")
    tiny.write(root / "triposg", shards=2)
    return WeightStore(root)


def large_task(weights: WeightStore, **options) -> backends.Task:
    settled = backends.settle(diffusion.Backend().describe(weights), "fast", {"sampler_steps": 2, **options})
    return backends.Task((photo(),), "triposg", settled, "cpu", weights)


@pytest.fixture
def few_tokens(monkeypatch):
    monkeypatch.setattr(triposg, "TOKENS", 48)


def test_triposg_gives_a_field_that_comes_back_from_its_arrays(large, few_tokens):
    backend, asked = diffusion.Backend(), large_task(large)
    found = backend.generate(asked, Job(lambda *_: None))
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    again = diffusion.Backend().restored(found.to_arrays(), asked)
    np.testing.assert_allclose(again.value(points), found.value(points), atol=1e-5)
    assert found.value(np.zeros((1, 3), np.float32)) > 0


def test_a_large_generator_that_is_not_here_is_asked_for_before_anything_is_done(weights):
    with pytest.raises(WeightsMissing, match="7946 MB, MIT") as caught:
        diffusion.Backend().generate(large_task(weights), Job(lambda *_: None))
    assert caught.value.model == "triposg"


def test_too_little_memory_is_told_before_the_start(large, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    with pytest.raises(OutOfMemory, match="smaller model"):
        diffusion.Backend().generate(large_task(large), Job(lambda *_: None))


def test_other_files_under_the_same_name_change_the_revision(large, tmp_path):
    backend = diffusion.Backend()
    here = backend.revision("triposg", large)
    assert here != backend.revision("triposg", WeightStore(tmp_path)) and here == backend.revision("triposg", large)


def test_the_description_offers_what_ships_as_the_default(weights):
    info = diffusion.Backend().describe(weights)
    assert info.default_model == "included" and next(m for m in info.models if m.name == "included").here
    assert dataclasses.asdict(info)["presets"]["fast"]["steps"] < info.presets["high"]["steps"]
