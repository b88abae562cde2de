# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures import gather as gathering
from image_to_3d.worker.pictures.gather import gather
from image_to_3d.worker.pictures.video import choose, frames
from PIL import Image
from scipy import ndimage

av = pytest.importorskip("av", reason="videos are read with PyAV, which is not in this environment")


def job() -> Job:
    return Job(lambda *_: None)


def painting(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (2, 2, 0))
    return np.uint8(255 * (noise - noise.min()) / np.ptp(noise))


def save(folder: Path, name: str, rgb: np.ndarray, **options: object) -> Path:
    Image.fromarray(rgb).save(folder / name, **options)
    return folder / name


def film(path: Path, pictures: list[np.ndarray], codec: str = "mpeg4") -> Path:
    with av.open(str(path), "w") as video:
        stream = video.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                video.mux(packet)
        for packet in stream.encode():
            video.mux(packet)
    return path


def pan(count: int, step: int = 4, still: int = 0) -> list[np.ndarray]:
    """A camera that moves along a painting, after `still` frames without moving."""
    wide = painting(0, 160 + count * step, 120)
    return [wide[:, max(0, k - still) * step :][:, :160].copy() for k in range(count)]


def test_a_folder_is_read_in_the_order_of_names_and_other_files_are_passed_over(tmp_path):
    for number in (2, 0, 1):
        save(tmp_path, f"{number}.jpg", painting(number))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.jpg").write_text("")
    found = gather([tmp_path], job())
    assert [picture.name for picture in found.pictures] == ["0", "1", "2"] and not found.ordered and not found.notes


def test_pictures_keep_their_sizes_and_stand_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    paths = [
        save(tmp_path, "a.jpg", painting(0)),
        save(tmp_path, "b.png", painting(1, 80, 80)),
        save(tmp_path, "c.jpg", painting(2), exif=turned),
    ]
    assert [p.rgb.shape[:2] for p in gather(paths, job()).pictures] == [(64, 96), (80, 80), (96, 64)]


def test_the_same_photo_twice_is_used_once_also_when_saved_again(tmp_path):
    paths = [
        save(tmp_path, "a.png", painting(0)),
        save(tmp_path, "b.png", painting(0)),
        save(tmp_path, "c.jpg", painting(0), quality=85),
        save(tmp_path, "d.png", np.roll(painting(0), 3, axis=1)),
    ]
    found = gather(paths, job())
    assert [picture.name for picture in found.pictures] == ["a", "d"]
    assert found.notes == ("the same as others, and left out: 2 of 4 pictures",)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    paths = [save(tmp_path, "a.png", painting(0)), tmp_path / "broken.jpg", tmp_path / "gone.jpg"]
    paths.append(save(tmp_path, "night.png", np.zeros((64, 96, 3), np.uint8)))
    found = gather(paths, job())
    assert [picture.name for picture in found.pictures] == ["a"]
    assert "left out of 4 pictures: broken.jpg" in found.notes[0] and "gone.jpg" in found.notes[0]
    assert found.notes[1] == "nothing is to be seen on night: left out"


@pytest.mark.parametrize("level", [0, 255])
def test_pictures_of_one_colour_are_refused_in_one_sentence(tmp_path, level):
    paths = [save(tmp_path, f"{k}.png", np.full((20, 30, 3), level, np.uint8)) for k in range(3)]
    with pytest.raises(Unable, match="one colour"):
        gather(paths, job())


@pytest.mark.parametrize("what", ["none", "empty folder", "broken", "all broken"])
def test_nothing_to_read_is_told_in_one_sentence(tmp_path, what):
    paths = {"none": [], "empty folder": [tmp_path], "broken": [tmp_path / "a.jpg"]}
    (broken := tmp_path / "broken").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (broken / name).write_bytes(b"nothing")
    with pytest.raises(Unable) as raised:
        gather(paths.get(what, [broken]), job())
    assert "\n" not in str(raised.value) and str(raised.value)[0].islower()


def test_many_large_pictures_are_thinned_and_reduced(tmp_path, monkeypatch):
    monkeypatch.setattr(gathering, "MOST_PICTURES", 3)
    monkeypatch.setattr(gathering, "MOST_PIXELS", 3 * 48 * 36)
    paths = [save(tmp_path, f"{number}.png", painting(number)) for number in range(7)]
    found = gather(paths, job())
    assert [picture.name for picture in found.pictures] == ["0", "3", "6"]
    assert found.pictures[0].rgb.shape == (32, 48, 3) and "3 of 7" in found.notes[0]


def test_a_list_of_cameras_is_left_to_who_knows_it(tmp_path):
    (tmp_path / "transforms.json").write_text("{}")
    save(tmp_path, "a.png", painting(0))
    for paths in ([tmp_path], [tmp_path / "transforms.json"]):
        found = gather(paths, job())
        assert found.cameras == tmp_path / "transforms.json" and found.pictures == ()


def test_a_video_gives_frames_in_order_evenly_spaced_along_the_cameras_way(tmp_path):
    path = film(tmp_path / "walk.mp4", pan(60, still=30))
    taken = frames(path, job(), 10)
    times = np.array([float(picture.name.split()[-2]) for picture in taken])
    assert 8 <= len(taken) <= 10 and (np.diff(times) > 0).all()
    assert (times > 1.15).sum() >= 8  # during the first 30 frames, 1.2 s, nothing moved
    assert taken[0].rgb.shape == (120, 160, 3) and np.diff(times[times > 1.15]).max() < 0.36


def test_blurred_frames_are_passed_over(tmp_path):
    pictures = pan(40)
    for number in range(40):
        if number % 4:
            pictures[number] = ndimage.gaussian_filter(pictures[number], (3, 3, 0))
    taken = frames(film(tmp_path / "walk.mp4", pictures), job(), 8)
    numbers = [round(float(picture.name.split()[-2]) * 25) for picture in taken]
    assert sum(number % 4 == 0 for number in numbers) >= 7


def test_a_video_in_which_nothing_moves_is_one_picture():
    assert len(choose(np.array([3.0, 9.0, 4.0]), np.array([0.0, 0.1, 0.1]), 8)) == 1


def test_a_cut_does_not_take_all_frames_to_one_side_of_it():
    moved = np.full(100, 5.0)
    moved[50] = 200.0
    chosen = choose(np.ones(100), moved, 10)
    assert len(chosen) == 10 and np.diff(chosen).max() <= 21


@pytest.mark.parametrize("what, words", [("gone", "no file"), ("noise", "not a video"), ("head", "video|frame")])
def test_a_video_that_cannot_be_read_is_told_in_one_sentence(tmp_path, what, words):
    path = tmp_path / "walk.avi"
    whole = film(tmp_path / "whole.avi", pan(10)).read_bytes()
    if what != "gone":
        path.write_bytes(b"noise" * 100 if what == "noise" else whole[:300])
    with pytest.raises(Unable, match=words) as raised:
        gather([path], job())
    assert "\n" not in str(raised.value)


def test_a_video_that_breaks_off_gives_what_is_there(tmp_path):
    whole = film(tmp_path / "whole.avi", pan(40)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 6 // 10])
    found = gather([tmp_path / "cut.avi"], job())
    assert 5 <= len(found.pictures) <= 26 and found.ordered


def test_reading_stops_when_it_should(tmp_path):
    stopped = job()
    stopped.cancel()
    for path in (film(tmp_path / "walk.mp4", pan(10)), save(tmp_path, "a.png", painting(0))):
        with pytest.raises(Cancelled):
            gather([path], stopped)
