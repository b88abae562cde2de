# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept on disk between runs: weights of networks, and results. Must not know methods or meshes."""
