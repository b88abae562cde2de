# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the pipe for the protocol before anything else can write into it. Must not know what travels on it.

Libraries print to stdout, from Python and from C. So descriptors 0 and 1 are moved to private numbers, which no child
process inherits, and in their place stand nothing to read and stderr to write to.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def claim() -> tuple[BinaryIO, BinaryIO]:
    """Returns the pipe (to read from, to write to, unbuffered). From now on whatever prints goes to stderr. Call once,
    first."""
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb", buffering=0)
