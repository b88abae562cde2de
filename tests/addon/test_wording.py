# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from image_to_3d.addon import wording
from image_to_3d.worker.wire.protocol import ModelInfo


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
    model = ModelInfo("a", "A", "CC-BY-NC-4.0", False, 1, False, "")
    assert "not for commercial use" in wording.licence(model)


def test_text_is_wrapped_at_the_width_and_long_words_stand_alone():
    assert wording.wrap("aa bb cc incomprehensible dd", 5, len) == ["aa bb", "cc", "incomprehensible", "dd"]
    assert wording.wrap("one\n\ntwo", 80, len) == ["one", "", "two"]


def test_offline_by_the_command_line_does_not_point_to_a_preference():
    assert "Preferences" in wording.offline(False) and "Preferences" not in wording.offline(True)
