# SPDX-License-Identifier: GPL-3.0-or-later
"""One cut-out thing to its front and back: by regression, or sampled."""
