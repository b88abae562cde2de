# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference side: pictures in, textured meshes out. Runs in its own Python and never imports bpy."""

__version__ = "0.1.0"
