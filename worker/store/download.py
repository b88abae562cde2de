# SPDX-License-Identifier: GPL-3.0-or-later
"""One file from the web, whole and right or not at all: a part file that is resumed, a hash, an atomic move.

Must not know what the file is for. Written here rather than left to the hub's own client, because a download must be
cancelled at any moment, tell its bytes, and fail with one sentence whatever that client's HTTP library raises.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from .. import __version__
from ..core.errors import Unable
from ..core.job import Job, Span

TIMEOUT = 30.0
"""Seconds without a single byte after which a connection is given up."""

CHUNK = 1 << 18

MOST_UNKNOWN = 1 << 20
"""Bytes of a file whose size is not known: configurations are a few kB, and whoever sends more sends something else."""


def fetch(url: str, target: Path, bytes: int | None, sha256: str | None, job: Job | Span) -> None:
    """Brings `url` to `target`. What had come when it was cut off stays in `<target>.part` for the next try.

    Raises Unable if it cannot be had, or is not the file with that size and hash (None: unknown); Cancelled. A file of
    unknown size, of MOST_UNKNOWN at most, is fetched whole at each try; one that is named as JSON must be that, and it
    must have the digest that the hub tells of it.
    """
    if target.is_file() and _is_right(target, bytes, sha256, target.name):
        return
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        told = _receive(url, part, bytes, job)
    except (OSError, HTTPException) as error:  # URLError is an OSError
        message = f"{url} could not be downloaded ({_reason(error)}): try again, what came is kept"
        raise Unable(message) from None
    if not _is_right(part, bytes, sha256, target.name) or (bytes is None and not _is_as_told(part, told)):
        part.unlink()
        raise Unable(f"{url} came damaged (it is not the file that was published): download it again")
    os.replace(part, target)


def listing(url: str, most: int = 16 * MOST_UNKNOWN) -> dict:
    """The JSON object at `url`, of at most so many bytes. Raises Unable."""
    request = urllib.request.Request(url, headers={"User-Agent": f"image-to-3d/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            told = json.loads(answer.read(most))
    except (OSError, HTTPException) as error:
        raise Unable(f"{url} could not be asked ({_reason(error)}): try again") from None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Unable(f"{url} does not answer as the hub does: is there a page to log in to before this network?")
    return told


def reachable(url: str, patience: float, job: Job | Span) -> bool:
    """Whether a server answers at that address within so many seconds, whatever it says. Raises Cancelled.

    Asked on a thread of its own, as looking up a name can take longer than any limit that one can set."""
    answered: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": f"image-to-3d/{__version__}"})
        try:
            with urllib.request.urlopen(request, timeout=patience):
                answered.append(True)
        except urllib.error.HTTPError:
            answered.append(True)
        except (OSError, HTTPException, ValueError):
            answered.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    end = time.monotonic() + patience
    while not answered and time.monotonic() < end:
        job.report(0.0, "connecting")
        asking.join(0.05)
    return answered == [True]


def _receive(url: str, part: Path, bytes: int | None, job: Job | Span) -> str:
    """Appends what comes to the part file. Returns the ETag that the server tells, "" where it was not asked."""
    have = part.stat().st_size if bytes is not None and part.is_file() else 0
    if bytes is not None and have >= bytes:
        return ""
    job.report(have / bytes if bytes else 0.0, "connecting")
    headers = {"User-Agent": f"image-to-3d/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        have = have if answer.status == 206 else 0  # a server that knows no ranges sends all of it
        with part.open("ab" if have else "wb") as file:
            most = bytes if bytes is not None else MOST_UNKNOWN + 1
            expected = bytes if bytes is not None else min(answer.length or 0, most)  # of what the server says
            while have < most and (chunk := answer.read1(min(CHUNK, most - have))):  # read1: what has come, at once
                file.write(chunk)
                have += len(chunk)
                share = min(have / max(expected, have), 1.0)
                job.report(share, "downloading", f"{have / 1e6:.0f} of {max(expected, have) / 1e6:.0f} MB")
            file.flush()
            os.fsync(file.fileno())
    if have < expected:
        raise ConnectionError(f"the connection broke off after {have / 1e6:.1f} of {expected / 1e6:.1f} MB")
    return answer.headers.get("ETag", "")


def _reason(error: OSError | HTTPException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_right(path: Path, bytes: int | None, sha256: str | None, name: str) -> bool:
    if path.stat().st_size != bytes and (bytes is not None or path.stat().st_size > MOST_UNKNOWN):
        return False
    if sha256 is None:
        return not name.endswith(".json") or _is_json(path)
    with path.open("rb") as stream:
        return sha256 == hashlib.file_digest(stream, "sha256").hexdigest()


def _is_as_told(path: Path, etag: str) -> bool:
    """Whether a small file is what the server says: the hub tells git's digest of it, others tell nothing of use."""
    told, content = etag.removeprefix("W/").strip('"'), path.read_bytes()
    of_git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return len(told) != len(of_git) or told in (of_git, hashlib.sha1(content, usedforsecurity=False).hexdigest())


def _is_json(path: Path) -> bool:
    """Nets that ask for a password answer everything with a page of their own."""
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False
