# SPDX-License-Identifier: GPL-3.0-or-later
import os

import numpy as np
from image_to_3d.worker.store import cache
from image_to_3d.worker.store.cache import Cache, key


def test_a_key_depends_on_every_part_and_not_on_their_order():
    first = key(model="a", options={"x": 1, "y": 2.0})
    assert first == key(options={"y": 2.0, "x": 1}, model="a")
    assert len({first, key(model="b", options={"x": 1, "y": 2.0}), key(model="a", options={"x": 2, "y": 2.0})}) == 3


def test_arrays_come_back_as_they_were(tmp_path):
    kept, arrays = Cache(tmp_path / "new"), {"a": np.arange(6.0).reshape(2, 3), "flag": np.array(True)}
    kept.save_arrays("k", arrays)
    again = kept.load_arrays("k")
    assert again.keys() == arrays.keys() and all((again[name] == arrays[name]).all() for name in arrays)
    assert kept.load_arrays("other") is None


def test_a_glb_is_copied_out_with_its_facts(tmp_path):
    (tmp_path / "made.glb").write_bytes(b"glTF...")
    Cache(tmp_path / "c").save_glb("k", tmp_path / "made.glb", {"faces": 2})
    assert Cache(tmp_path / "c").load_glb("k", tmp_path / "out.glb") == {"faces": 2}
    assert (tmp_path / "out.glb").read_bytes() == b"glTF..."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "made.glb", "out.glb"]


def test_damaged_entries_are_not_found(tmp_path):
    kept = Cache(tmp_path)
    kept.save_arrays("k", {"a": np.zeros(100)})
    (tmp_path / "k.npz").write_bytes((tmp_path / "k.npz").read_bytes()[:50])
    assert kept.load_arrays("k") is None
    (tmp_path / "g.json").write_text("{")
    assert kept.load_glb("g", tmp_path / "out.glb") is None
    assert not (tmp_path / "out.glb").exists()


def test_a_cache_that_cannot_be_written_to_keeps_nothing_and_complains_not(tmp_path):
    (tmp_path / "file").write_text("in the way")
    kept = Cache(tmp_path / "file")
    kept.save_arrays("k", {"a": np.zeros(3)})
    kept.save_glb("k", tmp_path / "file", {})
    assert kept.load_arrays("k") is None


def test_what_was_not_used_for_longest_goes_first(tmp_path, monkeypatch):
    kept = Cache(tmp_path / "c")
    (tmp_path / "made.glb").write_bytes(b"x" * 1000)
    for name, age in (("old", 3000), ("older", 9000), ("oldest", 5000)):
        kept.save_glb(name, tmp_path / "made.glb", {})
        for ending in (".glb", ".json"):
            stamp = os.stat(tmp_path).st_mtime - age
            os.utime(tmp_path / "c" / (name + ending), (stamp, stamp))
    kept.load_glb("older", tmp_path / "out.glb")  # used just now
    monkeypatch.setattr(cache, "LIMIT", 2500)
    kept.save_glb("new", tmp_path / "made.glb", {})
    assert {path.stem for path in (tmp_path / "c").glob("*.glb")} == {"new", "older"}
