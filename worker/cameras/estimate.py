# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the user chose to a capture: the one entrance to this room.

Must not know how cameras are read or found, only who does it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..core.job import Job, Span
from ..pictures.gather import Inputs, gather
from .capture import Capture
from .readers import middlebury, transforms
from .sfm import colmap


def capture_of(paths: Sequence[Path], job: Job | Span) -> Capture:
    """The capture of several pictures, a folder, a video, or a list of cameras (transforms.json, *_par.txt).

    Raises Unable, with one sentence, where there is nothing to be made of them.
    """
    return capture_of_gathered(gather(paths, job.span(0.0, 0.15)), job.span(0.15, 1.0))


def capture_of_gathered(gathered: Inputs, job: Job | Span) -> Capture:
    """As capture_of, for pictures that are read already and whose background may have been taken away since."""
    if gathered.cameras is None:
        found = colmap.find(gathered.pictures, gathered.ordered, job)
    elif gathered.cameras.suffix.lower() == ".json":
        found = transforms.read(gathered.cameras, job)
    else:
        found = middlebury.read(gathered.cameras, job)
    return dataclasses.replace(found, notes=(*gathered.notes, *found.notes))
