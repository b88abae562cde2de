# SPDX-License-Identifier: GPL-3.0-or-later
import io
import json

import pytest
from image_to_3d.envs.progress import Amount, Bar, JsonLines, Stage, Terminal, plan
from image_to_3d.envs.uv.tracking import Tracker

# What uv 0.13 wrote while it installed, in its order.
UV_SAID = """Using Python 3.11.7 environment at: v
Resolved 46 packages in 315ms
Downloading hf-xet (4.0MiB)
Downloading transformers (12.0MiB)
 Downloaded hf-xet
Downloading torch (1.0GiB)
 Downloaded transformers
Prepared 46 packages in 1.01s
Installed 46 packages in 141ms
 + annotated-doc==0.0.7
"""


STAGES: tuple[Stage, ...] = ("wait", "uv", "python", "packages", "torch", "verify", "ready")


class Disk:
    """Stands for what has arrived on the disk."""

    def __init__(self) -> None:
        self.bytes = 0

    def measure(self) -> int:
        return self.bytes


class Reported:
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.parts: list[float] = []
        self.messages: list[str] = []
        self.amounts: list[Amount | None] = []

    def __call__(self, stage: Stage, part: float, message: str, amount: Amount | None = None) -> None:
        self.parts.append(part)
        self.messages.append(message)
        self.amounts.append(amount)


@pytest.mark.parametrize("amounts", [{}, {"packages": 640, "torch": 699}, {"packages": 9}, {"torch": 3}])
def test_the_bar_only_grows_and_ends_at_one(amounts):
    bar = Bar()
    bar.plan(amounts)
    values = [bar.overall(stage, part) for stage in STAGES for part in (0.0, 0.5, 1.0)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.0, 1.0)


def test_stages_that_fetch_are_as_long_as_their_bytes():
    bar = Bar()
    bar.plan({"packages": 1000, "torch": 3000})
    begin, middle, end = (bar.overall(stage, 0.0) for stage in ("packages", "torch", "verify"))
    assert (end - middle) / (middle - begin) == pytest.approx(3.0, rel=0.01)


def test_what_is_reported_late_or_twice_does_not_move_the_bar_back():
    bar = Bar()
    before = bar.overall("torch", 0.5)
    bar.plan({"torch": 1})
    assert bar.overall("packages", 0.0) == before


@pytest.mark.parametrize("show", [JsonLines, Terminal])
def test_the_bars_on_screen_can_be_reported_what_is_coming_and_other_reports_do_not_mind(show):
    report = show(io.StringIO())
    plan(report, {"torch": 1})
    plan(Reported(), {"torch": 1})
    assert report.bar.lengths["packages"] == 0.0


def test_while_a_package_comes_its_bytes_on_the_disk_move_the_bar():
    disk, reported = Disk(), Reported()
    tracker = Tracker("torch", "installing torch", reported, disk, {"torch": 690_000_000, "sympy": 10_000_000})
    tracker("DEBUG Identified uncached distribution: torch==2.13.0+cpu\n")
    tracker("Downloading torch (182.9MiB)\n")
    for disk.bytes in (0, 212_000_000, 212_000_000, 480_000_000):
        tracker("")
    assert reported.messages == [
        "installing torch: 0 of 690 MB unpacked, fetching torch",
        "installing torch: 212 of 690 MB unpacked, fetching torch",
        "installing torch: 480 of 690 MB unpacked, fetching torch",
    ]
    assert reported.parts == [pytest.approx(0.95 * part / 690) for part in (0, 212, 480)]
    assert reported.amounts[-1] == Amount(480_000_000, 690_000_000)


def test_packages_that_are_in_the_cache_are_not_waited_for():
    disk, reported = Disk(), Reported()
    tracker = Tracker("packages", "installing", reported, disk, {"numpy": 60_000_000, "hf_xet": 8_000_000})
    tracker("DEBUG Registry requirement already cached: numpy==2.4.1\n")
    tracker("DEBUG Identified uncached distribution: hf-xet==1.0\n")
    tracker("")
    assert reported.amounts == [Amount(0, 8_000_000)]


def test_more_than_was_expected_does_not_overflow():
    disk, reported = Disk(), Reported()
    tracker = Tracker("torch", "installing", reported, disk, {"torch": 10})
    tracker("DEBUG Identified uncached distribution: torch==2.13.0\n")
    disk.bytes = 50_000_000
    tracker("")
    assert reported.parts == [0.95]


def test_where_sizes_are_not_known_bytes_are_reported_without_a_total_and_the_bar_waits_for_whole_downloads():
    disk, reported = Disk(), Reported()
    tracker = Tracker("packages", "installing", reported, disk)
    for line in UV_SAID.splitlines(keepends=True):
        disk.bytes += 1_000_000
        tracker("")
        tracker(line)
    tracker("")
    assert reported.parts == sorted(reported.parts)
    assert reported.parts[0] == 0.0
    assert reported.amounts[1] == Amount(4_000_000)
    assert pytest.approx(0.95 * 4 / 16) in reported.parts
    assert "installing: 7 MB unpacked, fetching torch" in reported.messages
    assert reported.messages[-1] == "installing: putting files into place"
    assert reported.parts[-1] == 0.95


def test_an_interpreter_that_is_fetched_is_seen_too():
    disk, reported = Disk(), Reported()
    tracker = Tracker("python", "fetching Python", reported, disk)
    tracker("Downloading cpython-3.11.15-linux-x86_64-gnu (download) (29.8MiB)\n")
    tracker("DEBUG something else\n")
    tracker(" Downloaded cpython-3.11.15-linux-x86_64-gnu (download)\n")
    assert "fetching cpython-3.11.15-linux-x86_64-gnu" in reported.messages[0]
    assert reported.parts[-1] == 0.95


def test_a_program_gets_one_json_object_per_line():
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines("torch", 0.5, "half\nway")
    lines("torch", 0.6, "bytes", Amount(6))
    lines("torch", 0.6, "bytes", Amount(6, 10))
    first, second, third = map(json.loads, stream.getvalue().splitlines())
    assert first == {"stage": "torch", "progress": 0.65, "message": "half\nway"}
    assert second == {"stage": "torch", "progress": 0.7, "message": "bytes", "bytes": 6}
    assert third == second | {"of": 10}


def test_a_terminal_gets_a_line_for_each_new_thing_and_each_step_of_the_bar_and_no_more():
    stream = io.StringIO()
    terminal = Terminal(stream)
    for megabytes in range(101):
        terminal("torch", megabytes / 100, f"installing torch: {megabytes} of 100 MB unpacked")
    terminal("verify", 0.0, "trying core")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[ 40%] installing torch: 0 of 100 MB unpacked"
    assert lines[-1] == "[ 90%] trying core"
    assert len(lines) == 12
