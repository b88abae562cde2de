# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that somebody has written down."""
