# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the things of a batch one after the other by a worker on another machine, over one connection."""

from __future__ import annotations

import dataclasses

from ..core.job import Job
from ..elsewhere.near import Near
from ..pipeline.batch import Execute
from ..wire import making, offers
from .here import here


def elsewhere(where: str, settings: offers.InitializeParams, job: Job) -> Execute:
    """where: `[user@]host[:folder]`. Connects. Raises Invalid, Unable, WireError."""
    near = Near(where)
    near.initialize(settings, job)
    return here(
        lambda asked, own: dataclasses.asdict(near.generate(making.GenerateParams(**dataclasses.asdict(asked)), own)),
        job,
    )
