# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes out of a text what is nobody else's business, before the user posts it. Knows texts and this machine's names.

Rather takes out too much than too little: a report that lacks a word is still of use. Lengths in patterns are limited,
so that no text, however odd, takes long.
"""

import contextlib
import getpass
import json
import os
import re
import socket
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

# Names that say nothing about anybody, and words of which reports are full.
_COMMON = (
    *("root", "user", "users", "admin", "administrator", "guest", "home", "localhost"),
    *("linux", "ubuntu", "debian", "fedora", "windows", "python", "blender", "torch", "core", "test", "image"),
)
_SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
_SECRET = (
    r"[\w-]{0,64}?(?:token|secret|passw(?:or)?d|pwd|passphrase|api[_-]?key|access[_-]?key|signature"
    r"|credentials?)[\w-]{0,64}"
)
_SEPARATORS = re.compile(r"(?:/|\\\\)+")
_QUOTED = r"\"[^\"\n]*\"|'[^'\n]*'"
_LOGINS = (
    # In an address: up to the last @ before the path; then where a password holds a stroke; then without //.
    (r"//[^/\s'\"<>]{1,500}@", "//"),
    (r"(?<=://)[^/\s:@'\"<>]{1,200}:(?!\d+/)[^\s'\"<>@]{1,200}@", ""),
    (r"(?<![\w./%+-])[\w.%+-]{1,64}:[^\s@/'\"<>]{1,200}@(?=[\w-])", ""),
)
_FOLDERS = (
    # Home folders of whoever it is: Windows, macOS, Linux; a name may hold spaces if a folder follows it.
    (
        r"\b[a-z]:[\\/]+(?:users|documents and settings)[\\/]+"
        r"(?:[^\\/:*?\"<>|\r\n]{1,64}(?=[\\/])|[^\s\\/:*?\"<>|']+)",
        "~",
    ),
    (r"(?<![\w.])(?:/mnt/[a-z]|/[a-z])?/Users/(?:[^/:*?\"<>|\r\n]{1,64}(?=/)|[^/\s:'\"]+)", "~"),
    (r"(?<![\w.])(?:/var|/export)?/home/[^/\s:'\"]+", "~"),
    (r"(?<![\w:\\])\\\\(?![?.]\\)[\w.$-]{1,64}(?=\\)", r"\\\\<machine>"),
)
_TOKENS = (
    # By how the services make them.
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?", "<hidden>"),
    (r"\b(?:hf|api_org)_[a-z0-9]{16,}", "<token>"),
    (r"\b(?:gh[a-z]|github_pat|glpat|xox[a-z]|sk|pk|rk|npm|pypi|dckr_pat|ya29)[_.-][\w.-]{16,}", "<token>"),
    (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "<token>"),
    (r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", "<token>"),
    (r"\b(bearer|basic|digest|negotiate|ntlm)\s+[a-z0-9+/=._~-]{8,}", r"\1 <token>"),
    (r"\b((?:set-)?cookie:)[^\n]*", r"\1 <hidden>"),
    # Whatever calls itself a secret: password=..., "token": "...", --api-key ...; not "a password: write it there".
    (rf"(?<![\w-])({_SECRET}[\"']?\s*=\s*)(?:{_QUOTED}|[^\s&;,\"'<][^\s&;,\"']*)", r"\1<hidden>"),
    (rf"(?<![\w-])({_SECRET}[\"']?\s*:\s*)(?:{_QUOTED}|[^\s,;<]+(?=\s*(?:$|[,;&}}\]])))", r"\1<hidden>"),
    (rf"(?<!\S)(--?{_SECRET})\s+(?:{_QUOTED}|[^\s<-]\S*)", r"\1 <hidden>"),
    (r"\b(machine\s+\S+\s+login)\s+\S+\s+(?:account\s+\S+\s+)?password\s+\S+", r"\1 <hidden>"),
    (r"\bS-1-5-21(?:-\d+)+", "<account>"),
    (r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){0,8}\.[^\W\d_]{2,24}\b", "<e-mail>"),
)


def redact(text: str) -> str:
    """``text`` without home folders, names of users and machines, passwords, tokens and e-mail addresses."""
    secrets = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name) and len(value) >= 6}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "<hidden>")
    text = _replaced(text, _LOGINS)
    for home in _homes():
        text = re.sub(rf"{_as_written(home)}(?![\w-])", "~", text, flags=re.IGNORECASE)
    text = _replaced(text, (*_FOLDERS, *_TOKENS))
    return _without_names(_without_names(text, _users(), "<user>"), _machines(), "<machine>")


def _replaced(text: str, patterns: Iterable[tuple[str, str]]) -> str:
    for pattern, instead in patterns:
        text = re.sub(pattern, instead, text, flags=re.IGNORECASE | re.MULTILINE)
    return text


def _homes() -> list[str]:
    """This user's home folder by all its names, the longest first."""
    found = {os.environ.get(name, "") for name in ("HOME", "USERPROFILE")}
    with contextlib.suppress(RuntimeError, OSError):  # no home at all
        found |= {str(Path.home()), os.path.realpath(Path.home())}
    return sorted((home.rstrip("\\/") for home in found if len(home) > 3), key=len, reverse=True)


def _users() -> set[str]:
    names = {os.environ.get(name, "") for name in ("USER", "USERNAME", "LOGNAME", "SUDO_USER")}
    with contextlib.suppress(OSError, KeyError, ImportError):  # nobody that the system knows
        names.add(getpass.getuser())
    return names | {re.split(r"[\\/]", home)[-1] for home in _homes()} | _full_names()


def _full_names() -> set[str]:
    if os.name != "posix":
        return set()
    import pwd

    with contextlib.suppress(KeyError):
        return {pwd.getpwuid(os.getuid()).pw_gecos.split(",")[0]}
    return set()


def _machines() -> set[str]:
    names = {socket.gethostname(), os.environ.get("COMPUTERNAME", ""), os.environ.get("HOSTNAME", "")}
    return names | {name.partition(".")[0] for name in names} | {os.environ.get("USERDOMAIN", "")}


def _without_names(text: str, names: Iterable[str], instead: str) -> str:
    """Replaces whole words. Those of one or two letters stay: they would be found everywhere."""
    for name in sorted(names, key=len, reverse=True):
        if len(name) > 2 and name.lower() not in _COMMON:
            pattern = rf"(?<![^\W_]){_as_written(name)}(?![^\W_])"
            text = re.sub(pattern, lambda match: instead, text, flags=re.IGNORECASE)
    return text


def _as_written(name: str) -> str:
    """A pattern for ``name`` in all the ways in which paths, addresses and JSON are written."""
    ways = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    ways |= {quote(way, safe="/\\:") for way in ways} | {json.dumps(way)[1:-1].replace("\\\\", "\\") for way in ways}
    patterns = [_SEPARATORS.sub(_any_separators, re.escape(way)) for way in sorted(ways)]
    return f"(?:{'|'.join(patterns)})"


def _any_separators(match: re.Match[str]) -> str:
    """Several within a path, as in JSON; one at its begin, which in file:///home is the last of three."""
    return r"(?:[\\/]|%2F|%5C)" + ("{1,4}" if match.start() else "")
