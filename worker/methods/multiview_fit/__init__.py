# SPDX-License-Identifier: GPL-3.0-or-later
"""Several photos to a field that is fitted to them."""
