# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Pythons the worker runs in: made, checked, run in. Standard library only; knows no bpy, no torch, no protocol.

The add-on's contract:

* ``default_root()`` says where everything big lives (overridden by the variable IMAGE_TO_3D_HOME).
* ``status(root, name="core")`` says whether an environment can be used. It reads small files only (about a
  millisecond) and starts nothing. ``.state`` is a ``State``, ``.reason`` one sentence, ``.python`` the interpreter
  (None unless it can be used).
* ``process_environment(root, name)`` is what to hand to ``subprocess.Popen(env=...)`` together with
  ``status(root, name).python``: it keeps the host's Python variables out and compiled files away from the package's
  folder.
* Everything that takes longer is a process of its own: ``[its own python, "-m", "envs", COMMAND, ..., "--root", ROOT,
  "--json"]`` with the package's folder as working directory:

  ===============================  ===================================================================================
  ``create NAME``                  makes it; does nothing if it is ready. ``--anew``: even then. ``--wheelhouse
                                   FOLDER``: from that folder of wheels alone, without the network. ``--device D``:
                                   for torch to compute on D (cuda, rocm, mps, cpu; auto is the best there is)
  ``repair NAME``                  looks at every byte, and makes it anew if anything is wrong, whatever its state.
                                   Takes ``--wheelhouse`` and ``--device`` as well
  ``move NEW_ROOT``                everything that is ours goes there; then the add-on has to use that root
  ``remove NAME``                  takes it away
  ``check [NAME...]``              prints ONE object, see ``report.gather``; exit code 0 only if all are ready.
                                   ``--quick``: markers only. ``--files``: also every file's existence and size, with
                                   low priority, about a second: for when the add-on starts. Neither: tries everything
                                   out, takes seconds. Keeps what it finds wrong: ``status`` then says BROKEN
  ===============================  ===================================================================================

  All but ``check`` write one JSON object per line to stdout: ``{"stage": str, "progress": 0..1, "message": str}`` while
  they go on (and "bytes" and "of" where they are known), and at the end one of ``{"state": STATE, "python": PATH}``
  (exit code 0; "ready" for create and repair; ``{"state": "absent", "python": null}`` for remove; for move that of
  core, and "root": NEW_ROOT) and ``{"state": STATE, "error": ONE_SENTENCE, "kind": KIND}``
  (exit code 1; KIND is one of ``errors.Kind``; when it was cancelled, 130 and without "kind").
  To cancel, terminate that process: the environment that was in use before stays in use, and what was downloaded is
  kept for the next time.
"""

from .places import default_root
from .running import process_environment
from .states import State, Status, status

__all__ = ["State", "Status", "default_root", "process_environment", "status"]
