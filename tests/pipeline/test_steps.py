# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps: what runs, what is kept, how the bar is shared out and when the time that remains is told."""

import pytest
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.pipeline import steps
from image_to_3d.worker.pipeline.steps import Plan, Step


@pytest.fixture
def kept() -> dict:
    return {}


@pytest.fixture
def ran() -> list[str]:
    return []


def step(name: str, kept: dict, ran: list[str], **more) -> Step:
    def make(before, job):
        ran.append(name)
        job.report(0.0, name)
        job.report(1.0, name)
        return [*(before or []), name]

    return Step(name, make, lambda job: kept.get(name), lambda made: kept.update({name: made}), **more)


def silent() -> Job:
    return Job(lambda *_: None)


def test_each_step_gets_what_the_one_before_made_and_what_it_made_is_kept(kept, ran):
    done = steps.run([step(name, kept, ran) for name in "abc"], silent(), {})
    assert done.made == ["a", "b", "c"] and done.seconds.keys() == {"a", "b", "c"}
    assert kept == {"a": ["a"], "b": ["a", "b"], "c": ["a", "b", "c"]}


@pytest.mark.parametrize("last, runs", [("a", ["b", "c"]), ("b", ["c"]), ("c", [])])
def test_only_what_comes_after_the_last_step_that_was_kept_runs(kept, ran, last, runs):
    kept[last] = [last]
    done = steps.run([step(name, kept, ran) for name in "abc"], silent(), {})
    assert ran == runs == list(done.seconds) and done.made == [last, *runs]


def test_what_was_ended_early_is_not_kept_nor_what_was_made_of_it(kept, ran):
    job = silent()
    job.end_early()
    done = steps.run([step("a", kept, ran, improves=True), step("b", kept, ran)], job, {})
    assert done.ended_early and kept == {}
    done = steps.run([step("a", kept, ran), step("b", kept, ran)], job, {})  # steps of which nobody can have enough
    assert not done.ended_early and kept.keys() == {"a", "b"}


def test_the_bar_is_shared_out_by_what_was_measured(kept, ran):
    told = []
    job = Job(lambda progress, stage, message, remaining: told.append((stage, progress)))
    steps.run([step("a", kept, ran), step("b", kept, ran)], job, {"a": [9.0], "b": [1.0]})
    assert dict(reversed(told)) == {"a": pytest.approx(0.0), "b": pytest.approx(0.9)}


def test_shares_of_steps_that_do_not_run_are_not_on_the_bar(kept, ran):
    plan = Plan.of([step("b", kept, ran)], {"a": [9.0], "b": [1.0]})
    assert plan.ends(0) == (0.0, 1.0)


def test_without_measurements_the_bar_is_shared_out_as_is_usual(kept, ran):
    plan = Plan.of([step("a", kept, ran, usual=3.0), step("b", kept, ran, usual=1.0)], {})
    assert plan.parts == (0.75, 0.25) and plan.remaining(0.5) is None


@pytest.mark.parametrize(
    "times, known", [([8.0, 12.0], True), ([8.0, 15.9], True), ([8.0, 16.5], False), ([10.0], False), ([], False)]
)
def test_the_time_that_remains_is_told_once_it_is_known_within_a_factor_of_two(kept, ran, times, known):
    plan = Plan.of([step("a", kept, ran)], {"a": times} if times else {})
    assert (plan.remaining(0.25) is not None) is known
    if known:
        assert plan.remaining(0.25) == pytest.approx(0.75 * max(times))
        assert plan.remaining(1.0) == 0.0


@pytest.mark.parametrize(
    "times, known", [([30.0, 10.0, 12.0], True), ([10.0, 30.0, 28.0], False), ([30.0, 10.0], False)]
)
def test_a_single_run_that_took_longer_than_all_others_hides_no_time(kept, ran, times, known):
    plan = Plan.of([step("a", kept, ran)], {"a": times})
    assert (plan.remaining(0.0) == pytest.approx(12.0)) if known else plan.remaining(0.0) is None


def test_a_step_that_hardly_counts_may_vary(kept, ran):
    plan = Plan.of([step("a", kept, ran), step("b", kept, ran)], {"a": [10.0, 10.0], "b": [0.01, 0.5]})
    assert plan.remaining(0.0) is not None
