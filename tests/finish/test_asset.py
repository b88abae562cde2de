# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished asset's file is there whole, or not at all."""

import os
import signal
import sys

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.finish.asset import Asset, write
from image_to_3d.worker.geometry.mesh import Mesh


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    import resource

    asset = Asset(Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)), (), True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as if the disk had room for 100 bytes
    try:
        with pytest.raises(Unable, match="could not be written"):
            write(asset, tmp_path / "out.glb", "name")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == []
