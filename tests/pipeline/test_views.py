# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of a thing from a photo of it: saved beside the GLB, and read as photos with cameras."""

import numpy as np
import pytest
from image_to_3d.worker.cameras.estimate import registered
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pictures.gather import gather
from PIL import Image

pytest.importorskip("av")


def test_views_of_a_thing_are_saved_and_read_again_as_photos_and_a_scene_has_none(photo, thing, make, tmp_path):
    before = make(thing)
    done = make(thing, views=str(tmp_path / "views"))
    assert not done.from_cache and before.faces == done.faces
    assert (tmp_path / "views" / "contact.png").is_file()
    inputs = gather([tmp_path / "views"], Job(lambda *_: None))
    found = registered(inputs, Job(lambda *_: None))
    assert len(found.pictures) == len(found.masks) == 10
    assert any("no views" in note for note in make(photo, views=str(tmp_path / "none")).warnings)
    assert not (tmp_path / "none").exists()


def test_views_around_are_shown_while_they_are_made_and_can_be_ended(thing, make, tmp_path):
    sheets, job = [], Job(lambda *_: None)
    (tmp_path / "previews").mkdir()

    def shown(path) -> None:
        if path is not None and path.suffix == ".png":
            sheets.append(np.asarray(Image.open(path)).shape)
            job.end_early()

    job.show = shown
    more = {"network": "views-included", "previews": str(tmp_path / "previews"), "options": {"grid": 32}}
    done = make(thing, job, **more, views=str(tmp_path / "views"))
    assert len(sheets) == 1 and done.key == "" and any("ended early" in note for note in done.warnings)
    assert done.faces > 100 and (tmp_path / "views" / "transforms.json").is_file()
