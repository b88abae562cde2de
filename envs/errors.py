# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception of this room. Its message is a sentence for the user: which thing failed and what to do."""


class EnvironmentProblem(Exception):
    """An environment could not be found, made, checked or run."""
