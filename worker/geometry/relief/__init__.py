# SPDX-License-Identifier: GPL-3.0-or-later
"""What one photo shows, as a mesh: a relief of a depth map, a closed thing of two layers."""
