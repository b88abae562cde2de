# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender on a virtual screen, driven by mouse and keyboard. What it shows is asked of probe.py inside it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PROBE = Path(__file__).with_name("probe.py")
SCREEN = tuple(int(side) for side in os.environ.get("IMAGE_TO_3D_SCREEN", "1280x800").split("x"))
TALL = 900, 1900
"""A window in which all of a panel of double size is to be seen."""

ROOM = max(SCREEN[0], TALL[0]), max(SCREEN[1], TALL[1])
"""The virtual screen."""

START_PATIENCE = 120.0  # software rendering on a busy machine
PATIENCE = 30.0
STEP = 7  # pixels between two looks for a button: less than half of one


class Blender:
    """One running Blender, with a window of that size. `blender` is the command, `folder` is for what it writes."""

    def __init__(
        self, blender: str, folder: Path, display: str, variables: dict[str, str], size: tuple[int, int] = SCREEN
    ) -> None:
        self._folder, self._display, self._asked, self._size = folder, display, 0, size
        geometry = ["--window-geometry", "0", "0", *map(str, size)]
        command = [*shlex.split(blender), *geometry, "--python", str(PROBE), "--", str(folder)]
        self.log = folder / "blender.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **variables, "DISPLAY": display},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.ask("1", START_PATIENCE)
        self.raise_window("Blender", 0, 0)

    # ---- seeing

    def ask(self, expression: str, patience: float = PATIENCE) -> Any:
        """The value of an expression in probe.py."""
        answer = self._folder / f"answer-{self._asked}.json"
        part = self._folder / "question.part"
        part.write_text(expression)
        os.replace(part, self._folder / f"question-{self._asked}.txt")
        self._asked += 1
        end = time.monotonic() + patience
        while not answer.exists():
            assert self._process.poll() is None, f"Blender has ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"no answer to {expression}: {self.log.read_text()[-2000:]}"
            time.sleep(0.01)
        found = json.loads(answer.read_text())
        assert "error" not in found, f"{expression}: {found['error']}"
        return found["answer"]

    def until(self, expression: str, wanted: Callable[[Any], bool] = bool, patience: float = PATIENCE) -> Any:
        """Waits until the expression's value is as wanted; returns it."""
        end = time.monotonic() + patience
        while not wanted(value := self.ask(expression)):
            assert time.monotonic() < end, f"{expression} stays {value}"
            time.sleep(0.02)
        return value

    def region(self, area: str, kind: str) -> dict[str, Any]:
        """The largest region of that kind."""
        found = [each for each in self.ask("regions()") if (each["area"], each["region"]) == (area, kind)]
        assert found, f"there is no {kind} of {area} on the screen"
        return max(found, key=lambda each: each["width"] * each["height"])

    def find(
        self, what: str, area: str = "VIEW_3D", kind: str = "UI", columns: tuple[float, ...] = (0.5,), below: int = 0
    ) -> tuple[int, int]:
        """Moves the mouse down a region, in each of `columns` (0 left, 1 right) and from `below` on, until it is over
        the button of the operator or property `what`; returns where the button's middle is."""
        place, question = self.region(area, kind), f"hovered({area!r}, {kind!r})"
        for column in columns:
            x, hits = int(place["left"] + column * place["width"]), []
            for y in range(max(place["top"] + 4, below), place["top"] + place["height"], STEP):
                self.move(x, y)
                if self.ask(question) == what:
                    hits.append(y)
                elif hits:
                    break
            middle = (hits[0] + hits[-1]) // 2 if hits else 0
            if hits and self._is_under(question, what, x, middle):
                return x, middle
        raise AssertionError(f"there is no button for {what}")

    def _is_under(self, question: str, what: str, x: int, y: int) -> bool:
        """Whether it still is when the mouse has come to rest: what is below a moving one may be told too late."""
        self.move(x, y)
        time.sleep(0.3)
        return self.ask(question) == what

    def screenshot(self, path: Path, settle: float = 1.0) -> None:
        """Takes a picture of the whole window once nothing has moved for a moment."""
        self._take("{}x{}+0+0".format(*self._size), path, settle)

    def picture_of(self, path: Path, area: str = "VIEW_3D", kind: str = "UI", settle: float = 1.0) -> None:
        """Takes a picture of one region."""
        self._take("{width}x{height}+{left}+{top}".format(**self.region(area, kind)), path, settle)

    def _take(self, crop: str, path: Path, settle: float) -> None:
        time.sleep(settle)
        take = ["import", "-display", self._display, "-window", "root", "-crop", crop, "+repage", str(path)]
        subprocess.run(take, check=True)

    # ---- doing

    def move(self, x: int, y: int) -> None:
        self._xdotool("mousemove", str(x), str(y))
        time.sleep(0.06)  # Blender reacts to where the mouse is when it next looks

    def click(self, position: tuple[int, int], times: int = 1) -> None:
        self.move(*position)
        self._xdotool("click", "--repeat", str(times), "--delay", "60", "1")
        time.sleep(0.15)

    def drag(self, begin: tuple[int, int], end: tuple[int, int], before: Callable[[], None] = lambda: None) -> None:
        """Presses at `begin` and lets go at `end`, in small steps as a hand does; `before` is called before that."""
        for near in (-6, -3, 0):
            self.move(begin[0] + near, begin[1] + near)
        time.sleep(0.5)
        self._xdotool("mousedown", "1")
        time.sleep(0.2)
        steps = 30
        for step in range(1, steps + 1):
            self.move(*(a + (b - a) * step // steps for a, b in zip(begin, end)))
        time.sleep(0.5)
        before()
        self._xdotool("mouseup", "1")
        time.sleep(0.5)

    def next_choice(self, wheel: str = "5") -> None:
        """Chooses the next entry of the menu of choices below the mouse, without opening it."""
        self._xdotool("keydown", "ctrl", "click", wheel, "keyup", "ctrl")
        time.sleep(0.15)

    def previous_choice(self) -> None:
        """Chooses the one before it."""
        self.next_choice("4")

    def turn_wheel(self, wheel: str, times: int) -> None:
        """Scrolls where the mouse is: "4" up, "5" down."""
        self._xdotool("click", "--repeat", str(times), "--delay", "60", wheel)
        time.sleep(0.5)

    def press_button(self) -> None:
        """A click where the mouse is."""
        self._xdotool("click", "1")

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "40", *keys)
        time.sleep(0.15)

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", "25", text)
        time.sleep(0.15)

    def close(self) -> None:
        """Ends Blender and the wrapper that started it; the worker ends by itself."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
                return

    def raise_window(self, title: str, left: int, top: int) -> None:
        """Does for a window what a window manager would do: a place on the screen and the keyboard."""
        window = self._xdotool("search", "--sync", "--onlyvisible", "--name", title).split()[-1]
        self._xdotool("windowmove", "--sync", window, str(left), str(top))
        self._xdotool("windowfocus", window)
        time.sleep(0.3)

    def put_away(self, title: str) -> None:
        """Moves a window off the screen and gives the keyboard back to the main one."""
        self.raise_window(title, *ROOM)
        self.raise_window("Blender", 0, 0)

    def _xdotool(self, *arguments: str) -> str:
        variables = {**os.environ, "DISPLAY": self._display}
        done = subprocess.run(
            ["xdotool", *arguments], check=True, env=variables, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout
