# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker offers, kept on disk so that the panel is complete before the worker's first start. Knows no bpy.

`catalogue.json` beside this file ships with the add-on and is what the worker of this very version says (`-m worker
models --json` prints it); the last thing a worker said is kept in a folder of the user's and holds what only it
knows: which weights are here.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from ...worker.core.options import Option
from ...worker.wire import protocol
from ...worker.wire.offers import Catalogue, MethodInfo, NetworkInfo
from ...worker.wire.protocol import WireError

SHIPPED = Path(__file__).with_name("catalogue.json")

LARGEST = 2**31 - 1
"""Of a whole number that Blender's settings hold."""

Methods = tuple[MethodInfo, ...]


def shipped() -> Methods:
    """What this version of the product offers, as far as can be told without asking."""
    return read(SHIPPED)


def last(path: Path) -> Methods:
    """What a worker said last, where that fits this version of the add-on; else what was shipped."""
    ours = shipped()
    try:
        theirs = read(path)
    except (OSError, ValueError, RecursionError, WireError):  # none yet, or damaged, or written by another version
        return ours
    return theirs if shape(theirs) == shape(ours) else ours


def read(path: Path) -> Methods:
    """The methods that are listed in a file. Raises OSError, ValueError, WireError."""
    return protocol.read(Catalogue, json.loads(path.read_text(encoding="utf-8")), path.name).methods


def write(methods: Methods, path: Path) -> None:
    """Writes what a worker said, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(dataclasses.asdict(Catalogue(methods)), indent=1), encoding="utf-8")
    os.replace(beside, path)


def flaw(methods: Methods) -> str:
    """Why the panel could not be made of what a worker offers, "" if it can."""
    if not methods:
        return "it offers no model"
    for method in methods:
        if not method.networks or not method.presets:
            return f"{method.name} has no network, or no preset"
    names = [method.name for method in methods], [network.name for method in methods for network in method.networks]
    if any(len(set(each)) < len(each) or "" in each for each in names):
        return "two models or networks have one name"
    return next(
        (f"{option.name} {wrong}" for each in methods for option in each.options if (wrong := _odd(option))), ""
    )


def _odd(option: Option) -> str:
    """What is wrong with an option, "" if nothing is."""
    kinds = {"bool": bool, "int": int, "float": (int, float), "choice": str}
    if not isinstance(option.default, kinds[option.kind]):
        return f"is of kind {option.kind} and begins as {option.default!r}"
    if option.kind == "choice" and option.default not in option.choices:
        return f"begins as {option.default!r}, which is no choice of it"
    if not -LARGEST < (option.minimum or 0) <= (option.maximum or LARGEST) <= LARGEST:
        return "has limits that exclude each other"
    return ""


def shape(methods: Methods) -> Methods:
    """What of it decides which widgets there are: all but which weights are here."""

    def absent(method: MethodInfo) -> tuple[NetworkInfo, ...]:
        return tuple(dataclasses.replace(network, here=False) for network in method.networks)

    return tuple(dataclasses.replace(method, networks=absent(method)) for method in methods)


def categories(methods: Methods) -> tuple[str, ...]:
    """The categories of the methods, in the order in which they occur."""
    return tuple(dict.fromkeys(method.category for method in methods))


def of_category(methods: Methods, category: str) -> Methods:
    return tuple(method for method in methods if method.category == category)


def suits(method: MethodInfo, several: bool) -> bool:
    """Whether the method takes so many pictures: several, or one."""
    return (method.pictures == "several") == several


def find(methods: Methods, network: str) -> tuple[MethodInfo, NetworkInfo]:
    """The network of that name and the method that runs it; raises KeyError."""
    return {each.name: (method, each) for method in methods for each in method.networks}[network]


def environments(methods: Methods) -> tuple[str, ...]:
    """The names of the environments that the methods need, each once."""
    return tuple(dict.fromkeys(method.environment for method in methods))
