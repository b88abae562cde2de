# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders as uv leaves them in its cache: .tmp... while a wheel arrives, archive-v0/ID when it is whole."""

import os
from pathlib import Path

import pytest
from image_to_3d.envs.uv.tracking import Arrivals, clear_unfinished, unfinished


def put(path: Path, size: int, at: float = 1000.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (at, at))
    return path


@pytest.fixture
def cache(tmp_path) -> Path:
    put(tmp_path / ".tmpold" / "torch" / "left.so", 1000)
    put(tmp_path / "archive-v0" / "old" / "numpy" / "core.so", 1000)
    return tmp_path


def test_only_what_came_since_is_counted(cache):
    arrivals = Arrivals(cache)
    assert arrivals.measure() == 0
    put(cache / ".tmpnew" / "scipy" / "a.so", 10)
    put(cache / "archive-v0" / "new" / "pillow" / "b.so", 5)
    assert arrivals.measure() == 15


def test_a_file_that_grows_is_seen_growing_and_what_lies_beside_it_stays_counted(cache):
    arrivals = Arrivals(cache)
    put(cache / ".tmpnew" / "torch" / "first.so", 10, at=1000.0)
    growing = cache / ".tmpnew" / "torch" / "lib" / "second.so"
    for size in (1, 20, 300):
        put(growing, size, at=1000.0 + size)
        assert arrivals.measure() == 10 + size


def test_a_package_that_is_whole_is_counted_once_and_not_looked_at_again(cache):
    arrivals = Arrivals(cache)
    put(cache / ".tmpnew" / "torch" / "a.so", 30)
    assert arrivals.measure() == 30
    (cache / ".tmpnew").rename(cache / "archive-v0" / "new")
    assert arrivals.measure() == 30
    put(cache / "archive-v0" / "new" / "torch" / "later.so", 5)
    assert arrivals.measure() == 30


def test_it_never_falls_even_if_a_download_is_begun_anew(cache):
    arrivals = Arrivals(cache)
    file = put(cache / ".tmpnew" / "torch" / "a.so", 30)
    arrivals.measure()
    file.unlink()
    assert arrivals.measure() == 30


def test_without_a_cache_nothing_has_arrived(tmp_path):
    assert Arrivals(tmp_path / "none").measure() == 0
    clear_unfinished(tmp_path / "none")


def test_what_an_ended_uv_left_can_be_cleared_away_and_what_is_whole_stays(cache):
    assert unfinished(cache) == [cache / ".tmpold"]
    clear_unfinished(cache)
    assert [path.name for path in cache.iterdir()] == ["archive-v0"]
