# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are the thing that a picture is of."""
