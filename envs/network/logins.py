# SPDX-License-Identifier: GPL-3.0-or-later
"""User and password for an address, found where pip finds them: in the address, in netrc, in the keyring.

Follows https://pip.pypa.io/en/stable/topics/authentication/. Keeps and shows nothing.
"""

import netrc
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import SplitResult, unquote

_SECONDS = 30.0  # for the keyring to answer


def find_login(parts: SplitResult, keyring: bool = False) -> str | None:
    """``user:password`` for the address ``parts``; None where none is known. ``keyring``: that program may be asked."""
    if parts.scheme not in ("http", "https"):
        return None
    user = unquote(parts.username or "")
    if parts.password is not None:
        return f"{user}:{unquote(parts.password)}"
    stored = _from_netrc(parts.hostname, user) or (_from_keyring(parts, user) if keyring and user else None)
    return stored or (f"{user}:" if user else None)


def _from_netrc(host: str | None, user: str) -> str | None:
    try:
        entry = netrc.netrc(_netrc_file()).authenticators(host or "")
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):  # there is none, or it cannot be read: as pip has it
        return None
    if entry is None or not entry[2] or (user and entry[0] != user):
        return None
    return f"{entry[0]}:{entry[2]}"


def _netrc_file() -> str:
    named = [Path(path).expanduser() for path in (os.environ.get("NETRC", ""), "~/.netrc", "~/_netrc") if path]
    return str(next((path for path in named if path.exists()), named[0]))


def _from_keyring(parts: SplitResult, user: str) -> str | None:
    """Asks for the address and then for the machine, as pip does."""
    program = shutil.which("keyring")
    for service in (f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", parts.hostname or ""):
        try:
            answer = subprocess.run(
                [program or "keyring", "get", service, user],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if answer.returncode == 0 and answer.stdout.strip():
            return f"{user}:{answer.stdout.strip()}"
    return None
