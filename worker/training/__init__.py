# SPDX-License-Identifier: GPL-3.0-or-later
"""How the included weights were made: procedural scenes, a ray caster, losses and training commands.

Nothing here is needed to use the product, and nothing here knows backends, the wire or Blender.
"""
