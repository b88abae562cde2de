# SPDX-License-Identifier: GPL-3.0-or-later
"""The asset library of a batch, made by a program that the user names."""

import shutil

import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.executors import library


@pytest.mark.skipif(shutil.which("true") is None, reason="no program here that does nothing")
def test_a_program_that_makes_nothing_is_told(tmp_path):
    with pytest.raises(Unable, match="made no asset library: choose Blender's program"):
        library.make(shutil.which("true"), tmp_path, Job(lambda *_: None))
