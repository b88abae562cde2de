# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the things of a batch are made: in this process, or in several workers over the wire (pipeline/batch.py says
what an executor is)."""
