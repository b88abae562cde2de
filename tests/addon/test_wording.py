# SPDX-License-Identifier: GPL-3.0-or-later
import typing

import pytest
from image_to_3d.addon.session.check import Entry
from image_to_3d.addon.session.launch import Standing
from image_to_3d.addon.session.states import Shown
from image_to_3d.addon.session.tasks import Order, Verb
from image_to_3d.addon.ui import wording
from image_to_3d.envs.progress import Stage
from image_to_3d.worker.core import refining
from image_to_3d.worker.wire import offers
from image_to_3d.worker.wire.offers import NetworkInfo


@pytest.mark.parametrize(
    "text, said",
    [
        ("the file is empty", "The file is empty."),
        ("GPU is gone.", "GPU is gone."),
        ("why?", "Why?"),
        ("", "."),
    ],
)
def test_a_message_becomes_a_sentence(text, said):
    assert wording.sentence(text) == said


@pytest.mark.parametrize("bytes, said", [(0, "0 bytes"), (999, "999 bytes"), (99_173_660, "99.2 MB"), (3e9, "3 GB")])
def test_sizes_are_told_in_decimal_units(bytes, said):
    assert wording.size(bytes) == said


def test_a_licence_that_forbids_commercial_use_says_so():
    network = NetworkInfo("a", "A", "CC-BY-NC-4.0", False, 1, False, "")
    assert "not for commercial use" in wording.licence(network)


def test_text_is_wrapped_at_the_width_and_long_words_stand_alone():
    assert wording.wrap("aa bb cc incomprehensible dd", 5, len) == ["aa bb", "cc", "incomprehensible", "dd"]
    assert wording.wrap("one\n\ntwo", 80, len) == ["one", "", "two"]
    assert wording.wrap("in 0.5 s, done", 6, len) == ["in", "0.5 s,", "done"]


def test_offline_by_the_command_line_does_not_point_to_a_preference():
    assert "Preferences" in wording.offline(False) and "Preferences" not in wording.offline(True)


def entry(state: str, **sizes) -> Entry:
    return Entry("core", "Core", Standing(state), "a file of numpy is gone", **sizes)


def test_what_an_environment_takes_is_told_as_far_as_it_is_known():
    known = {"download": 312_000_000, "disk": 1_140_000_000}
    assert wording.need(entry("absent", **known)) == "312 MB to download, 1.14 GB on disk."
    assert wording.need(entry("absent", estimated=True, **known)).startswith("About 312 MB")
    assert wording.need(entry("broken", **known)).startswith("At most 312 MB")
    assert wording.need(entry("absent")) == ""


@pytest.mark.parametrize("state", ["absent", "incomplete", "ready", "outdated", "broken"])
def test_each_state_of_an_environment_has_words_and_a_verb(state):
    said = wording.standing(Standing(state), "a file of numpy is gone")
    assert said.endswith(".") and said[0].isupper() and wording.verb(Standing(state))
    assert ("numpy" in said) == (state == "broken")


@pytest.mark.parametrize("verb", typing.get_args(Verb))
def test_each_order_has_words_for_when_it_goes_on_and_when_it_went_well(verb):
    assert Order(verb).doing and wording.done(Order(verb)).endswith(".")


def test_an_amount_of_bytes_is_told_as_far_as_it_is_known():
    assert wording.amount(Shown(0.1, "torch", "", 100_000_000, 312_000_000)) == "100 MB of 312 MB"
    assert wording.amount(Shown(0.1, "torch", "", 100_000_000)) == "100 MB"
    assert wording.amount(Shown(0.1, "torch")) == ""


@pytest.mark.parametrize("stage", typing.get_args(Stage))
def test_each_stage_of_an_installation_has_words(stage):
    said = wording.stage(Shown(0.25, stage))
    assert said[0].isupper() and said.endswith("  25%")


@pytest.mark.parametrize(
    "seconds, words",
    [
        (None, ""),
        (1.0, "about 5 s left"),
        (41.7, "about 40 s left"),
        (59.0, "about 1 min left"),
        (200.0, "about 3 min left"),
    ],
)
def test_the_time_that_remains_is_told_no_more_exactly_than_it_is_known(seconds, words):
    assert wording.remaining(seconds) == words


def test_pictures_are_called_by_the_first_ones_name():
    assert (
        wording.pictures(("/a/b.png",)) == "b.png"
        and wording.pictures(("C:\\a\\b.png", "c", "d")) == "b.png and 2 more"
    )
    assert wording.pictures(("/a/folder/",)) == "folder" and wording.pictures(()) == ""


@pytest.mark.parametrize(
    "seconds, said", [(0.2, "1 s"), (7.4, "7 s"), (42.0, "40 s"), (58.0, "1 min"), (200.0, "3 min")]
)
def test_estimates_are_no_more_exact_than_they_are_known(seconds, said):
    assert wording.duration_about(seconds) == said


def test_a_guess_of_a_first_run_is_told_as_one_with_its_memory():
    presets = [offers.Estimate("fast", 42.0, 5, 6, True, 1_300_000_000), offers.Estimate("high", 7.0, 5, 6)]
    known = offers.EstimateResult(tuple(presets), 0)
    assert wording.estimate(known, "fast") == "about 40 s the first time, 1.3 GB of memory"
    assert wording.estimate(known, "high") == "about 7 s"
    assert "2 rounds" in wording.about_rounds(refining.PRESETS["balanced"])


def test_a_network_that_is_a_download_away_says_its_size_and_licence():
    network = NetworkInfo("a", "A", "MIT", True, 1_680_000_000, False, "", "Good.")
    assert wording.network(network) == "A  (1.68 GB)"
    assert wording.about_network(network, True) == "Good. Licence: MIT. Not installed: 1.68 GB to download"
    assert wording.about_network(network, False).endswith("Has to be set up first")


def test_a_day_that_cannot_be_read_is_shown_as_it_is():
    assert wording.day("yesterday, or so") == "yesterday," and wording.day("2020-01-02T12:00:00+00:00") == "2020-01-02"
