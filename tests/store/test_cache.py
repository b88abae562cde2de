# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import json
import os
import stat

import numpy as np
import pytest
from image_to_3d.worker.core import whole_file
from image_to_3d.worker.core.whole_file import WholeFile
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


def ruined(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    flipped = {
        f"bit {at}": content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(0, len(content), 7)
    }
    return {
        "half": content[:middle],
        "empty": b"",
        "zeros": bytes(len(content)),
        "longer": content + b"x",
        "other": b"{}",
        **flipped,
    }


@pytest.mark.parametrize("ending", [".glb", ".json"])
def test_a_damaged_result_is_never_delivered_and_is_removed(tmp_path, ending):
    (tmp_path / "made.glb").write_bytes(b"glTF" + bytes(range(40)))
    kept, out = Cache(tmp_path / "c"), tmp_path / "out.glb"
    kept.save_glb("k", tmp_path / "made.glb", {"faces": 2, "name": "b"})
    path = tmp_path / "c" / f"k{ending}"
    for how, content in ruined(path.read_bytes()).items():
        kept.save_glb("k", tmp_path / "made.glb", {"faces": 2, "name": "b"})
        path.write_bytes(content)
        assert kept.load_glb("k", out) is None, how
        assert not out.exists() and not list((tmp_path / "c").iterdir()), how
    kept.save_glb("k", tmp_path / "made.glb", {"faces": 2})
    assert kept.load_glb("k", out) == {"faces": 2}


def test_damaged_arrays_are_never_delivered_and_are_removed(tmp_path):
    kept = Cache(tmp_path)
    kept.save_arrays("k", {"a": np.arange(20.0), "text": np.array(["x"])})
    right = (tmp_path / "k.npz").read_bytes()
    for how, content in ruined(right).items():
        (tmp_path / "k.npz").write_bytes(content)
        assert kept.load_arrays("k") is None, how
        assert not (tmp_path / "k.npz").exists(), how


def test_an_entry_is_not_removed_for_a_target_that_cannot_be_written(tmp_path):
    (tmp_path / "made.glb").write_bytes(b"glTF")
    kept = Cache(tmp_path / "c")
    kept.save_glb("k", tmp_path / "made.glb", {})
    assert kept.load_glb("k", tmp_path / "none" / "out.glb") is None
    assert kept.load_glb("k", tmp_path / "out.glb") == {}


@pytest.fixture
def mask():
    before = os.umask(0o027)
    yield 0o640
    os.umask(before)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_what_is_made_and_what_comes_from_the_cache_have_the_umasks_mode(tmp_path, mask):
    (tmp_path / "made.glb").write_bytes(b"glTF")
    kept = Cache(tmp_path / "c")
    kept.save_glb("k", tmp_path / "made.glb", {})
    kept.load_glb("k", tmp_path / "out.glb")
    assert {mode(path) for path in ((tmp_path / "out.glb"), *(tmp_path / "c").iterdir())} == {mask}


@pytest.mark.skipif(os.name == "nt", reason="modes and links")
def test_an_existing_file_keeps_its_mode_and_a_link_its_target(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o604)
    link.symlink_to("a")
    with WholeFile(link) as file:
        file.write(b"new")
    assert link.is_symlink() and path.read_bytes() == b"new" and mode(path) == 0o604
    link.unlink()
    link.symlink_to("b")
    with WholeFile(link) as file:
        file.write(b"new")
    assert link.is_symlink() and (tmp_path / "b").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "link"]


def test_a_read_only_file_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only"), WholeFile(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("when", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, when):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if when != "write":
        monkeypatch.setattr(whole_file.os, when, full)
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match="space"), WholeFile(tmp_path / "a") as file:
        file.write(b"new")
        if when == "write":
            full()
    assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="limits")
def test_a_disk_that_is_full_while_a_result_is_kept_leaves_nothing_behind(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        Cache(tmp_path).save_arrays("k", {"a": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_facts_are_sealed_but_readable(tmp_path):
    (tmp_path / "made.glb").write_bytes(b"glTF")
    Cache(tmp_path).save_glb("k", tmp_path / "made.glb", {"faces": 2})
    assert json.loads((tmp_path / "k.json").read_text())["faces"] == 2


def test_a_folder_that_may_only_be_read_serves_as_well(tmp_path, monkeypatch):
    (tmp_path / "made.glb").write_bytes(b"glTF")
    kept = Cache(tmp_path / "c")
    kept.save_glb("k", tmp_path / "made.glb", {"faces": 2})
    kept.save_arrays("a", {"a": np.zeros(3)})

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(cache.os, "utime", refused)
    assert kept.load_glb("k", tmp_path / "out.glb") == {"faces": 2} and kept.load_arrays("a") is not None
    assert kept.load_glb("other", tmp_path / "out.glb") is None


def test_a_clock_that_was_set_back_does_not_let_results_pile_up(tmp_path, monkeypatch):
    (tmp_path / "made.glb").write_bytes(b"x" * 1000)
    kept = Cache(tmp_path / "c")
    kept.save_glb("old", tmp_path / "made.glb", {})
    for path in (tmp_path / "c").iterdir():
        os.utime(path, (4e9, 4e9))
    monkeypatch.setattr(cache, "LIMIT", 1500)
    kept.save_glb("new", tmp_path / "made.glb", {})
    assert [path.name for path in (tmp_path / "c").glob("*.glb")] == ["new.glb"]


def test_two_workers_may_forget_the_same_results(tmp_path, monkeypatch):
    """What one has listed another may have removed before it is looked at, or removed."""
    (tmp_path / "made.glb").write_bytes(b"x" * 1000)
    kept = Cache(tmp_path / "c")
    for name in ("a", "b", "c"):
        kept.save_glb(name, tmp_path / "made.glb", {})
        for path in (tmp_path / "c").glob(f"{name}.*"):
            os.utime(path, (1e9, 1e9))
    listed = kept._files
    monkeypatch.setattr(Cache, "_files", lambda self: [*listed(), (0.0, 99, str(tmp_path / "c" / "gone"))])
    monkeypatch.setattr(cache, "LIMIT", 1500)
    kept.save_glb("new", tmp_path / "made.glb", {})
    assert [path.name for path in (tmp_path / "c").glob("*.glb")] == ["new.glb"]
