# SPDX-License-Identifier: GPL-3.0-or-later
"""What the menus of networks and presets say, by category: it changes with what is here and known. Must not know what
is chosen."""

from __future__ import annotations

from typing import Literal

Kind = Literal["networks", "presets"]

Item = tuple[str, str, str, str, int]
"""An entry of a menu, as Blender wants it."""

_items: dict[tuple[Kind, str], list[Item]] = {}
_texts: dict[str, str] = {}  # Blender does not hold what the menus' callbacks return


def begin(kind: Kind, category: str, entries: list[tuple[str, str, str]]) -> None:
    """The menu of that category has these entries: name, label and description of each."""
    _items[kind, category] = [(*entry, "NONE", at) for at, entry in enumerate(entries)]


def items(kind: Kind, category: str) -> list[Item]:
    """The menu as it is now."""
    return _items[kind, category]


def networks(category: str) -> tuple[str, ...]:
    """The names in the menu of networks of that category."""
    return tuple(name for name, *_ in _items["networks", category])


def say_of_networks(category: str, entries: list[tuple[str, str, str, str]]) -> None:
    """Makes the menu of networks of that category say so: name, label, description and icon of each."""
    _say("networks", category, entries)


def say_of_presets(category: str, descriptions: dict[str, str]) -> None:
    """Makes the tooltips of the presets of that category say so."""
    before = _items.get(("presets", category), [])
    _say("presets", category, [(name, label, descriptions.get(name, was), "NONE") for name, label, was, *_ in before])


def _say(kind: Kind, category: str, entries: list[tuple[str, str, str, str]]) -> None:
    if len(entries) == len(_items.get((kind, category), ())):
        held = ((_texts.setdefault(text, text) for text in entry) for entry in entries)
        _items[kind, category] = [(*entry, at) for at, entry in enumerate(held)]
