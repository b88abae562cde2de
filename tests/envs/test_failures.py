# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user is told what to do, with what programs really said (see outputs.txt)."""

import re
import signal
import sys
from pathlib import Path

import pytest
from image_to_3d.envs.failures import classify, classify_exit

_TEXT = (Path(__file__).parent / "outputs.txt").read_text(encoding="utf-8")
OUTPUTS = [section.partition("\n")[::2] for section in re.split(r"^=== ", _TEXT, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize(("expected", "output"), OUTPUTS, ids=[expected[:60] for expected, _ in OUTPUTS])
def test_what_was_said_becomes_what_to_do_and_the_programs_own_words(expected, output):
    kind, *words = [part.strip() for part in expected.split("|")]
    failure = classify(output)
    sentence = str(failure)
    assert failure.kind == kind.split()[0], failure
    assert all(word in sentence for word in words), sentence
    assert bool(failure.advice) == (failure.kind != "other")
    assert "secret" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: something new at https://me:secret@host/simple", "something new at https://host/simple"),
        ("error: No plan found\n\n  cause: Because a wants b\n  cause: x", "No plan found: x"),
        ("Checked 15 packages\nThe package `a` is too old\n", "The package `a` is too old"),
        ("", "it said nothing about why"),
    ],
)
def test_what_is_not_known_is_told_in_the_programs_own_words(output, sentence):
    failure = classify(output)
    assert (failure.kind, str(failure)) == ("other", sentence)


def test_what_was_said_before_the_error_does_not_count():
    assert classify("warning: no space left\nerror: something new").kind == "other"


def test_a_program_that_fetches_nothing_has_no_trouble_with_the_network():
    assert classify("ImportError: cannot import name 'timeout' from 'urllib3'", fetches=False).kind == "other"
    assert classify("ImportError: libgomp.so.1: cannot open shared object file", fetches=False).kind == "libraries"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (-signal.SIGILL, "architecture", "(SIGILL)"),
        (-signal.SIGSEGV, "architecture", "(SIGSEGV)"),
        (-signal.SIGKILL, "other", "close other programs"),
        (-signal.SIGTERM, "other", "(SIGTERM)"),
        (-63, "other", "ended from outside"),
    ],
)
def test_a_signal_tells_why_a_process_ended(code, kind, words):
    failure = classify_exit(code)
    assert failure.kind == kind
    assert words in str(failure)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0xC0000005, "architecture"),
        (-1073741795 & 0xFFFFFFFF, "architecture"),
        (0xC0000135, "libraries"),
        (0xC000012D, "other"),
        (0xC000007B, "architecture"),
    ],
)
def test_so_does_windows_by_a_number(code, kind):
    assert classify_exit(code).kind == kind


@pytest.mark.parametrize("code", [0, 1, 2, 255, 0xC0FFEE])
def test_a_programs_own_exit_code_tells_nothing(code):
    assert classify_exit(code) is None
