# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows of a folder is what the worker will take of it."""

import os
from pathlib import Path

import pytest
from image_to_3d.addon.session.contents import Folder, pictures_in


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
