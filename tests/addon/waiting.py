# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what processes do, within a bound."""

import time
from collections.abc import Callable
from pathlib import Path

from image_to_3d.addon.session.client import Client, Event

PATIENCE = 20.0  # seconds for anything to happen on a busy machine; nothing here takes longer than a start of Python


def until(what: Callable[[], object]) -> object:
    """Waits, for PATIENCE at most, until `what` gives something true; returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.005)  # leaves the processor to the process that is waited for
    raise AssertionError(f"not within {PATIENCE} seconds: {what}")


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
        events.extend(client.poll())
        return any(isinstance(event, kind) for event in events)

    until(poll)
    return events
