# SPDX-License-Identifier: GPL-3.0-or-later
"""Representation -> mesh -> file. Knows arrays and representations; must not know devices, networks or (but for glb.py)
files."""
