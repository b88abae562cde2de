# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture files to arrays: loading, and telling the subject from the background."""
