# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what processes do, within a bound; and what they are mostly asked for."""

import time
from collections.abc import Callable
from pathlib import Path

from image_to_3d.addon.session.client import Client, Event
from image_to_3d.addon.session.jobs import Recipe
from image_to_3d.addon.session.session import Session
from image_to_3d.worker.wire.offers import SelectParams

PATIENCE = 20.0  # seconds for anything to happen on a busy machine; nothing here takes longer than a start of Python


def until(what: Callable[[], object]) -> object:
    """Waits, for PATIENCE at most, until `what` gives something true; returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.005)  # leaves the processor to the process that is waited for
    raise AssertionError(f"not within {PATIENCE} seconds: {what}")


def tick_until(session: Session, what: Callable[[], object]) -> None:
    """Ticks as the timer does, until something is so."""
    until(lambda: (session.tick(), what())[1])


def alive(pid: int) -> bool:
    """Whether that process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def events_until(client: Client, kind: type) -> list[Event]:
    """Polls until an event of that kind has come; returns all events up to then."""
    events: list[Event] = []

    def poll() -> bool:
        events.extend(client.events())
        return any(isinstance(event, kind) for event in events)

    until(poll)
    return events


def recipe(picture: str = "/pictures/a.png", network: str | None = None, method: str = "depth") -> Recipe:
    """What the panel asks for; its network is left to the worker."""
    return Recipe(SelectParams((picture,), "Depth", network), {method: "fast"}, {method: {"faces": 500}})
