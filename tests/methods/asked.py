# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks methods for representations, by the names of their networks, as the pipeline does."""

from __future__ import annotations

from image_to_3d.worker.core.job import Job
from image_to_3d.worker.core.representations import Representation
from image_to_3d.worker.methods import with_network
from image_to_3d.worker.methods.method import Task
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.select import settings
from image_to_3d.worker.store.weights import WeightStore


def silent() -> Job:
    return Job(lambda *_: None)


def task(network: str, weights: WeightStore, *pictures: Picture, **options) -> Task:
    """With the options of the preset "fast" but for those that are given."""
    method, row = with_network(network)
    values = settings(method, "fast", options).method
    return Task(Inputs(pictures, False, None, ()), row, values, "cpu", weights)


def run(wanted: Task, job: Job | None = None) -> Representation:
    method, _ = with_network(wanted.network.name)
    return method.run(wanted, job or silent())
