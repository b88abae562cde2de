# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the locks and the table of sizes in envs/locks from envs/specs: ``python3 -m tests.locking [PLATFORM...]``.

For developers. It is no part of the product: users only read what it has written.
"""
