# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses from JSON that somebody else wrote, and the errors that both sides tell each other. Must not know which
messages there are."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from enum import IntEnum
from typing import Any, Literal, TypeVar

from ..core.texts import shortened

LARGEST = 1 << 63
"""Whole numbers are smaller, with either sign."""

T = TypeVar("T")


class ErrorCode(IntEnum):
    """Codes of error answers: JSON-RPC's own, LSP's -328xx, and ours from -32000 to -32099."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    CANCELLED = -32800
    FAILED = -32803  # could not be done; the message is for the user
    WORKER_EXITED = -32000  # made by the client; data.log is the end of the worker's stderr
    VERSION_MISMATCH = -32010
    METHOD_UNAVAILABLE = -32011
    WEIGHTS_MISSING = -32012  # data: network, bytes, licence
    OUT_OF_MEMORY = -32013  # data: needed, free (bytes, where known)
    UNSURE = -32014  # data: option (of kind bool: where it is set, the same goes on)


class WireError(Exception):
    """An error on its way to the other side. `message` is one sentence for the user; `data` is JSON."""

    def __init__(self, code: ErrorCode, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data or {}


def read(kind: type[T], data: Any, where: str = "params") -> T:
    """Builds the dataclass `kind` from plain JSON. Unknown keys, missing keys and wrong types raise INVALID_PARAMS."""
    if not isinstance(data, dict):
        raise _invalid(where, f"must be an object, not {_json_name(data)}")
    hints = _hints(kind)
    if unknown := sorted(set(data) - set(hints)):
        raise _invalid(where, f"has no key {shortened(unknown[0])!r}")
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    if missing := sorted(required - set(data)):
        raise _invalid(where, f"lacks the key {missing[0]!r}")
    return kind(**{key: _read_value(hints[key], value, f"{where}.{key}") for key, value in data.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)  # compiles each annotation: a millisecond, which Blender's main thread misses


def _read_value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    _check_size(value, where)
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, where)
    if origin is Literal:
        if type(value) is not str or value not in arguments:
            raise _invalid(where, f"must be one of {', '.join(map(str, arguments))}, not {_shown(value)}")
        return value
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _invalid(where, f"must be an object, not {_json_name(value)}")
        return {key: _read_value(arguments[1], item, f"{where}.{shortened(key)}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise _invalid(where, f"must be {_NAMES.get(hint, hint)}, not {_json_name(value)}")
    return value


def _read_union(alternatives: tuple[Any, ...], value: Any, where: str) -> Any:
    if type(value) in alternatives:
        return value
    for alternative in alternatives:
        try:
            return _read_value(alternative, value, where)
        except WireError as error:
            problem = error
    raise problem


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _invalid(where, f"must be a list, not {_json_name(value)}")
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise _invalid(where, f"must have {len(arguments)} items, not {len(value)}")
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
    return tuple(_read_value(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value)))


def _check_size(value: Any, where: str) -> None:
    if type(value) is int and not -LARGEST < value < LARGEST:
        raise _invalid(where, "must be a number of at most 64 bits")
    if type(value) is float and not math.isfinite(value):
        raise _invalid(where, "must be a finite number")


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def _json_name(value: Any) -> str:
    return _NAMES.get(type(value), "a list" if isinstance(value, list) else "an object")


def _shown(value: Any) -> str:
    return repr(shortened(value)) if type(value) is str else _json_name(value)


def _invalid(where: str, problem: str) -> WireError:
    return WireError(ErrorCode.INVALID_PARAMS, f"{where} {problem}")
