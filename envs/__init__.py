# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Pythons the worker runs in: made, checked, run in. Standard library only; knows no bpy, no torch, no protocol.

The add-on's contract:

* ``default_root()`` says where everything big lives (overridden by the variable IMAGE_TO_3D_HOME).
* ``status(root)`` says whether an environment can be used. It reads a marker file and a lock file (about a
  millisecond) and starts nothing. ``.state`` is a ``State``, ``.reason`` one sentence, ``.python`` the interpreter
  (None unless it can be used).
* ``process_environment(root, name)`` is what to hand to ``subprocess.Popen(env=...)`` together with
  ``status(root).python``: it keeps the host's Python variables out and compiled files away from the package's folder.
* Making an environment takes minutes, so the add-on starts ``[its own python, "-m", "envs", "create", "core", "--root",
  ROOT, "--json"]`` with the package's folder as working directory, and reads one JSON object per line from stdout:
  ``{"stage": str, "progress": 0..1, "message": str}`` while it goes on, and at the end one of
  ``{"state": "ready", "python": PATH}`` (exit code 0) and ``{"state": ABSENT_OR_ANOTHER_STATE, "error": ONE_SENTENCE}``
  (exit code 1; 130 when it was cancelled). To cancel, terminate that process: the environment that was in use before
  stays in use, and what was downloaded is kept for the next time.
"""

from .places import default_root
from .running import process_environment
from .states import State, Status, status

__all__ = ["State", "Status", "default_root", "process_environment", "status"]
