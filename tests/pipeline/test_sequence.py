# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of each frame of a range, with one field of view and one scale for all, whatever the network says of each."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from image_to_3d.worker.cli.parser import _range
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import DepthMap
from image_to_3d.worker.finish import steady
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline import sequence
from image_to_3d.worker.wire.making import SequenceParams
from PIL import Image

av = pytest.importorskip("av")
SCALES = np.exp(np.random.default_rng(3).normal(0.0, 0.2, 9))


def picture(shift: int) -> Picture:
    rows, columns = np.mgrid[:60, :80]
    rgb = np.stack([rows * 3, columns * 2, (rows + columns) % 200], -1).astype(np.uint8)
    rgb[20:30, shift : shift + 8] = 255
    return Picture(rgb, None, None, str(shift), f"frame {shift}")


def depth(shift: int) -> np.ndarray:
    found = 3.0 + np.mgrid[:60, :80][1] / 40.0
    found[20:30, shift : shift + 8] = 1.0
    return found


def maps(kind: str) -> tuple[list[DepthMap], list[Picture]]:
    """A block that passes before a slope, as a network sees it that says another scale of each frame."""
    frames = [picture(5 * number) for number in range(len(SCALES))]
    found = []
    for frame, scale, number in zip(frames, SCALES, range(len(SCALES))):
        inverse = (1.0 / depth(5 * number) * scale + (0.3 * (scale - 1) if kind == "relative" else 0.0)).astype(
            np.float32
        )
        valid = np.ones(inverse.shape, bool)
        found.append(DepthMap(inverse, kind == "metric", valid, frame.view(50.0), proportional=kind == "proportional"))
    return found, frames


def steadied(found: list[DepthMap], frames: list[Picture]) -> list[DepthMap]:
    return steady.steadied(found, [frame.rgb for frame in frames], Job(lambda *_: None))


def flicker(found: list[DepthMap]) -> float:
    """Mean change of the logarithm of depth from frame to frame where nothing moves."""
    rows = np.stack([np.log(each.inverse_depth[40:] + 1e-6) for each in found])
    return float(np.abs(np.diff(rows, axis=0)).mean())


@pytest.mark.parametrize("kind, left", [("proportional", 0.1), ("relative", 0.1), ("metric", 0.1)])
def test_what_stands_still_keeps_its_depth(kind, left):
    found, frames = maps(kind)
    assert flicker(steadied(found, frames)) < left * flicker(found)


def test_a_metric_networks_own_scale_stays_on_the_whole():
    found, frames = maps("metric")
    before, after = (np.median([each.inverse_depth[40:] for each in some]) for some in (found, steadied(found, frames)))
    assert after == pytest.approx(before, rel=0.15)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(5):
        Image.fromarray(picture(5 * number).rgb).save(tmp_path / "frames" / f"{number}.png")
    return tmp_path / "frames"


def read(path) -> np.ndarray:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray()


def made(machine, pictures, folder, **more):
    params = SequenceParams((str(pictures),), str(folder), "fast", "included", **more)
    return SimpleNamespace(**sequence.sequence(params, machine, Job(lambda *_: None)))


def test_a_folder_becomes_maps_and_colours_of_each_frame_with_one_camera(folder, machine, tmp_path):
    done = made(machine, folder, tmp_path / "out")
    assert done.frames == 5 and json.loads((tmp_path / "out" / "sequence.json").read_text())["frames"] == 5
    for number in range(1, 6):
        z = read(tmp_path / "out" / f"depth_{number:04d}.exr")
        assert z.dtype == np.float32 and z.shape == (done.map_height, done.map_width) and z.max() > 0.5
        assert ((z > 0) == (read(tmp_path / "out" / f"mask_{number:04d}.exr") > 0)).all()
        assert read(tmp_path / "out" / f"normals_{number:04d}.exr").shape == (*z.shape, 3)
        assert (tmp_path / "out" / f"colour_{number:04d}.jpg").is_file()


def test_a_range_is_what_it_says_and_one_without_frames_is_told(folder, machine, tmp_path):
    assert made(machine, folder, tmp_path / "a", first=2, last=4, step=2).frames == 2
    with pytest.raises(Unable, match="there is no frame in 9 and later"):
        made(machine, folder, tmp_path / "b", first=9)
    (folder / "transforms.json").write_text("{}")
    with pytest.raises(Unable, match="transforms.json lists cameras, not frames"):
        made(machine, folder, tmp_path / "b")
    (folder / "transforms.json").unlink()
    with pytest.raises(Unable, match="makes no depth of a scene|makes a thing alone"):
        sequence.sequence(
            SequenceParams((str(folder),), str(tmp_path / "c"), "fast", "included-object"),
            machine,
            Job(lambda *_: None),
        )


def test_frames_of_two_sizes_are_told_before_anything_is_made(folder, machine, tmp_path):
    Image.fromarray(picture(0).rgb[:-8]).save(folder / "9.png")
    with pytest.raises(Unable, match="frames must be of one size"):
        made(machine, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_frame_of_a_video_is_taken(machine, tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as video:
        stream = video.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 60, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(picture(5 * number).rgb, format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    assert made(machine, path, tmp_path / "out").frames == 6
    assert made(machine, path, tmp_path / "part", first=3, last=5).frames == 3


@pytest.mark.parametrize(
    "text, first, last, step",
    [("all", 1, 0, 1), ("7", 7, 7, 1), ("10-50", 10, 50, 1), ("10-50:2", 10, 50, 2), ("3-", 3, 0, 1)],
)
def test_ranges_in_a_terminal(text, first, last, step):
    assert _range(text) == {"first": first, "last": last, "step": step}


def test_one_photos_maps_are_saved_and_those_of_a_thing_are_told_not_to_be(photo, thing, make, tmp_path):
    before = make(photo)
    done = make(photo, maps=str(tmp_path / "maps"))
    assert not done.from_cache and "network" not in done.seconds and before.faces == done.faces
    z, normals = (read(tmp_path / "maps" / f"{name}_photo.exr") for name in ("depth", "normals"))
    assert np.percentile(z[z > 0], 1) == pytest.approx(1.0, rel=0.05)
    assert np.allclose(np.linalg.norm(normals, axis=2), 1.0, atol=1e-3)
    assert any("no depth map" in note for note in make(thing, maps=str(tmp_path / "maps")).warnings)


@pytest.mark.parametrize("kind", ["maps", "views", "previews", "photos"])
def test_folders_for_what_is_saved_beside_are_refused_before_any_work_and_made_for_nothing(make, tmp_path, kind):
    (tmp_path / "file").touch()
    for name in ("file", "file/deeper"):
        with pytest.raises(Unable, match="file is a file: name a folder"):
            make("/none.png", **{kind: str(tmp_path / name)})
    with pytest.raises(Unable, match="none.png"):
        make("/none.png", **{kind: str(tmp_path / "new" / "deeper")})
    assert not (tmp_path / "new").exists()


def test_a_thumbnail_that_cannot_be_written_is_refused_before_any_work(make, tmp_path):
    for name, said in (("", "is a folder: name a file in it"), ("none/picture.png", "there is no folder")):
        with pytest.raises(Unable, match=said):
            make("/none.png", thumbnail=str(tmp_path / name))


def test_frames_that_have_nothing_in_common_keep_what_the_network_says(monkeypatch):
    found, frames = maps("proportional")
    monkeypatch.setattr(steady, "ALIKE", -1.0)
    for one, other in zip(steadied(found, frames), found):
        assert np.allclose(one.inverse_depth, other.inverse_depth)
