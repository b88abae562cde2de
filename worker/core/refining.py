# SPDX-License-Identifier: GPL-3.0-or-later
"""What both sides know of refining. Standard library only."""

MOST_FACES = 500_000
"""Of a mesh that is refined: more take minutes to be laid flat."""

ROUNDS = {"fast": 1, "balanced": 2, "high": 3}
"""Of the presets of `improve`, how many rounds there are."""
