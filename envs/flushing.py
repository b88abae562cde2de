# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets what was written onto the disk itself, so that a power failure cannot take it back."""

import ctypes
import os
import sys
from pathlib import Path


def flush(folder: Path) -> None:
    """Waits until everything on the file system of ``folder`` is on its disk. Where that cannot be asked for, does
    nothing: then the next look at the files' sizes finds what is missing.

    syncfs(2) of Linux alone. sync(2) would wait for other disks as well, for example for a slow stick.
    """
    if sys.platform != "linux":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    except AttributeError:  # a C library without it
        return
    finally:
        os.close(descriptor)
