# SPDX-License-Identifier: GPL-3.0-or-later
"""The one running worker, its jobs and environments. No bpy anywhere in it."""
