# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that every room shares: jobs, errors, options, views and representations."""
