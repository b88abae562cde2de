# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to a file: steps, and what is kept of them."""
