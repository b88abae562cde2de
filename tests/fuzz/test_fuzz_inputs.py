# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of what `python -m tests.fuzz` does at length, for what does not come as pictures."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

KINDS = {"wire_lines": 300, "transforms_json": 60, "cache_files": 300, "answers": 150}


@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_gives_a_result_or_one_sentence(tmp_path, kind):
    counts = importlib.import_module(kind).run(KINDS[kind], 7, tmp_path)
    assert not counts.faults, counts.told()
    assert sum(counts.tried.values()) >= KINDS[kind] and counts.results and counts.sentences
