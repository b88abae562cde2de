# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user is told what to do, with what programs really said (see said.txt)."""

import re
import signal
import sys
from pathlib import Path
from typing import get_args

import pytest
from image_to_3d.envs.errors import Kind
from image_to_3d.envs.telling.failures import recognise, recognise_exit, recognise_local
from image_to_3d.envs.telling.symptoms import SYMPTOMS

_TEXT = (Path(__file__).parent / "said.txt").read_text(encoding="utf-8")
SAID = [section.partition("\n")[::2] for section in re.split(r"^=== ", _TEXT, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize(("expected", "said"), SAID, ids=[expected[:60] for expected, _ in SAID])
def test_what_was_said_becomes_what_to_do(expected, said):
    kind, *words = [part.strip() for part in expected.split("|")]
    failure = recognise(said)
    assert failure.kind == kind.split()[0], failure
    assert all(word in failure.sentence for word in words), failure.sentence
    assert "secret" not in failure.sentence
    assert not re.search(r"[{}\n]|\.$", failure.sentence)


def test_a_known_failure_says_what_to_do_after_a_colon():
    assert all(": " in symptom.sentence for symptom in SYMPTOMS)
    assert {symptom.kind for symptom in SYMPTOMS} < set(get_args(Kind))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("error: something new at https://me:secret@host/simple", "something new at https://host/simple"),
        ("error: No plan found\n\n  cause: Because a wants b\n  cause: x", "No plan found: Because a wants b"),
        ("Checked 15 packages\nThe package `a` is too old\n", "The package `a` is too old"),
        ("", "it said nothing about why"),
    ],
)
def test_what_is_not_known_is_told_in_the_programs_own_words(said, sentence):
    failure = recognise(said)
    assert (failure.kind, failure.sentence) == ("unknown", sentence)


def test_what_was_said_before_the_error_does_not_count():
    assert recognise("warning: no space left\nerror: something new").kind == "unknown"


def test_a_program_that_fetches_nothing_has_no_trouble_with_the_network():
    assert recognise_local("ImportError: cannot import name 'timeout' from 'urllib3'").kind == "unknown"
    assert recognise_local("ImportError: libgomp.so.1: cannot open shared object file").kind == "libraries"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (-signal.SIGILL, "processor", "(SIGILL)"),
        (-signal.SIGSEGV, "processor", "(SIGSEGV)"),
        (-signal.SIGKILL, "memory", "close other programs"),
        (-signal.SIGTERM, "unknown", "(SIGTERM)"),
        (-63, "unknown", "ended from outside"),
    ],
)
def test_a_signal_tells_why_a_process_ended(code, kind, words):
    failure = recognise_exit(code)
    assert failure.kind == kind
    assert words in failure.sentence


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0xC0000005, "processor"),
        (-1073741795 & 0xFFFFFFFF, "processor"),
        (0xC0000135, "libraries"),
        (0xC000012D, "memory"),
        (0xC000007B, "architecture"),
    ],
)
def test_so_does_windows_by_a_number(code, kind):
    assert recognise_exit(code).kind == kind


@pytest.mark.parametrize("code", [0, 1, 2, 255, 0xC0FFEE])
def test_a_programs_own_exit_code_tells_nothing(code):
    assert recognise_exit(code) is None
