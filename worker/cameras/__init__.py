# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures to cameras: where each picture was taken from, and the box in which the thing lies.

Must not know networks, geometry, methods or Blender.
"""
