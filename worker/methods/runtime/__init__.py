# SPDX-License-Identifier: GPL-3.0-or-later
"""What running networks needs, whatever network it is: devices, memory, hooks, checkpoints."""
