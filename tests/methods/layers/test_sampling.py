# SPDX-License-Identifier: GPL-3.0-or-later
"""The method generator with a tiny network of random weights."""

import hashlib

import numpy as np
import pytest
import torch
from image_to_3d.tests.methods import asked
from image_to_3d.tests.methods.asked import silent, task
from image_to_3d.worker.core import job as job_module
from image_to_3d.worker.core.errors import Cancelled, Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Layers
from image_to_3d.worker.methods.layers import GENERATOR, sampling
from image_to_3d.worker.methods.layers.generator_network import IncludedGeneratorConfig
from image_to_3d.worker.methods.layers.network import IncludedObjectConfig
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline import generate as generation
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.weights import WeightStore
from image_to_3d.worker.training.generator_network import IncludedGenerator, metadata
from image_to_3d.worker.training.run import export
from image_to_3d.worker.wire import protocol
from image_to_3d.worker.wire.making import GenerateParams, GenerateResult
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
    use(tiny, monkeypatch)


def use(file, monkeypatch) -> None:
    """Makes `file` the one that ships."""
    monkeypatch.setitem(vars(GENERATOR), "file", file)


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


def made(weights: WeightStore, picture: Picture | None = None, job: Job | None = None, **options) -> Layers:
    return asked.run(task("included-generator", weights, picture or photo(), **options), job)


def test_the_same_seed_imagines_the_same_and_another_one_another_back(weights):
    first, again, other = (made(weights, seed=seed) for seed in (1, 1, 2))
    assert (first.back == again.back).all() and (first.back_colour == again.back_colour).all()
    assert np.abs(first.back - other.back).mean() > 0.01


def test_without_variety_all_seeds_give_the_likeliest(weights):
    first, other = (made(weights, seed=seed, variety=0.0) for seed in (1, 2))
    assert (first.front == other.front).all() and (first.back == other.back).all()


def test_the_layers_say_where_in_the_photo_the_thing_is(weights):
    found = made(weights, photo(column=50))
    assert found.view.mask[60, 50] == 255 and found.view.mask[60, 120] == 0 and found.front.shape == (32, 32)
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
    assert found.view.mask[60, 80] == 255 and found.view.mask[0, 0] == 0


def test_the_mirrored_photo_gives_the_mirrored_likeliest_shape(weights, tmp_path, monkeypatch):
    straight = IncludedGenerator(TINY)  # whose flow does not bend, so that the regression is all there is
    export(straight, metadata(TINY), tmp_path / "generator.safetensors")
    use(tmp_path / "generator.safetensors", monkeypatch)
    found, mirrored = (made(weights, photo(column=column), variety=0.0) for column in (50, 109))
    rows, columns = np.indices((32, 32)) - 15.5
    inside = rows**2 + columns**2 < 13**2
    np.testing.assert_allclose(found.front[inside], mirrored.front[:, ::-1][inside], atol=1e-3)


def test_progress_tells_each_step_of_the_sampler(weights, monkeypatch):
    monkeypatch.setattr(job_module, "REPORT_INTERVAL", 0.0)
    told = []
    made(weights, job=Job(lambda share, stage, message, _: told.append((share, stage, message))), steps=5)
    steps = [(share, message) for share, stage, message in told if stage == "denoising"]
    assert [message for _, message in steps] == [f"step {i} of 5" for i in range(1, 6)]
    assert sorted(share for share, _ in steps) == [share for share, _ in steps]


def test_a_cancel_is_heard_in_the_middle_of_sampling(weights, monkeypatch):
    monkeypatch.setattr(job_module, "REPORT_INTERVAL", 0.0)
    told = []

    def notify(share: float, stage: str, message: str, remaining: float | None) -> None:
        told.append(message)
        if message == "step 3 of 50":
            job.cancel()

    job = Job(notify)
    with pytest.raises(Cancelled):
        made(weights, job=job, steps=50)
    assert told[-1] == "step 3 of 50"


@pytest.mark.parametrize("alpha", [True, False])
def test_the_same_layers_come_back_from_the_cache_without_the_network(weights, tmp_path, monkeypatch, alpha):
    first, kept = made(weights, photo(alpha)), cache.Cache(tmp_path / "cache")
    kept.save_arrays("key", first.to_arrays())
    monkeypatch.setattr(sampling, "load", lambda *_: pytest.fail("it was loaded"))
    again = sampling.restored(kept.load_arrays("key"), task("included-generator", weights, photo(alpha)), silent())
    assert again.window == first.window and again.view.camera == first.view.camera
    assert (again.back == first.back).all() and (again.view.mask == first.view.mask).all()
    assert (again.view.rgb == first.view.rgb).all()


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
    assert caught.value.network == "included-generator"


def test_a_damaged_file_and_one_of_another_network_are_named(weights, tiny, tmp_path, monkeypatch):
    cut = tmp_path / "generator.safetensors"
    cut.write_bytes(tiny.read_bytes()[:5000])
    use(cut, monkeypatch)
    with pytest.raises(Unable, match="generator.safetensors cannot be loaded"):
        made(weights)
    use(tmp_path / "gone.safetensors", monkeypatch)
    with pytest.raises(Unable, match="gone.safetensors is missing: install the product again"):
        made(weights)


def test_weights_that_are_not_numbers_are_told(weights, tmp_path, monkeypatch):
    broken = IncludedGenerator(TINY)
    broken.flow.head.bias.data.fill_(float("nan"))
    export(broken, metadata(TINY), tmp_path / "generator.safetensors")
    use(tmp_path / "generator.safetensors", monkeypatch)
    with pytest.raises(Unable, match="not finite"):
        made(weights)


def run(tmp_path, picture: Picture, **options) -> GenerateResult:
    rgba = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    output = str(tmp_path / "out.glb")
    params = GenerateParams((str(tmp_path / "disc.png"),), output, "fast", "diffusion", options=options)
    machine = generation.Machine(WeightStore(tmp_path / "weights"), tmp_path / "cache", "cpu")
    return protocol.read(GenerateResult, generation.generate(params, machine, silent()))


def test_a_photo_becomes_a_closed_textured_thing_and_only_another_seed_is_made_anew(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    done = run(tmp_path, photo(alpha=False), faces=3000)
    mesh = trimesh.load(done.glb, force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and mesh.body_count == 1 and mesh.volume > 0
    assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(2.0, abs=1e-3)
    image = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert (np.abs(image[: len(image) // 2] - [200, 40, 30]).max(-1) < 40).mean() > 0.5
    assert done.network == "included-generator" and not done.from_cache and len(done.warnings) == 1
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
