# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves everything that is ours from one root to another."""

from pathlib import Path

from .progress import Report


def move(root: Path, new_root: Path, report: Report, wait: float) -> None:
    """Makes the environments of ``root`` below ``new_root``, copies the rest, and removes the old.

    Killed at any moment, one of the two is whole; the same command finishes it. Raises EnvironmentProblem.
    """
    raise NotImplementedError
