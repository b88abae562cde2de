# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows of a folder is what the worker will take of it."""

import os
from pathlib import Path

import pytest
from image_to_3d.addon.session.contents import Folder, pictures_in
from image_to_3d.worker.core.file_types import RAW_PICTURES, TAKEN
from image_to_3d.worker.pictures.look import look


def made(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names(folder: Path) -> list[str]:
    return [os.path.basename(path) for path in pictures_in(str(folder))]


def test_pictures_in_the_order_of_names_without_masks_and_what_is_no_picture(tmp_path):
    folder = made(tmp_path / "a", "b.JPG", "a.png", "a_mask.png", "b.mask.png", ".hidden.png", "notes.txt", "c.mp4")
    assert names(folder) == ["a.png", "b.JPG"]


def test_of_a_folder_without_pictures_those_of_its_usual_folder(tmp_path):
    project = made(tmp_path / "project", "notes.txt")
    made(project / "masks", "a.png")
    made(project / "images", "b.png", "a.png")
    assert names(project) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["a.NEF", "a.dng", "a.cr3", "a.heic", "a.hif", "a.jfif"])
def test_what_cameras_write_is_a_picture_for_the_panel_the_dialog_and_the_worker(tmp_path, name):
    folder = made(tmp_path / "a", name)
    assert names(folder) == [name]
    assert [path.name for path in look([folder]).pictures] == [name]
    assert Path(name.lower()).suffix in TAKEN


@pytest.mark.parametrize("ending", RAW_PICTURES)
def test_a_raw_file_beside_the_picture_that_the_camera_made_of_it_is_left_out(tmp_path, ending):
    folder = made(tmp_path / "a", "b.JPG", f"b{ending}", f"c{ending.upper()}")
    assert names(folder) == ["b.JPG", f"c{ending.upper()}"]
    assert [path.name for path in look([folder]).pictures] == names(folder)


def test_what_cannot_be_read_holds_nothing(tmp_path):
    assert names(tmp_path / "gone") == []


def test_a_folder_is_looked_at_again_only_when_it_has_changed(tmp_path, monkeypatch):
    folder, look = made(tmp_path / "a", "a.png"), Folder()
    look.look(str(folder))
    assert len(look.pictures) == 1
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("it is looked at again"))
    look.look(str(folder))
    monkeypatch.undo()
    made(folder, "b.png")
    os.utime(folder, ns=(1, 1))
    look.look(str(folder))
    assert len(look.pictures) == 2
    look.look("")
    assert look.pictures == ()
