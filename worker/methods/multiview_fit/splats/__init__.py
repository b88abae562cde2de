# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats fitted to several photos: where they begin, how they are rendered, how they are learned."""
