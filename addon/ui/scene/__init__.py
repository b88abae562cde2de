# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes Blender's data, and nothing else in the add-on does. Must not know the worker, the session or the panel.

Each function takes what it works on and changes it at once; what is one step for the user is one operator elsewhere.
"""

from .cameras import add_cameras
from .errors import CannotAdd, CannotChange
from .mesh import add_meshes, check
from .sequence import add_sequence
from .splats import add_splats

__all__ = ["CannotAdd", "CannotChange", "add_cameras", "add_meshes", "add_sequence", "add_splats", "check"]
