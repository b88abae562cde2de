# SPDX-License-Identifier: GPL-3.0-or-later
"""Where files lie when the system says it oddly, or not at all."""

from pathlib import Path

import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.store import folders
from image_to_3d.worker.store.history import History
from image_to_3d.worker.store.weights import HubFile, HubModel, WeightStore


@pytest.fixture
def nobody(monkeypatch):
    """A user whom neither a variable nor the list of users knows."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    for name in ("HOME", "IMAGE_TO_3D_HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_a_user_without_a_folder_is_told_what_to_set(nobody):
    with pytest.raises(Unable, match="set the variable IMAGE_TO_3D_HOME"):
        folders.home()


def test_weights_are_looked_up_without_one(nobody, tmp_path):
    model = HubModel("a/b", "0" * 40, (HubFile("config.json", 2, None),))
    assert WeightStore(tmp_path).find("b", model) is None


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_folder_that_none_can_be_called_is_one_sentence(monkeypatch, name):
    monkeypatch.setattr(folders.os, "environ", {"IMAGE_TO_3D_HOME": name})
    with pytest.raises(Unable):
        folders.home()


def test_the_history_is_told_while_others_remove_what_is_in_it(tmp_path, monkeypatch):
    (tmp_path / "a.glb").write_bytes(b"x" * 10)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([tmp_path / "a.glb", tmp_path / "gone.json"]))
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    assert History(tmp_path).state()["bytes"] == 10
