# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker raises when something cannot be done and the user should be told why.

Each message is one sentence in lower case: which thing, what is wrong with it, what to do. The boundary in
wire/server.py turns them into answers; everything else that is raised is a fault of ours and is reported as such.
"""

from __future__ import annotations


class Unable(Exception):
    """Could not be done, for a reason that lies outside of this program."""


class Invalid(Unable):
    """What was asked for makes no sense: an unknown name, a value outside of its limits."""


class MethodUnavailable(Unable):
    """The method is not known, or cannot run on this machine."""


class WeightsMissing(Unable):
    """The weights of a network are not on this machine. `bytes` is the size of the download that would bring them."""

    def __init__(self, message: str, network: str, bytes: int, licence: str) -> None:
        super().__init__(message)
        self.network, self.bytes, self.licence = network, bytes, licence


class OutOfMemory(Unable):
    """Too little memory on the device. `needed` and `free` in bytes, None where unknown."""

    def __init__(self, message: str, needed: int | None = None, free: int | None = None) -> None:
        super().__init__(message)
        self.needed, self.free = needed, free


class Unsure(Unable):
    """Could be done, but is hardly what is wanted: `option` is the bool one that the user sets to go on with it."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class Cancelled(Exception):
    """The user asked to stop. Not an error."""
