# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a field is zero, as a clean mesh of as many faces as are wanted."""
