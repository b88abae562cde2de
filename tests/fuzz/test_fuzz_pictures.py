# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of what `python -m tests.fuzz` does at length."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.mark.parametrize("kind, count", [("pictures", 400), ("videos", 60)])
def test_damaged_inputs_give_a_result_or_one_sentence(tmp_path, kind, count):
    if kind == "videos":
        pytest.importorskip("av")
    counts = importlib.import_module(kind).run(count, 7, tmp_path)
    assert not counts.faults, counts.told()
    assert sum(counts.tried.values()) >= count and counts.results and counts.sentences
