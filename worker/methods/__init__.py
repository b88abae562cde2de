# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of methods: each turns pictures into a learned 3D representation. Must not know JSON or meshes.

To add one, write a folder whose `METHODS` lists what it offers (see method.py), here or anywhere on Python's path, and
add its line to TABLE. A method's folder is imported when methods are listed and imports numpy and torch on use, so that
describing what is offered takes milliseconds.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ..core.errors import Invalid, MethodUnavailable
from ..core.texts import shortened
from . import repaint
from .method import Method, Network

TABLE = (
    ".depth",
    ".layers",
    ".triposr",
    ".multiview_fit",
    ".hybrid",
    ".triposg",
    ".shap_e",
    ".views",
)
"""Modules, of this package where they begin with a dot. Of several methods that fit, the first that is listed is taken
by itself."""

CATEGORIES = ("Depth", "NeRF", "Diffusion", "Hybrid")
"""In the order in which they are shown; others follow."""


@cache
def all_methods() -> tuple[Method, ...]:
    """Every method, by category and then in the table's order."""
    methods = [method for line in TABLE for method in import_module(line, __package__).METHODS]
    order = [*CATEGORIES, *(method.category for method in methods)]
    return tuple(sorted(methods, key=lambda method: order.index(method.category)))


def with_network(name: str) -> tuple[Method, Network]:
    """The method that has the network of that name, whatever case it is written in, and the network. Raises
    MethodUnavailable."""
    known = [(method, network) for method in all_methods() for network in method.networks]
    for method, network in known:
        if network.name.lower() == name.lower():
            return method, network
    names = ", ".join(network.name for _, network in known)
    raise MethodUnavailable(f"there is no network {shortened(name)!r}: choose one of {names}")


def network_named(name: str) -> Network:
    """A method's network, or one that repaints (`repaint`), of that name. Raises MethodUnavailable."""
    return next((each for each in repaint.NETWORKS if each.name == name.lower()), None) or with_network(name)[1]


def under(method: Method) -> list[Method]:
    """The methods that a method is a list of steps over."""
    return [each for each in all_methods() if each.name in method.over]


def of_category(name: str) -> list[Method]:
    """The methods of a category, whatever case it is written in. Raises Invalid."""
    found = [method for method in all_methods() if method.category.lower() == name.lower()]
    if not found:
        names = dict.fromkeys(method.category.lower() for method in all_methods())
        raise Invalid(f"there is no model {shortened(name)!r}: choose one of {', '.join(names)}")
    return found
