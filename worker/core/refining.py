# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides know of refining. Standard library only."""

MOST_FACES = 500_000
"""Of a mesh that is refined: more take minutes to be laid flat."""
