# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats as arrays and as files' bytes: one module per format, what their colours mean, how they are seen.

Axes, units and activations are those of core.representations.Splats; each format's own are turned here.
"""
