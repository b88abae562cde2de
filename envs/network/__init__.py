# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching files as the user's own settings want it: proxies, certificates, indexes, logins."""
