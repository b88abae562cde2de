# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed options: a dataclass whose fields say how they are shown and within which limits they lie.

Whoever uses an option owns it, as a field of its own dataclass, and reads it as an attribute. Standard library only:
messages and the add-on know `Option` too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .errors import Invalid
from .texts import shortened

Value = bool | int | float | str
T = TypeVar("T")

_KINDS = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "choice": (str, "a word"),
}
"""What a value of each kind is, and what it is called."""


@dataclass(frozen=True)
class Option:
    """How one setting is shown. `default` is the value where neither preset nor user says otherwise.

    `group`: what it says more about: what of the picture is meant ("subject"), the picture, how fine the mesh becomes,
    how it is placed, how it is guessed ("sampling"), which guess it is ("seed"). `zero`: the word for what is taken
    where it is 0, "" where 0 is a number like others; `usual` is then where who wants another value starts from.
    """

    name: str
    label: str
    kind: Literal["bool", "int", "float", "choice"]
    default: Value
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: Literal["", "metres", "degrees", "pixels", "faces"] = ""
    group: Literal["subject", "picture", "detail", "placement", "sampling", "seed"] = "detail"
    zero: str = ""
    usual: float = 0.0


def option(
    default: Value,
    label: str,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    group: str = "detail",
    zero: str = "",
    usual: float = 0.0,
) -> Any:
    """A field of an options dataclass; its name is the option's, its kind that of the default."""
    kind = "choice" if choices else type(default).__name__
    shown = {"label": label, "kind": kind, "help": help, "minimum": minimum, "maximum": maximum}
    shown |= {"choices": choices, "unit": unit, "group": group, "zero": zero, "usual": usual}
    return dataclasses.field(default=default, metadata=shown)


def described(kind: type) -> tuple[Option, ...]:
    """The options of a dataclass whose fields `option` made."""
    return tuple(Option(name=each.name, default=each.default, **each.metadata) for each in dataclasses.fields(kind))


def resolved(options: tuple[Option, ...], preset: Mapping[str, Value], chosen: Mapping[str, Value]) -> dict[str, Value]:
    """A value for each option: its default, unless the preset, unless the user says otherwise. Raises Invalid."""
    names = [each.name for each in options]
    for name in chosen:
        if name not in names:
            raise Invalid(f"there is no option {shortened(name)!r} here: choose one of {', '.join(names)}")
    return {each.name: checked(each, {each.name: each.default, **preset, **chosen}[each.name]) for each in options}


def checked(option: Option, value: Value) -> Value:
    """The value as the option's kind. Raises Invalid where it is of another, or beyond the limits."""
    kind, said = _KINDS[option.kind]
    if not isinstance(value, kind) or (option.kind != "bool" and isinstance(value, bool)):
        raise Invalid(f"{option.name} must be {said}, not {value!r}")
    if option.kind == "choice" and value not in option.choices:
        raise Invalid(f"{option.name} must be one of {', '.join(option.choices)}, not {value!r}")
    low, high = option.minimum, option.maximum
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise Invalid(f"{option.name} must {_limits(low, high)}, not {value:g}")
    return float(value) if option.kind == "float" else value


def _limits(low: float | None, high: float | None) -> str:
    if high is None:
        return f"be at least {low:g}"
    return f"be at most {high:g}" if low is None else f"lie between {low:g} and {high:g}"


def parsed(text: str) -> Value:
    """The value that a text stands for: numbers, true and false as such, all else as it stands."""
    if text in ("true", "false"):
        return text == "true"
    if not text.strip("+-.0123456789eE"):  # neither nan nor 1_000
        for kind in (int, float):
            with suppress(ValueError):
                return kind(text)
    return text


def build(kind: type[T], values: Mapping[str, Value]) -> T:
    """The dataclass of the values that belong to it."""
    return kind(**{each.name: values[each.name] for each in dataclasses.fields(kind)})
