# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kind of failure it is, by what uv, Python and operating systems say, and what the user can do about it.

A sentence is the advice for the kind, with the program's own last words. The numbers are Windows' and POSIX' own, which
are the same in every language (learn.microsoft.com, "System Error Codes"; errno(3)).
"""

import re
import signal
from dataclasses import dataclass

from .errors import Kind
from .network.download import without_password

_REDISTRIBUTABLE = "Microsoft's Visual C++ Redistributable from https://aka.ms/vs/17/release/vc_redist.x64.exe"
_ADVICE: dict[Kind, str] = {
    "space": "the disk is full: free some space and try again",
    "hash": "a file is not the one that was locked: try again, and if it stays, a proxy, a mirror or a wheelhouse has "
    "another file of that name",
    "proxy": "a proxy, a certificate or a login is in the way: check pip's configuration (index, proxy, cert), or "
    "HTTPS_PROXY and SSL_CERT_FILE",
    "network": "the network does not answer: check the connection and the proxy, then try again; what was downloaded "
    "is kept",
    "permission": "a file cannot be written, or another program holds it, mostly an antivirus program that looks at "
    "what was just written: try again, and if it stays, choose another folder, or exclude this one from its watch",
    "architecture": "a program or library is made for another processor or graphics card: repair the environment with "
    "a Python for this machine's own processor, or choose the processor as device",
    "libraries": "a library of the system is missing or too old: install it with the system's package manager, on "
    f"Windows {_REDISTRIBUTABLE}",
}
# The first that is found counts.
_SIGNS: dict[Kind, str] = {
    "space": r"no space left|not enough space|dis[ck] quota|(?<!host is down \()os error (?:112|1295)\b|winerror 112\b",
    "hash": r"hash mismatch|bad crc|the structure of",
    "permission": r"permission denied|access is denied|operation not permitted|read-only file system|text file busy"
    r"|used by another process|contains a virus|blocked by group policy|waiting for lock|os error -2147024786"
    r"|(?<!broken pipe \()(?<!output error \()(?:os error|winerror) (?:5|32|33|225|577|1224|1260|4551)\b",
    "proxy": r"certificate|unknownissuer|proxy|tunnel error|\b40[137] ",
    "network": r"failed to (?:fetch|lookup)|error sending request|error decoding response|network|timed? ?out"
    r"|name or service not known|getaddrinfo|connection (?:refused|reset|closed|aborted)|unreachable|incomplete ?read"
    r"|remote end closed|http (?:error|status)|(?:os error|winerror) (?:100\d\d)\b",
    "architecture": r"exec format error|bad cpu type|incompatible architecture|wrong elf class|no kernel image"
    r"|not a valid win32 application|(?:os error|winerror) (?:193|216)\b|following platforms?:",
    "libraries": r"(?<![/\w])lib(?!torch|c10|cu|nv)\S+?: cannot open shared object|library not loaded|dll load failed"
    r"|version [`'](?:glibc|cxxabi)\w*[\d.]+' not found|winerror (?:126|127|1114)\b|libcuda|nvcuda"
    r"|driver version is insufficient",
}
_OF_THE_NETWORK = ("proxy", "network", "hash")  # kinds that a program which fetches nothing cannot have
_ERRORS = re.compile(r"^(?:error: |warning: (?:Invalid|No valid cert)).*", re.MULTILINE | re.DOTALL)

_CRASH = (
    "it crashed in native code ({}): this processor may lack instructions that the packages need; "
    "repair the environment, and if it stays, report it"
)
_MEMORY = "the system ended it, as it does when memory is short ({}): close other programs and try again"
_LIBRARY = f"a library is missing ({{}}): install {_REDISTRIBUTABLE}"
_FOREIGN = "a library is made for another processor ({}): repair the environment"
# Windows' ends of processes (learn.microsoft.com, "NTSTATUS Values") that say more than a number.
_NTSTATUS: dict[int, tuple[Kind, str]] = {
    **dict.fromkeys((0xC0000005, 0xC000001D, 0xC0000409), ("architecture", _CRASH)),  # access, instruction, stack
    **dict.fromkeys((0xC0000017, 0xC000012D), ("other", _MEMORY)),
    **dict.fromkeys((0xC0000135, 0xC0000139), ("libraries", _LIBRARY)),  # DLL or entry point not found
    0xC000007B: ("architecture", _FOREIGN),
}


@dataclass(frozen=True)
class Failure:
    """What went wrong: a ``kind`` for programs, what the user can do (empty if that is not known), and ``words``, those
    of the program that failed. All in lower case, without a full stop."""

    kind: Kind
    advice: str
    words: str = ""

    def __str__(self) -> str:
        return f"{self.advice} ({self.words})" if self.advice and self.words else self.advice or self.words


def classify(output: str, fetches: bool = True) -> Failure:
    """What went wrong, from the output of a program; ``fetches``: whether it may be the network's fault at all."""
    found = _ERRORS.search(output)
    text = without_password(found[0] if found else output)
    for kind, signs in _SIGNS.items():
        if (fetches or kind not in _OF_THE_NETWORK) and re.search(signs, text, re.IGNORECASE):
            return Failure(kind, _ADVICE[kind], _own_words(text))
    return Failure("other", "", _own_words(text))


def classify_exit(code: int) -> Failure | None:
    """Why a process ended, where its exit code (negative: a signal) says so; None for 0 and codes of its own."""
    if code >= 0:
        kind, sentence = _NTSTATUS.get(code & 0xFFFFFFFF, ("other", ""))
        return Failure(kind, sentence.format(f"{code & 0xFFFFFFFF:#x}")) if sentence else None
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if name == "SIGKILL":
        return Failure("other", _MEMORY.format(name))
    if name in ("SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT"):
        return Failure("architecture", _CRASH.format(name))
    return Failure("other", f"it was ended from outside ({name}): try again")


def _own_words(text: str) -> str:
    """uv's error with its hint or deepest cause; of other programs, the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    error, *causes = [_without_label(line) for line in lines if re.match("error: |cause: ", line)] or [""]
    hints = [_without_label(line) for line in lines if line.startswith("hint: ")]
    last = (hints or causes)[-1:] if error else lines[-1:] or ["it said nothing about why"]
    return ": ".join([*([error] if error else []), *last])


def _without_label(line: str) -> str:
    return line.partition(": ")[2]
