# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras from nothing but pictures: structure from motion."""
