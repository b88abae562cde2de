# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is asked in the background, and its answer for as long as the question stays the same: which network
is taken for what is chosen in the panel, and how long that takes. Must not know bpy, nor who asks the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .states import SELECT_AFTER

Q = TypeVar("Q")
A = TypeVar("A")


class Question(Generic[Q, A]):
    """One request's params and its result. `answer` is None while there is none; `problem` then says why, once that is
    known.

    `method`: the request's name. `request` is the id under which the worker has been asked, None while it has not.
    """

    def __init__(self, method: str, clock: Callable[[], float]) -> None:
        self.method, self._clock = method, clock
        self._pose(None)

    @property
    def due(self) -> bool:
        """It is time to ask the worker."""
        return self.open and self.request is None and self._clock() >= self._since + SELECT_AFTER

    @property
    def open(self) -> bool:
        """There is a question without an answer."""
        return bool(self.question) and not self.answer and not self.problem

    def ask(self, question: Q | None) -> None:
        """Poses a question, None for none. One that is posed already keeps its answer."""
        if question != self.question:
            self._pose(question)

    def forget(self) -> None:
        """The answer may be another by now."""
        self._pose(self.question)

    def end(self, request: int, answer: A | None, problem: str = "") -> None:
        """The worker has answered a request, or failed to; without a `problem` it may be asked again."""
        if request == self.request:
            self.request, self.answer, self.problem = None, answer, problem

    def _pose(self, question: Q | None) -> None:
        self.question = question
        self.answer: A | None = None
        self.problem = ""
        self.request: int | None = None
        self._since = self._clock()
