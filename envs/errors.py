# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of this room. Its message is a sentence for the user: which thing failed and what to do."""

from typing import Literal

Kind = Literal[
    "space",  # the disk or the quota is full
    "network",  # somebody cannot be reached, or does not answer as it should
    "proxy",  # a proxy, a certificate or a login is in the way
    "permission",  # a file cannot be written, or another program, such as an antivirus scanner, holds it
    "hash",  # a file is not the one that was locked
    "architecture",  # made for another processor, graphics card or system
    "libraries",  # the system lacks a library
    "other",
]


class EnvironmentProblem(Exception):
    """An environment could not be found, made, checked or run. ``kind`` is for programs, the message for people.

    ``output``: what the program which failed has printed, if it was one; it may hold passwords, and is not to be shown.
    """

    def __init__(self, message: str, kind: Kind = "other", output: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.output = output
