# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of an object in the scene: to be made again, or others like it. Begins one after the other, and knows
beside which object each result belongs. Keeps names of objects and no objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...worker.wire.protocol import GenerateResult
from ..session import provenance
from ..session.jobs import Recipe
from ..session.session import Session
from ..session.states import Problem


@dataclass(frozen=True)
class Wish:
    """A recipe, and the name of the object that its result is to stand beside."""

    recipe: Recipe
    beside: str


_waiting: list[Wish] = []
_begun: list[Wish] = []


def add(recipes: list[Recipe], beside: str) -> None:
    """Wants these made, in this order."""
    _waiting.extend(Wish(recipe, beside) for recipe in recipes)


def waiting() -> int:
    """How many have not begun."""
    return len(_waiting)


def clear() -> None:
    """Wants nothing more."""
    _waiting.clear()
    _begun.clear()


def go_on(session: Session) -> None:
    """Begins the next one if nothing is going on. After a failure the rest is not tried."""
    if not _waiting or not session.can_begin or session.results.waiting:
        return
    if session.problem and _begun:
        clear()
        return
    wish = _waiting.pop(0)
    try:
        session.generate(wish.recipe)
    except KeyError:
        session.problem = Problem("the network that made it is not offered any more")
    else:
        _begun.append(wish)


def beside(result: GenerateResult) -> str:
    """The name of the object beside which the result belongs, "" for none. To be asked once of each result."""
    for wish in _begun if result.provenance else ():
        if provenance.is_of(result.provenance, wish.recipe):
            _begun.remove(wish)
            return wish.beside
    return ""
