# SPDX-License-Identifier: GPL-3.0-or-later
"""Why something could not be done to the scene; the messages are for the user."""


class CannotAdd(Exception):
    """The file could not become an object."""


class CannotChange(Exception):
    """The object could not become what was asked for; it is as it was."""
