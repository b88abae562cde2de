# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job tells: never less than before, not more often than anybody can look, and how long parts took."""

import pytest
from image_to_3d.worker.core import job as jobs
from image_to_3d.worker.core.errors import Cancelled
from image_to_3d.worker.core.job import Job


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


@pytest.fixture
def told() -> list:
    return []


def test_what_changes_each_step_is_told_only_so_often(clock, told):
    job = Job(lambda *report: told.append(report[:3]))
    for step in range(100):
        job.report(step / 100, "learning", f"step {step}")
        clock(jobs.REPORT_INTERVAL / 10)
    assert told[0] == (0.0, "learning", "step 0") and 9 <= len(told) <= 11


def test_a_new_stage_is_told_at_once_and_an_old_one_that_comes_again_is_not(clock, told):
    job = Job(lambda *report: told.append(report[1]))
    for stage in ("a", "b", "a", "b", "c"):
        job.report(0.5, stage)
    assert told == ["a", "b", "c"]


def test_progress_never_falls_also_in_a_stretch_of_it(clock, told):
    job = Job(lambda progress, *_: told.append(progress))
    for value in (0.5, 0.2, 1.7):
        job.report(value, str(value))
    job.span(0.0, 0.5).report(1.0, "late")
    assert told == [0.5, 0.5, 1.0, 1.0]


def test_stretches_lie_within_each_other(clock, told):
    job = Job(lambda progress, *_: told.append(progress))
    inner = job.span(0.2, 0.6).span(0.5, 1.0)
    inner.report(0.0, "a")
    inner.report(1.0, "b")
    assert told == [pytest.approx(0.4), pytest.approx(0.6)]


def test_a_cancel_is_heard_at_the_next_report_and_where_it_is_asked_for(told):
    job = Job(lambda *_: None)
    job.cancel()
    for ask in (lambda: job.report(0.5, "a"), job.span(0.0, 1.0).check):
        with pytest.raises(Cancelled):
            ask()


def test_the_time_that_remains_is_told_where_somebody_knows_it(told):
    job = Job(lambda *report: told.append(report[3]))
    job.report(0.1, "a")
    job.remaining = lambda progress: 10.0 * (1.0 - progress)
    job.report(0.5, "b")
    assert told == [None, pytest.approx(5.0)]


def test_parts_are_timed_by_name():
    job = Job(lambda *_: None)
    with job.span(0.0, 1.0).timed("part"):
        pass
    assert job.seconds.keys() == {"part"} and job.seconds["part"] >= 0.0


def test_a_job_within_another_is_cancelled_with_it_and_has_a_bar_of_its_own():
    told, inner_told = [], []
    job = Job(lambda *report: told.append(report))
    inner = job.inner(lambda *report: inner_told.append(report))
    inner.report(0.5, "inner")
    assert (told, [report[0] for report in inner_told]) == ([], [0.5])
    job.cancel()
    with pytest.raises(Cancelled):
        inner.check()
