# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m worker` serves the pipe; `python -m worker generate ...` and its kin are the same jobs from a terminal."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys


def serve() -> int:
    from .wire import stdio

    source, sink = stdio.claim()  # before anything heavy is imported, for whatever prints while it loads
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    from .app import App
    from .wire.server import Server

    Server(source, sink, App().handlers()).run()
    return 0


def hush() -> None:
    """From now on what native libraries (COLMAP, libtiff) write about files goes nowhere; what Python says, and a
    crash, still comes to the terminal."""
    sys.stderr.flush()
    terminal, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    faulthandler.enable(sys.stderr)


def main() -> int:
    # Threads that wait for work sleep instead of spinning: beside a busy Blender a small network is ten times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers nothing, unless one wants it
    if len(sys.argv) == 1:
        return serve()
    if sys.argv[1:] == ["far"]:  # started by ssh (elsewhere/far.py)
        from .elsewhere import far

        return far.serve()
    if sys.argv[1] == "ray":  # the program of the environment farm, which makes a cluster
        from ray.scripts.scripts import main as ray

        sys.argv.pop(1)
        return ray()
    if sys.argv[1] == "near":  # started by Blender, by whatever Python there is
        from .elsewhere import near

        return near.serve(*sys.argv[2:4])
    hush()
    from .cli import main as terminal

    sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold what a terminal cannot show
    return terminal(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
