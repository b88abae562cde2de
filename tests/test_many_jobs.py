# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of tests/bench/jobs.py: memory and files of one worker stay flat over many jobs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench" / "jobs.py"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")
@pytest.mark.timeout(300)
def test_many_jobs_of_mixed_kinds_all_get_their_answer_and_leave_nothing():
    done = subprocess.run([sys.executable, str(BENCH), "--count", "60"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert sum(found["came"].values()) == 60 and found["came"]["good"] >= 54
    assert "internal_error" not in found["came"] and found["exit"] == 0 and not found["left"]
    assert found["files"][1] <= found["files"][0] + 5 and found["memory"][1] < found["memory"][0] + 300
