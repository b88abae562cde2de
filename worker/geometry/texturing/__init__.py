# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture for any mesh: laid out flat, and painted from photos and from a field."""
