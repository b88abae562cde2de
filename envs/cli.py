# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m envs``: makes environments, looks after them, runs the worker and the tests in them."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from . import installer
from .errors import EnvironmentProblem
from .installer import How
from .options import parser
from .places import package_root
from .progress import JsonLines, Report, Terminal
from .relocate import move
from .running import process_environment, run, with_package, worker_command
from .specs import BLENDERS
from .states import Depth, State, Status, status
from .telling import report

_DOING = {"create": "setting up", "repair": "repairing", "move": "moving", "remove": "removing"}
CANCELLED = 130  # the shell's own code for a command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 1 a problem told on stderr, 2 wrong usage, 130 cancelled."""
    options = parser(_ACTIONS).parse_args(arguments)
    options.root = _absolute(options.root)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by the add-on: clean up as for Ctrl-C
    try:
        return options.action(options)
    except EnvironmentProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("cancelled\n")
        return CANCELLED


def _create(options: argparse.Namespace) -> int:
    return _told(options, lambda told: installer.create(options.root, options.name, told, _how(options), options.anew))


def _repair(options: argparse.Namespace) -> int:
    return _told(options, lambda told: installer.repair(options.root, options.name, told, _how(options)))


def _remove(options: argparse.Namespace) -> int:
    return _told(options, lambda told: installer.remove(options.root, options.name, told, options.wait))


def _move(options: argparse.Namespace) -> int:
    new_root = _absolute(options.new_root)
    return _told(options, lambda told: move(options.root, new_root, told, options.wait), {"root": str(new_root)})


def _how(options: argparse.Namespace) -> How:
    wheelhouse = _absolute(options.wheelhouse) if options.wheelhouse else None
    return How(wheelhouse, options.device, options.wait)


def _told(
    options: argparse.Namespace, work: Callable[[Report], Status], also: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Does ``work`` and says how far it is and how it ended: in JSON lines on stdout, or on a terminal's stderr.

    ``also``: what a program is told besides, when it went well.
    """
    if not options.json:
        _shown(work)
        return 0
    lines = JsonLines(sys.stdout)
    try:
        ended = work(lines)
    except EnvironmentProblem as problem:
        state = status(options.root, options.name).state.value
        lines.write({"state": state, "error": str(problem), "kind": problem.kind})
        return 1
    except KeyboardInterrupt:
        state = status(options.root, options.name).state.value
        lines.write({"state": state, "error": f"{_DOING[options.verb]} was cancelled"})
        return CANCELLED
    lines.write({"state": ended.state.value, "python": str(ended.python) if ended.python else None, **also})
    return 0


def _shown(work: Callable[[Report], Status]) -> Status:
    """Shows progress on stderr: stdout belongs to what is run."""
    terminal = Terminal(sys.stderr)
    try:
        return work(terminal)
    finally:
        terminal.done()


def _check(options: argparse.Namespace) -> int:
    """Says what is there, as far as the depth that was asked for goes."""
    depth: Depth = "quick" if options.quick else "files" if options.files else "deep"
    if depth == "files" and hasattr(os, "nice"):
        os.nice(10)  # the add-on asks for it while the user works
    gathered = report.gather(options.root, options.names or ["core"], depth, options.device)
    found = gathered["environments"]
    if options.json:
        sys.stdout.write(json.dumps(gathered) + "\n")
    else:
        sys.stdout.writelines(f"{each['name']}: {each['state']} ({each['reason']})\n" for each in found)
        sys.stdout.writelines(
            f"to set it right: python3 -m envs repair {each['name']}\n"
            for each in found
            if each["state"] != State.READY.value
        )
    return 0 if all(each["state"] == State.READY.value for each in found) else 1


def _report(options: argparse.Namespace) -> int:
    gathered = report.gather(options.root, options.names or ["core", "nerf"], "deep")
    sys.stdout.write(report.text(gathered))
    return 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "test":
        return _run_pytest(options, "test", options.arguments)
    if options.command == "test-blender":
        blender, rest = _blender_parser().parse_known_args(options.arguments)
        _make_ready(options.root, "core")  # the add-on that is tested starts a worker
        return _run_pytest(options, f"blender-{blender.bpy}", rest or ["tests/blender"])
    python = _make_ready(options.root, options.name)
    command = worker_command(python, [options.command, *options.arguments])
    return run(command, with_package(process_environment(options.root, options.name)))


def _run_pytest(options: argparse.Namespace, name: str, arguments: list[str]) -> int:
    python = _make_ready(options.root, name)
    cache = options.root / "cache" / "pytest"
    command = [str(python), "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    variables = {**process_environment(options.root, name), "RUFF_CACHE_DIR": str(options.root / "cache" / "ruff")}
    return run(command, variables, package_root())


def _make_ready(root: Path, name: str) -> Path:
    """The interpreter of ``name``, made first if need be."""
    now = status(root, name)
    if now.state is State.READY:
        return now.python
    return _shown(lambda told: installer.create(root, name, told)).python


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _blender_parser() -> argparse.ArgumentParser:
    blender = argparse.ArgumentParser(prog="python3 -m envs run test-blender", add_help=False)
    blender.add_argument("--bpy", choices=sorted(BLENDERS), default="4.5", help="which Blender")
    return blender


_ACTIONS = {
    "run": _run,
    "create": _create,
    "repair": _repair,
    "move": _move,
    "remove": _remove,
    "check": _check,
    "report": _report,
}
