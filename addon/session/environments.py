# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments: which one is needed and in what state it is, checks of them in the background, and one
order of the user's at a time. Must not know bpy, the worker, or how packages are installed.

Looking is cheap (a marker file) and is done whenever something may have changed. A check is a gentle process of its
own: once for each environment after the session's beginning, after each order, and when somebody wants one. `tick`
drives all of it and never waits; when it tells that something is over, it is time to look again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from . import check as checks
from . import launch
from .check import CheckResult, Entry
from .launch import CORE, Interpreter, Settings, Standing
from .process import CannotStart
from .states import CHECK_AFTER, CHECK_LIMIT, QUIET_LIMIT, Problem, Shown
from .tasks import UNFINISHED, Check, Ended, EnvironmentTask, Order


class Report(Enum):
    """Whether somebody waits for a report; `DUE` says that it can be written now."""

    NOT_WANTED = "not wanted"
    WANTED = "wanted"
    DUE = "due"
    COPIED = "copied"


@dataclass(frozen=True)
class Over:
    """An order or a check is over. Its end is told by `problem` and `done`, or `last_check` and `check_error`.

    `suspect_works`: whether the environment that was suspected turned out to work, None where none was tried.
    """

    suspect_works: bool | None = None


class Environments:
    """See the module. `settings` is asked for the settings of the moment whenever something begins."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float]) -> None:
        self.needed = CORE
        self.names: tuple[str, ...] = (CORE,)
        self.interpreter = Interpreter(None, "not looked for yet")
        self.last_check: CheckResult | None = None
        self.check_error = ""
        self.order: Order | None = None
        self.shown = Shown(0.0, "")
        self.problem: Problem | None = None
        self.failed: Order | None = None
        self.done: Order | None = None
        self.report = Report.NOT_WANTED
        self._settings, self._clock = settings, clock
        self._carrying_out: EnvironmentTask | None = None
        self._checking: EnvironmentTask | None = None
        self._wanted: Check | None = None
        self._examined: set[tuple[Path, str]] = set()
        self._suspected = ""
        self._unwanted: Check | None = None
        self._cancelled = False
        self._moved: Path | None = None
        self._not_before = clock() + CHECK_AFTER
        self._heard_at = self._check_began_at = clock()

    # ---- what is there

    def entry(self, name: str) -> Entry | None:
        """What the last check tells of that environment, None where it was not looked at."""
        return self.last_check.entry(name) if self.last_check else None

    def standing(self, name: str) -> Standing | None:
        """The state of an environment as far as it is known without looking."""
        if name == self.needed and self.interpreter.standing:
            return self.interpreter.standing
        entry = self.entry(name)
        return entry.standing if entry else None

    @property
    def checking(self) -> bool:
        """A check is going on or about to."""
        return self._checking is not None or self._wanted is not None

    def look(self) -> None:
        """Looks at the environment that is needed; has those checked that were not yet since the beginning."""
        settings = self._settings()
        self.interpreter = launch.find(settings, self.needed)
        if settings.python is None:
            keys = {name: (settings.root, name) for name in (self.needed, *self.names)}
            if new := tuple(name for name, key in keys.items() if key not in self._examined):
                self._examined.update(keys.values())
                self.want(Check(new))

    def want(self, check: Check) -> None:
        """Has that looked at as soon as nothing else goes on."""
        before = self._wanted or Check(())
        names = dict.fromkeys([*before.names, *check.names])
        self._wanted = Check(tuple(names), before.deep or check.deep)

    def suspect(self, name: str) -> None:
        """Has the environment tried in which a worker did not start: it may be what is wrong."""
        if self._settings().python is None:
            self._suspected = name
            self.want(Check((name,), deep=True))

    def stop_check(self) -> None:
        """Gives up on the check that goes on or is about to."""
        self._wanted = None
        if self._checking:
            self._unwanted = self._checking.task
            self._checking.kill()

    def ask_for_report(self) -> None:
        """`report` becomes DUE at once, or when a check has told what is to be reported."""
        if self.last_check and not self.checking:
            self.report = Report.DUE
            return
        self.report = Report.WANTED
        if not self.checking:
            self.want(Check(self.names))

    # ---- orders

    def begin(self, order: Order) -> bool:
        """Starts to carry out an order; False, with the reason in `problem`, if it could not be started."""
        self.problem = self.failed = self.done = None
        self.stop_check()
        self.shown = Shown(0.0, order.doing)
        self._cancelled, self._heard_at = False, self._clock()
        try:
            self._carrying_out = EnvironmentTask(self._settings(), order, self._clock)
        except CannotStart as error:
            self.problem, self.failed = Problem(str(error)), order
            return False
        self.order = order
        return True

    def stop(self) -> None:
        """Asks the order that is carried out to end."""
        self._cancelled = True
        if self._carrying_out:
            self._carrying_out.terminate()

    def kill(self) -> None:
        """Ends the order that is carried out, and all that it started, at once."""
        if self._carrying_out:
            self._carrying_out.kill()

    def leave_behind(self) -> None:
        """Forgets an order whose process cannot be ended."""
        self._carrying_out = self.order = None

    def take_moved(self) -> Path | None:
        """Once after everything was moved: where to."""
        moved, self._moved = self._moved, None
        return moved

    def dismiss(self) -> None:
        """The user has read how the last order went."""
        self.problem = self.failed = self.done = None

    def close(self) -> None:
        """Ends everything; waits for a moment only."""
        running = [task for task in (self._carrying_out, self._checking) if task]
        for task in running:
            task.terminate()
        for task in running:
            task.close()
        self._carrying_out = self._checking = self._wanted = self.order = None

    # ---- what the timer does

    def tick(self, quiet: bool) -> list[Over]:
        """Drains what came, watches the clock, and begins a check that is due; one that nobody waits for only while
        it is `quiet`. Returns what is over."""
        over = [*self._hear_order(), *self._hear_check()]
        if self._wanted and not self._carrying_out and not self._checking:
            asked_for = self._wanted.deep or self.report is Report.WANTED
            if asked_for or (quiet and self._clock() >= self._not_before):
                over += self._begin_check()
        return over

    def _hear_order(self) -> list[Over]:
        if not self._carrying_out:
            return []
        for event in self._carrying_out.events():
            self._heard_at = self._clock()
            match event:
                case Shown():
                    self.shown = event
                case Ended(error, log):
                    return [self._end_order(error, log)]
        if self._clock() > self._heard_at + QUIET_LIMIT:
            self._carrying_out.kill()
        return []

    def _end_order(self, error: str | None, log: str) -> Over:
        order, self.order, self._carrying_out = self.order, None, None
        if error is None:
            self.done, self._moved = order, order.folder
        elif not self._cancelled:
            self.problem, self.failed = Problem(error, log=log), order
        self.want(Check(self.names))
        self._not_before = self._clock()
        return Over()

    def _begin_check(self) -> list[Over]:
        check, self._wanted = self._wanted, None
        self.check_error = ""
        try:
            self._checking = EnvironmentTask(self._settings(), check, self._clock)
            self._check_began_at = self._clock()
        except CannotStart as error:
            return self._end_check(check, str(error))
        return []

    def _hear_check(self) -> list[Over]:
        if not self._checking:
            return []
        for event in self._checking.events():
            match event:
                case Ended(error, _, data):
                    check, self._checking = self._checking.task, None
                    return self._end_check(check, self._read(data) if error is None else error)
        if self._clock() > self._check_began_at + CHECK_LIMIT:
            self._checking.kill()
        return []

    def _end_check(self, check: Check, error: str) -> list[Over]:
        self.check_error = "" if check is self._unwanted else error
        if self.report is Report.WANTED:
            self.report = Report.DUE
        if not (check.deep and self._suspected in check.names):
            return [Over()]
        name, self._suspected = self._suspected, ""
        return [Over(None if error else launch.find(self._settings(), name).standing is Standing.READY)]

    def _read(self, data: dict | None) -> str:
        """Keeps a check's result; returns what is wrong with it, "" if nothing is."""
        try:
            self.last_check = checks.read(data or {}).after(self.last_check)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"what the check said cannot be read ({error!r})"
        return "" if data else UNFINISHED
