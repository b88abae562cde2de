# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire between Blender and the worker: messages, the pipe, the request loop, and jobs."""
