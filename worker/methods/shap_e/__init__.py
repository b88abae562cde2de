# SPDX-License-Identifier: GPL-3.0-or-later
"""Shap-E: one photo to a field with plain shapes and colours."""
