# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of the environments found, as the panel and the preferences show it. Must not know bpy or processes.

The JSON is what `python -m envs check --json` prints. What is not shown is not read, so that a check may tell more.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ...envs import State as Standing


@dataclass(frozen=True)
class Entry:
    """One environment. `bytes` is what it takes on the disk, None until a deep check has counted; `download` and
    `disk` are what making it takes (bytes), None where that is not known."""

    name: str
    label: str
    standing: Standing
    reason: str
    bytes: int | None = None
    download: int | None = None
    disk: int | None = None
    estimated: bool = False
    licence: str = ""
    log_tail: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, as a sentence."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class CheckResult:
    """A check's result. `build` says which torch fits this machine and why, `warning` what about it is a pity;
    `sizes` are bytes by what takes them; `report` is Markdown without names or tokens."""

    root: str
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...] = ()
    gpus: tuple[str, ...] = ()
    build: str = ""
    warning: str = ""
    free: int | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    report: str = ""

    def entry(self, name: str) -> Entry | None:
        """What was found about that environment, None where it was not looked at."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def after(self, before: CheckResult | None) -> CheckResult:
        """This check and what an earlier one of the same folder knows beyond it."""
        if before is None or before.root != self.root:
            return self
        earlier = {entry.name: entry for entry in before.entries}
        looked_at = {entry.name: _with_size(entry, earlier.get(entry.name)) for entry in self.entries}
        return dataclasses.replace(
            self, entries=tuple((earlier | looked_at).values()), sizes=self.sizes or before.sizes
        )


def read(data: dict[str, Any]) -> CheckResult:
    """Reads a check's JSON object. Raises ValueError, KeyError or TypeError where it is none."""
    torch, hardware = data.get("torch") or {}, data.get("hardware") or {}
    return CheckResult(
        root=_text(data["root"]),
        entries=tuple(_entry(each) for each in data["environments"]),
        findings=tuple(
            Finding(_text(each["name"]), bool(each["ok"]), _text(each["text"])) for each in data.get("findings") or ()
        ),
        gpus=tuple(_text(each["name"]) for each in hardware.get("gpus") or ()),
        build=_text(torch.get("reason")),
        warning=_text(torch.get("warning")),
        free=count(data.get("free_bytes")),
        sizes=tuple((_text(what), size) for what, size in (data.get("sizes") or {}).items() if type(size) is int),
        report=_text(data.get("text")),
    )


def _entry(data: dict[str, Any]) -> Entry:
    need = data.get("need") or {}
    return Entry(
        name=_text(data["name"]),
        label=_text(data.get("label")) or _text(data["name"]),
        standing=Standing(data["state"]),
        reason=_text(data.get("reason")),
        bytes=count(data.get("bytes")),
        download=count(need.get("download")),
        disk=count(need.get("disk")),
        estimated=bool(need.get("estimated")),
        licence=_text(data.get("licence")),
        log_tail=_text(data.get("log_tail")),
    )


def _with_size(entry: Entry, before: Entry | None) -> Entry:
    if entry.bytes is not None or before is None or entry.standing is not before.standing:
        return entry
    return dataclasses.replace(entry, bytes=before.bytes)


def _text(value: Any) -> str:
    """Text; nothing is "", and anything else is no check's result."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"a text is wanted, not {value!r}")
    return value


def count(value: Any) -> int | None:
    """A number of bytes, None where it is none."""
    return value if type(value) is int and value >= 0 else None
