# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of this room. Its message is a sentence for the user: which thing failed and what to do."""

from typing import Literal

Kind = Literal[
    "space",  # the disk or the quota is full
    "network",  # somebody cannot be reached, or does not answer as it should
    "proxy",
    "certificate",
    "login",  # a server wants another user or password
    "locked",  # another program holds a file: an antivirus program, an editor, another Blender
    "architecture",  # made for another processor or system
    "permission",
    "hash",  # a file is not the one that was locked
    "packages",  # an index has no package or version that fits
    "interpreter",  # no Python could be found or fetched
    "libraries",  # the system lacks a library
    "processor",  # ended by the system: an instruction that the processor lacks, a crash in native code
    "memory",
    "unknown",
]


class EnvironmentProblem(Exception):
    """An environment could not be found, made, checked or run. ``kind`` is for programs, the message for people.

    ``said``: all that the program which failed has said, if it was one; it may hold passwords, and is not to be shown.
    """

    def __init__(self, message: str, kind: Kind = "unknown", said: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.said = said
