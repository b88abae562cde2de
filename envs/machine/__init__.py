# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine is: its cards, its system, which build of torch suits it, and what stands in the way."""
