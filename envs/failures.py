# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognises common failures in what uv, Python and the operating systems say, and tells the user what to do.

Knows texts only: nothing of how anything is installed, started or shown.
"""

import re
from dataclasses import dataclass

from .download import without_password
from .errors import Kind

# What is said, and what it means for the user. The first that matches counts.
_KNOWN: tuple[tuple[Kind, str, str], ...] = (
    (
        "space",
        r"no space left|not enough space|disk quota|os error 112\b",
        "the disk is full: free some space and try again",
    ),
    (
        "hash",
        r"hash mismatch",
        "a downloaded file is not the one that was locked: try again, and if it stays, "
        "a proxy or a mirror on the way changes files",
    ),
    (
        "certificate",
        r"certificate|UnknownIssuer",
        "the connection's certificate is not trusted: name your network's certificate file "
        "in pip's configuration (cert) or in SSL_CERT_FILE",
    ),
    (
        "proxy",
        r"407 proxy|proxy (auth|connect|error)|tunnel",
        "the proxy refused the connection: check the proxy in pip's configuration or in HTTPS_PROXY",
    ),
    (
        "network",
        r"dns error|failed to lookup|error sending request|could not connect|connection (refused|reset)|timed out"
        r"|network is unreachable|failed to fetch|failed to download",
        "{host} cannot be reached: check the connection, then try again; what was downloaded is kept",
    ),
    (
        "permission",
        r"read-only file system|permission denied|access is denied|os error 5\b",
        "a folder cannot be written: choose another folder",
    ),
    (
        "interpreter",
        r"no interpreter found|no python|no download found",
        "no Python of the wanted version is on this machine and none could be fetched: install Python 3.11 or 3.12",
    ),
)


@dataclass(frozen=True)
class Failure:
    """What went wrong: a ``kind`` for programs and a sentence for the user, in lower case, without a full stop."""

    kind: Kind
    sentence: str


def recognise(output: str) -> Failure:
    """What went wrong, from a program's output: a known failure in our words, else the program's own word for it."""
    for kind, pattern, sentence in _KNOWN:
        if re.search(pattern, output, re.IGNORECASE):
            host = re.search(r"https?://(?:[^/@\s]*@)?([^/:)\s]+)", output)
            return Failure(kind, sentence.replace("{host}", host[1] if host else "the network"))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line.removeprefix("cause: ") for line in lines if line.startswith("cause: ")][:1]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")][:1]
    return Failure("unknown", without_password(": ".join(errors + causes or lines[-1:] or ["it said nothing about why"])))
