# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user is told: failures in words, and a report without names or passwords."""
