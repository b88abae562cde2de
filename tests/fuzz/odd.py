# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that is odd in one place or some: values that nobody expects there, keys that are missing, twice or unknown."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from counting import mutated

VALUES = [
    None, True, False, 0, -1, 1, 0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"),
    2**31, 2**63, -(2**63), 10**400, "", "x", "\0", "\ud800", "b\udcffd", "é\n\t", "x" * 5000, "../../..",
    "/dev/zero", "C:\\a\\b.png", [], {}, [[]], [None], {"": {}}, {"\udc80": [1]}, [1] * 300, "1", "true",
    "depth", "included",
]  # fmt: skip


def places(value: Any, where: tuple = ()) -> list[tuple]:
    """The ways to all values within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(place for key, item in inner for place in places(item, (*where, key)))]


def changed(value: Any, generator: np.random.Generator) -> Any:
    """The value with none to three of its parts replaced, removed, doubled or added to."""
    value = copy.deepcopy(value)
    for _ in range(int(generator.choice([0, 1, 1, 1, 2, 3]))):
        found = [place for place in places(value) if place]
        if not found:
            return value
        *way, last = found[int(generator.integers(len(found)))]
        inside = value
        for key in way:
            inside = inside[key]
        odd = copy.deepcopy(VALUES[int(generator.integers(len(VALUES)))])
        match int(generator.integers(6)):
            case 0:
                del inside[last]
            case 1 if isinstance(inside, list):
                inside.append(odd)
            case 1:
                inside["surprise" if generator.random() < 0.5 else "\ud800"] = odd
            case 2 if type(inside[last]) in (float, int) and inside[last] != 10**400:
                inside[last] = inside[last] * float(generator.choice([-1.0, 1e-9, 1e9, 1e200, 0.0, 3.0]))
            case _:
                inside[last] = odd
    return value


def text_of(value: Any, generator: np.random.Generator, ascii: bool = True) -> bytes:
    """The value as JSON (with what JSON has not, such as NaN), which is damaged as a file one time in four."""
    text = json.dumps(value, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    return mutated(text, [text], generator) if generator.random() < 0.25 else text
