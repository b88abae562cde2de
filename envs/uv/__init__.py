# SPDX-License-Identifier: GPL-3.0-or-later
"""uv, which makes environments: the program itself, running it, and seeing how far it is."""
