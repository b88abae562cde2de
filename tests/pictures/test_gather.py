# SPDX-License-Identifier: GPL-3.0-or-later
import sys
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

sys.path.insert(0, str(Path(__file__).parent))
import hostile  # noqa: E402

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


# ---- folders and choices as people have them


@pytest.mark.parametrize("name", ["a.JPG", "a.jfif", "a.jpe", "a"])
def test_usual_and_missing_endings_are_tried_in_folders(tmp_path, name):
    Image.fromarray(painting(0)).save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").rename(tmp_path / name)
    (tmp_path / "README").write_text("how it was taken")
    found = gather([tmp_path], job())
    assert len(found.pictures) == 1 and found.notes == ()


def test_one_bad_file_of_each_kind_is_left_out_of_a_folder_with_a_note(tmp_path):
    for number in range(3):
        save(tmp_path, f"{number}.jpg", painting(number))
    for name in ("bad.avif", "bad.tif", "bad.heic", "bad.gif", "bad.hdr"):
        (tmp_path / name).write_bytes(b"II*\0\x08\0\0\0\xfe\0" + bytes(range(200)))
    found = gather([tmp_path], job())
    assert len(found.pictures) == 3 and found.notes[0].startswith("left out of 8 pictures: bad.avif")


@pytest.mark.parametrize("name", ["{}_mask.png", "{}.mask.png", "{}.jpg.mask.png", "{}-mask.png"])
def test_masks_beside_photos_are_their_masks(tmp_path, name):
    for number in range(3):
        save(tmp_path, f"p{number}.jpg", painting(number))
        mask = np.zeros((64, 96), np.uint8)
        mask[16:48, 24:72] = 255
        Image.fromarray(mask).save(tmp_path / name.format(f"p{number}"))
    found = gather([tmp_path], job())
    assert [picture.name for picture in found.pictures] == ["p0", "p1", "p2"]
    assert all((picture.alpha[20:40, 30:60] == 255).all() and picture.alpha[5, 5] == 0 for picture in found.pictures)
    assert "masks are used with 3 of 3 pictures" in found.notes


def test_a_mask_of_another_picture_is_said(tmp_path):
    save(tmp_path, "a.jpg", painting(0))
    save(tmp_path, "b.jpg", painting(1))
    Image.new("L", (64, 64), 255).save(tmp_path / "a_mask.png")
    found = gather([tmp_path], job())
    assert len(found.pictures) == 1 and "has not the shape of its picture" in found.notes[0]


def test_a_picture_that_is_only_called_a_mask_is_a_picture(tmp_path):
    save(tmp_path, "carnival_mask.png", painting(0))
    save(tmp_path, "b.png", painting(1))
    assert len(gather([tmp_path], job()).pictures) == 2


def test_pictures_are_found_in_a_projects_folder(tmp_path):
    for folder in ("images", "sparse", "masks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sparse" / "cameras.bin").write_bytes(b"")
    (tmp_path / "database.db").write_bytes(b"SQLite")
    save(tmp_path / "images", "a.jpg", painting(0))
    save(tmp_path / "masks", "a.png", painting(1))
    found = gather([tmp_path], job())
    assert [picture.name for picture in found.pictures] == ["a"] and "images are used" in found.notes[0]


def test_where_several_folders_hold_pictures_their_names_are_told(tmp_path):
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder, "a.jpg", painting(0))
    with pytest.raises(Unable, match="its folders monday, tuesday do"):
        gather([tmp_path], job())


@pytest.mark.parametrize("how", ["folder", "files"])
def test_two_videos_and_a_video_beside_photos(tmp_path, how):
    paths = [film(tmp_path / "a.mp4", pan(4)), film(tmp_path / "b.mp4", pan(4))]
    with pytest.raises(Unable, match=r"one video at a time .* holds 2 \(a.mp4, b.mp4\)"):
        gather([tmp_path] if how == "folder" else paths, job())
    paths += [save(tmp_path, "p.jpg", painting(0)), save(tmp_path, "q.jpg", painting(1))]
    found = gather([tmp_path] if how == "folder" else paths, job())
    assert len(found.pictures) == 2 and "photos are used, and not a.mp4, b.mp4 beside them" in found.notes


def test_pictures_that_are_hardly_opaque_are_told_truly(tmp_path):
    faint = np.dstack([painting(0), np.full((64, 96), 90, np.uint8)])
    paths = [save(tmp_path, f"{number}.png", faint) for number in range(2)]
    with pytest.raises(Unable, match="35 % opaque"):
        gather(paths, job())


# ---- videos as they are shown


@pytest.mark.parametrize("content", ["playlist", "concat", "picture", "empty", "folder", "sdp"])
def test_what_names_other_files_is_no_video(tmp_path, content):
    path = tmp_path / "v.mp4"
    texts = {
        "playlist": "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n",
        "concat": "ffconcat version 1.0\nfile a.mp4\n",
    }
    texts |= {"sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "empty": ""}
    if content == "folder":
        path.mkdir()
    elif content == "picture":
        Image.fromarray(painting(0)).save(path, "JPEG")
    else:
        path.write_text(texts[content])
    with pytest.raises(Unable) as raised:
        frames(path, job())
    assert "\n" not in str(raised.value)


def patched(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 with a display matrix (a, b, c, d) in its track header (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    for offset, value in zip((0, 4, 12, 16), matrix):
        content[place + offset : place + offset + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "matrix, shown",
    [
        ((1, 0, 0, 1), lambda rgb: rgb),
        ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
        ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
        ((0, -1, 1, 0), lambda rgb: np.rot90(rgb, 1)),
        ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
        ((1, 0, 0, -1), lambda rgb: rgb[::-1]),
        ((0, 1, 1, 0), lambda rgb: np.rot90(rgb, -1)[:, ::-1]),
    ],
)
def test_a_video_is_turned_and_mirrored_as_it_says(tmp_path, matrix, shown):
    pictures = [painting(5, 96, 64)] * 3
    plain = frames(film(tmp_path / "plain.mp4", pictures), job())[0].rgb
    turned = frames(patched(film(tmp_path / "v.mp4", pictures), matrix), job())[0].rgb
    assert (turned == shown(plain)).all()


def test_a_video_has_square_pixels(tmp_path):
    from fractions import Fraction

    with av.open(str(tmp_path / "v.mkv"), "w") as video:
        stream = video.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(painting(0), format="rgb24")), *stream.encode()]:
            video.mux(packet)
    assert frames(tmp_path / "v.mkv", job())[0].rgb.shape == (64, 128, 3)


# ---- what cameras write, and what is not read


def test_a_folder_of_raw_files_gives_their_previews(tmp_path):
    (tmp_path / "a.NEF").write_bytes(hostile.raw_of(1100))
    (tmp_path / "b.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom")
    found = gather([tmp_path], job())
    assert [picture.name for picture in found.pictures] == ["a"]
    assert "b.cr3 is a camera's raw file" in found.notes[0] and "preview of 1100 x 1100" in found.notes[1]


def test_a_raw_file_beside_its_jpeg_is_passed_over(tmp_path):
    for number in range(2):
        save(tmp_path, f"{number}.JPG", painting(number))
        (tmp_path / f"{number}.ARW").write_bytes(b"II*\0 of a camera")
    found = gather([tmp_path], job())
    assert len(found.pictures) == 2 and found.notes == ()


@pytest.mark.parametrize(
    "name, head", [("a.jxl", b"\xff\x0a"), ("a.jp2", b"\0\0\0\x0cjP  "), ("a.exr", b"\x76\x2f\x31\x01")]
)
def test_pictures_of_kinds_that_are_not_read_are_said(tmp_path, name, head):
    (tmp_path / name).write_bytes(head + bytes(90))
    with pytest.raises(Unable, match="which is not read here"):
        gather([tmp_path], job())
    save(tmp_path, "b.png", painting(0))
    assert "which is not read here" in gather([tmp_path], job()).notes[0]


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="this system has no such files")
def test_the_systems_own_files_are_not_waited_for():
    with pytest.raises(Unable):
        gather([Path("/proc")], job())
