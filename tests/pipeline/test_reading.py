# SPDX-License-Identifier: GPL-3.0-or-later
"""What one picture must be for a mesh to be made of it: else one true sentence, before any network is loaded."""

from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Cancelled, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pipeline.generate import generate, read
from image_to_3d.worker.wire.making import GenerateParams
from PIL import Image


def job() -> Job:
    return Job(lambda *_: None)


@pytest.mark.parametrize(
    "pixels, words",
    [
        (np.zeros((64, 64, 3), np.uint8), "black all over"),
        (np.full((1, 1, 3), 99, np.uint8), "1 x 1 pixels"),
        (np.full((64, 64, 4), 127, np.uint8), "nowhere more than 50 % opaque"),
    ],
)
def test_a_picture_without_anything_on_it_is_refused(tmp_path, pixels, words):
    Image.fromarray(pixels).save(tmp_path / "p.png")
    with pytest.raises(Unable, match=words):
        read([tmp_path / "p.png"], job())


def test_another_kind_of_file_is_named(tmp_path):
    (tmp_path / "doc.txt").write_text("dear diary")
    for paths in ([tmp_path / "doc.txt"], [tmp_path / "doc.txt"] * 2):
        with pytest.raises(Unable, match="doc.txt is a text and not a picture"):
            read(paths, job())


def test_a_cancel_is_heard(tmp_path, photo):
    stopped = job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        read([photo], stopped)


def test_what_was_left_out_is_told_of_that_choice_alone_whatever_is_kept(tmp_path, thing, machine):
    (tmp_path / "doc.txt").write_text("dear diary")

    def notes(*pictures: Path) -> str:
        params = GenerateParams(tuple(map(str, pictures)), str(tmp_path / "out.glb"), "fast", network="included-object")
        return " ".join(generate(params, machine, job())["warnings"])

    for _ in range(2):
        assert "left out of 2 pictures: doc.txt" in notes(thing, tmp_path / "doc.txt")
        assert "left out" not in notes(thing)
