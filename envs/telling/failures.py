# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognises common failures in what uv, Python and the operating systems say, and tells the user what to do.

Knows texts and exit codes only: nothing of how anything is installed, started or shown.
"""

import re
import signal
from dataclasses import dataclass

from ..errors import Kind
from ..network.download import without_password
from .symptoms import LOCAL, SYMPTOMS, SYSTEM_PACKAGES, Symptom

_ERRORS = re.compile(r"^(?:error: |warning: (?:Invalid|No valid cert)).*", re.MULTILINE | re.DOTALL)
_HOST = re.compile(r"https?://([^/:?#\s`'\"<>()]+)", re.IGNORECASE)
_PATH = re.compile(
    r"[`'\"](?P<quoted>(?:[A-Za-z]:[\\/]|\.{0,2}/|\\\\|[\w.-]+/)[^`'\"\n]*)[`'\"]"
    r"|(?P<windows>(?:[A-Za-z]:\\|\\\\)[^:*?\"<>|\n]+?)(?= to [A-Za-z\\]|[:*?\"<>|]|$)"
    r"|(?:to|from|file|directory) (?P<posix>/[^:\n]+?)(?= to /|:|$)",
    re.MULTILINE,
)

# Windows' ends of processes (learn.microsoft.com, "NTSTATUS Values") that say more than a number.
_NTSTATUS: dict[int, "Kind"] = {
    0xC0000005: "processor",  # access violation
    0xC000001D: "processor",  # illegal instruction
    0xC0000409: "processor",  # a program that found its own stack damaged
    0xC0000017: "memory",
    0xC000012D: "memory",  # commit limit
    0xC0000135: "libraries",  # DLL not found
    0xC0000139: "libraries",  # entry point not found
    0xC000007B: "architecture",  # a DLL of another architecture
}
_ENDINGS: dict[Kind, str] = {
    "processor": "it crashed in native code ({name}): this processor may lack instructions that the packages need; "
    "repair the environment, and if it stays, report it",
    "memory": "the system ended it, as it does when memory is short ({name}): close other programs and try again",
    "libraries": "a library is missing ({name}): install Microsoft's Visual C++ Redistributable from "
    "https://aka.ms/vs/17/release/vc_redist.x64.exe",
    "architecture": "a library is made for another processor ({name}): repair the environment",
}


@dataclass(frozen=True)
class Failure:
    """What went wrong: a ``kind`` for programs and a sentence for the user, in lower case, without a full stop."""

    kind: Kind
    sentence: str


def recognise(output: str) -> Failure:
    """What went wrong, from the output of uv: a known failure in our words, else its own word for it."""
    return _recognised(output, SYMPTOMS)


def recognise_local(output: str) -> Failure:
    """The same for a program that fetches nothing, as when packages are imported: there, a timeout is no network's."""
    return _recognised(output, LOCAL)


def _recognised(output: str, symptoms: tuple[Symptom, ...]) -> Failure:
    found = _ERRORS.search(output)
    text = without_password(found[0] if found else output)
    for symptom in symptoms:
        if match := symptom.pattern.search(text):
            return Failure(symptom.kind, _worded(symptom, match, text))
    return Failure("unknown", _own_word(text))


def recognise_exit(code: int) -> Failure | None:
    """Why a process ended, where its exit code (negative: a signal) says so; None for 0 and codes of its own."""
    if code < 0:
        return _ended_by_signal(-code)
    kind = _NTSTATUS.get(code & 0xFFFFFFFF) if code > 255 else None
    return Failure(kind, _ENDINGS[kind].format(name=f"{code & 0xFFFFFFFF:#x}")) if kind else None


def _ended_by_signal(number: int) -> Failure:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if name == "SIGKILL":
        return Failure("memory", _ENDINGS["memory"].format(name=name))
    if name in ("SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT"):
        return Failure("processor", _ENDINGS["processor"].format(name=name))
    return Failure("unknown", f"it was ended from outside ({name}): try again")


def _worded(symptom: Symptom, match: re.Match[str], text: str) -> str:
    named = {name: value for name, value in match.groupdict().items() if value}
    named["package"] = named.get("package") or named.get("other") or _package(text)
    named["status"] = named.get("status") or named.get("code", "")
    packages = SYSTEM_PACKAGES.get(named.get("library", ""))
    named["package_of"] = f" (apt install {packages[0]}, or dnf install {packages[1]})" if packages else ""
    path = _path(match, text)
    places = {"host": _host(match, text), "path": path or "a folder", "where": f" ({path})" if path else ""}
    return symptom.sentence.format(**places, **named)


def _host(match: re.Match[str], text: str) -> str:
    found = _HOST.search(match[0]) or _HOST.search(text)
    return found[1] if found else "the network"


def _path(match: re.Match[str], text: str) -> str:
    """The last path up to the end of the line that matched; empty if there is none."""
    end = text.find("\n", match.end())
    found = [each for each in _PATH.finditer(text[: end if end >= 0 else None]) if "\n" not in each[0]]
    return found[-1][found[-1].lastgroup].strip() if found else ""


def _package(text: str) -> str:
    found = re.search(r"`([\w.-]+)==", text)
    return found[1] if found else "a package"


def _own_word(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line.removeprefix("cause: ") for line in lines if line.startswith("cause: ")][:1]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")][:1]
    return ": ".join(errors + causes or lines[-1:] or ["it said nothing about why"])
