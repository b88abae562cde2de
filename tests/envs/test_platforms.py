# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys

import pytest
from image_to_3d.envs.machine.platforms import reachable, without_limit


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("C:\\Users\\me\\core@12", "\\\\?\\C:\\Users\\me\\core@12"),
        ("\\\\server\\share\\core@12", "\\\\?\\UNC\\server\\share\\core@12"),
        ("\\\\?\\C:\\Users\\me", "\\\\?\\C:\\Users\\me"),
    ],
)
def test_windows_reaches_a_path_of_any_length_in_a_form_of_its_own(path, form):
    assert without_limit(path) == form


def test_a_long_path_can_be_reached(tmp_path):
    deep = tmp_path.joinpath(*["a folder with a long name"] * 12)
    os.makedirs(reachable(deep))
    assert os.path.isdir(reachable(deep))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has the other form")
def test_elsewhere_paths_stay_as_they_are(tmp_path):
    assert reachable(tmp_path / "x") == str(tmp_path / "x")
