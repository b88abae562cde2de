# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the locks and the sizes from the specs; for developers."""
