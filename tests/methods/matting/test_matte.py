# SPDX-License-Identifier: GPL-3.0-or-later
"""The thing in a photo: by its alpha, by a plain background, by a network; and where there is none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.methods.matting.onnx_file import colour_network
from image_to_3d.worker.core.errors import Unable, WeightsMissing
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import all_methods
from image_to_3d.worker.methods.matting import ISNET, NETWORKS, U2NETP, matte, saliency
from image_to_3d.worker.methods.method import Network
from image_to_3d.worker.pictures.load import Picture, load
from image_to_3d.worker.store.weights import WeightStore

RED, WHITE = (200, 30, 30), (245, 245, 245)
LIKES_RED = colour_network(320, (3.0, -1.5, -1.5), -4.0)


@pytest.fixture
def nothing(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "nothing")


@pytest.fixture
def likes_red(tmp_path) -> WeightStore:
    return installed(tmp_path, LIKES_RED)


def installed(folder: Path, content: bytes, network: Network = U2NETP) -> WeightStore:
    file = folder / "weights" / network.name / network.published.files[0].name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return WeightStore(folder / "weights")


def picture(rgb: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    return Picture(rgb, alpha, None, "", "p")


def coverage(height: int, width: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    """How much of each pixel a disc covers, (H, W) float."""
    rows, columns = np.mgrid[:height, :width]
    return np.clip(radius - np.hypot(rows - centre[0], columns - centre[1]) + 0.5, 0.0, 1.0)


def mixed(share: np.ndarray, colour: tuple, behind: np.ndarray | tuple) -> np.ndarray:
    return np.rint(share[..., None] * np.array(colour) + (1 - share[..., None]) * np.array(behind)).astype(np.uint8)


def meadow(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(40, 160, (height, width, 3)) * (0.3, 1.0, 0.6)


def error(alpha: np.ndarray, share: np.ndarray) -> float:
    return float(np.abs(alpha / 255.0 - share).mean())


def test_alpha_is_kept_as_it_is_and_needs_no_network(nothing):
    alpha = np.arange(80, dtype=np.uint8)[None].repeat(60, 0) * 3
    shown = picture(np.zeros((60, 80, 3), np.uint8), alpha)
    assert (matte.subject_alpha(shown, nothing, "m") == alpha).all()
    assert matte.without_background(shown, nothing, "m") is shown


def test_a_plain_background_needs_no_network_and_the_outline_is_shared_out_between_both(nothing):
    share = coverage(90, 120, (45.0, 60.0), 30.3)
    alpha = matte.subject_alpha(picture(mixed(share, RED, WHITE)), nothing, "m")
    assert np.abs(alpha / 255.0 - share).max() < 0.1


def test_a_network_finds_the_thing_before_a_busy_background(likes_red):
    share = coverage(500, 700, (250.0, 350.0), 120.0)
    shown = picture(mixed(share, RED, meadow(500, 700)))
    cut = matte.without_background(shown, likes_red, "m")
    assert error(cut.alpha, share) < 0.004
    assert (cut.rgb[share == 1] == shown.rgb[share == 1]).all() and cut.digest == shown.digest


def test_without_the_network_the_download_that_brings_it_is_named_with_size_and_licence(nothing):
    with pytest.raises(WeightsMissing, match=r"4\.6 MB, Apache-2\.0") as caught:
        matte.subject_alpha(picture(meadow(50, 60).astype(np.uint8)), nothing, "triposr")
    assert (caught.value.network, caught.value.bytes) == ("triposr", U2NETP.bytes)


def test_the_better_network_is_taken_where_both_are_there(tmp_path, likes_red):
    assert saliency.installed(likes_red) is U2NETP
    installed(tmp_path, b"", ISNET)
    assert saliency.installed(likes_red) is ISNET


def test_which_of_them_is_there_is_part_of_the_revision_of_every_network_that_may_need_one(tmp_path, likes_red):
    networks = [network for method in all_methods() for network in method.networks]
    users = [network for network in networks if network.also and not network.by_hand]
    assert {"triposr", "included-generator", "photos", "nerfacto", "triposg", "shap-e"} <= {user.name for user in users}
    before = [user.revision(likes_red) for user in users]
    installed(tmp_path, b"", ISNET)
    assert all(user.revision(likes_red) != old for user, old in zip(users, before, strict=True))


def test_a_download_brings_the_small_one_along_and_never_the_large_one(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(WeightStore, "download", lambda store, name, model, job: fetched.append(name))
    networks = [network for method in all_methods() for network in method.networks]
    users = [network for network in networks if network.also and not network.by_hand]
    for user in users:
        fetched.clear()
        bytes = user.download(WeightStore(tmp_path, online=True), Job(lambda *_: None))
        assert fetched == [*([user.kept] if user.published else []), U2NETP.name]
        assert bytes == user.bytes + U2NETP.bytes


def test_networks_come_from_addresses_with_known_sizes_and_hashes():
    for network in NETWORKS:
        assert network.published.address.startswith("https://")
        assert all(len(file.sha256) == 64 and file.bytes > 1_000_000 for file in network.published.files)


def test_a_network_tells_holes_and_shadows_on_a_plain_background_from_the_things_own_colours(monkeypatch, likes_red):
    thing, hole = coverage(200, 200, (90.0, 100.0), 60.0), coverage(200, 200, (90.0, 80.0), 15.0)
    sticker = coverage(200, 200, (90.0, 125.0), 15.0)  # white as the background, but on the thing
    shadow = (np.indices((200, 200))[0] > 140) & (np.abs(np.indices((200, 200))[1] - 100) < 60) & (thing == 0)
    rgb = mixed(thing * (1 - hole) * (1 - sticker), RED, WHITE)
    rgb[shadow & (np.indices((200, 200))[0] < 160)] = (220, 220, 220)
    seen = thing * (1 - hole)
    alone = matte.subject_alpha(picture(rgb), WeightStore(Path("nowhere")), "m")
    assert error(alone, seen) > 0.05
    monkeypatch.setattr(saliency, "matte", lambda *_: seen.astype(np.float32)[::2, ::2])
    assert error(matte.subject_alpha(picture(rgb), likes_red, "m"), seen) < 0.01
    unsure = np.where(sticker > 0, 0.4, seen)  # where it only doubts, what is enclosed stays
    monkeypatch.setattr(saliency, "matte", lambda *_: unsure.astype(np.float32)[::2, ::2])
    assert error(matte.subject_alpha(picture(rgb), likes_red, "m"), seen) < 0.01


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "cannot be used"),
        (LIKES_RED[:60], "cannot be used"),
        (b"<html>not found</html>", "cannot be used"),
        (colour_network(64, (1.0, 1.0, 1.0), 0.0), "cannot be used"),
        (colour_network(320, (np.nan, 1.0, 1.0), 0.0), "gave no matte"),
    ],
)
def test_a_file_that_is_no_such_network_is_one_sentence(tmp_path, content, reason):
    weights = installed(tmp_path, content)
    with pytest.raises(Unable, match=reason) as caught:
        matte.subject_alpha(picture(meadow(50, 60).astype(np.uint8)), weights, "m")
    assert "\n" not in str(caught.value) and "download it again" in str(caught.value)


def test_the_network_is_shown_the_photo_as_its_training_did(tmp_path):
    weights = installed(tmp_path, colour_network(320, (0.3, -0.2, 0.1), 0.05))
    found = saliency.matte(U2NETP, weights, np.full((40, 50, 3), (200, 100, 0), np.uint8))
    shown = (np.array([1.0, 0.5, 0.0]) - (0.485, 0.456, 0.406)) / (
        0.229,
        0.224,
        0.225,
    )  # by the photo's brightest value
    assert np.allclose(found, 1 / (1 + np.exp(-(shown @ (0.3, -0.2, 0.1) + 0.05))), atol=1e-5)


def test_a_picture_without_a_thing_is_one_sentence(likes_red):
    with pytest.raises(Unable, match="no object was found in p"):
        matte.subject_alpha(picture(meadow(80, 90).astype(np.uint8)), likes_red, "m")
    with pytest.raises(Unable, match="nowhere more than 39 % opaque"):
        matte.subject_alpha(picture(np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 100, np.uint8)), likes_red, "m")


def test_several_things_and_one_that_is_cut_off_are_remarked_upon():
    one, other = coverage(100, 200, (50.0, 50.0), 30.0), coverage(100, 200, (50.0, 140.0), 20.0)
    speck, cut_off = coverage(100, 200, (90.0, 190.0), 3.0), coverage(100, 200, (0.0, 100.0), 90.0)
    alphas = [np.uint8(255 * share) for share in (one + speck, one + other, cut_off)]
    assert matte.remarks(alphas[0]) == ()
    assert "2 separate things" in matte.remarks(alphas[1])[0]
    assert "cut off" in matte.remarks(alphas[2])[0]
    assert matte.remarks(np.zeros((9, 9), np.uint8)) == ()


def test_specks_that_a_network_sees_beside_the_thing_go(likes_red):
    share = coverage(400, 400, (200.0, 200.0), 110.0)
    rgb = mixed(np.maximum(share, coverage(400, 400, (30.0, 30.0), 4.0)), RED, meadow(400, 400))
    alpha = matte.subject_alpha(picture(rgb), likes_red, "m")
    assert not alpha[:60, :60].any() and error(alpha, share) < 0.005


def test_importing_the_room_does_not_load_the_library_that_runs_networks():
    code = "import sys, worker.methods.matting.matte; sys.exit('onnxruntime' in sys.modules)"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize("name, least", [("horse", 0.95), ("rifle2", 0.9)])
def test_a_real_network_agrees_with_its_larger_sister_on_real_photos(shared, tmp_path, name, least):
    file = shared / "data" / "weights" / "u2netp.onnx"
    if not file.is_file():
        pytest.skip("the matting network's weights are not in the shared data")
    weights = installed(tmp_path, file.read_bytes())
    alpha = matte.subject_alpha(load(shared / "data" / "matting" / "photos" / f"{name}.jpg"), weights, "m")
    found, true = alpha >= 128, load(shared / "data" / "matting" / "masks" / f"{name}.png").rgb[..., 0] >= 128
    assert (found & true).sum() / (found | true).sum() > least
