# SPDX-License-Identifier: GPL-3.0-or-later
"""From a representation to a finished asset: surface, place, texture. One file per type of representation."""
