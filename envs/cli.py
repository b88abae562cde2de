# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m envs``: makes environments, looks after them, runs the worker and the tests in them."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from . import installer, relock
from .errors import EnvironmentProblem
from .places import HOME_VARIABLE, default_root, package_root
from .progress import JsonLines, Terminal
from .running import process_environment, run, with_package, worker_command
from .specs import BLENDERS, spec
from .states import State, status
from .verify import verify

CANCELLED = 130  # the shell's own code for a command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 1 a problem told on stderr, 2 wrong usage, 130 cancelled."""
    options = _parser().parse_args(arguments)
    options.root = Path(os.path.abspath(options.root.expanduser()))
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
    if not options.json:
        _make_ready(options.root, options.name, options.wait, options.anew)
        return 0
    lines = JsonLines(sys.stdout)
    try:
        made = installer.create(options.root, options.name, lines, options.wait, options.anew)
    except EnvironmentProblem as problem:
        lines.write({"state": status(options.root, options.name).state.value, "error": str(problem)})
        return 1
    except KeyboardInterrupt:
        lines.write({"state": status(options.root, options.name).state.value, "error": "setting up was cancelled"})
        return CANCELLED
    lines.write({"state": made.state.value, "python": str(made.python)})
    return 0


def _check(options: argparse.Namespace) -> int:
    """Says what is there. Unless --quick, a ready environment is also tried, and one that fails is called broken."""
    found = []
    for name in options.names or ["core"]:
        now = status(options.root, name)
        state, reason = now.state, now.reason
        if state is State.READY and not options.quick:
            try:
                verify(now.python, spec(name), options.root)
            except EnvironmentProblem as problem:
                state, reason = State.BROKEN, str(problem)
        python = str(now.python) if now.python else None
        found.append({"name": name, "state": state.value, "reason": reason, "python": python})
    if options.json:
        sys.stdout.write(json.dumps({"root": str(options.root), "environments": found}) + "\n")
    else:
        sys.stdout.writelines(f"{each['name']}: {each['state']} ({each['reason']})\n" for each in found)
        sys.stdout.writelines(
            f"to set it up: python3 -m envs create {each['name']} --anew\n"
            for each in found
            if each["state"] != State.READY.value
        )
    return 0 if all(each["state"] == State.READY.value for each in found) else 1


def _remove(options: argparse.Namespace) -> int:
    installer.remove(options.root, options.name, options.wait)
    return 0


def _lock(options: argparse.Namespace) -> int:
    for path in relock.relock(options.root, options.platforms or relock.PLATFORMS, Terminal(sys.stderr)):
        sys.stdout.write(f"{path}\n")
    return 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "test":
        return _run_pytest(options, "test", options.arguments)
    if options.command == "test-blender":
        blender, rest = _blender_parser().parse_known_args(options.arguments)
        _make_ready(options.root, "core")  # the add-on that is tested starts a worker
        return _run_pytest(options, f"blender-{blender.bpy}", rest or ["tests/blender"])
    python = _make_ready(options.root, "core")
    command = worker_command(python, [options.command, *options.arguments])
    return run(command, with_package(process_environment(options.root)))


def _run_pytest(options: argparse.Namespace, name: str, arguments: list[str]) -> int:
    python = _make_ready(options.root, name)
    cache = options.root / "cache" / "pytest"
    command = [str(python), "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    variables = {**process_environment(options.root, name), "RUFF_CACHE_DIR": str(options.root / "cache" / "ruff")}
    return run(command, variables, package_root())


def _make_ready(root: Path, name: str, wait: float = installer.WAIT, anew: bool = False) -> Path:
    """The interpreter of ``name``, made first if need be. Shows progress on stderr: stdout belongs to what is run."""
    now = status(root, name)
    if now.state is State.READY and not anew:
        return now.python
    terminal = Terminal(sys.stderr)
    try:
        return installer.create(root, name, terminal, wait, anew).python
    finally:
        terminal.done()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m envs", description="The environments of Image to 3D.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    ran = _action(actions, "run", _run, "make the environment if need be, then run something in it")
    ran.add_argument("command", help="the worker's generate, models, doctor, serve; test; test-blender [--bpy VERSION]")
    ran.add_argument("arguments", nargs=argparse.REMAINDER, help="handed on as they are")
    made = _action(actions, "create", _create, "make an environment (nothing is done if it is ready)")
    made.add_argument("name", nargs="?", default="core")
    made.add_argument("--json", action="store_true", help="progress as JSON lines on stdout")
    made.add_argument("--anew", action="store_true", help="even if it is ready")
    checked = _action(actions, "check", _check, "say in which state environments are")
    checked.add_argument("names", nargs="*", metavar="name")
    checked.add_argument("--json", action="store_true")
    checked.add_argument("--quick", action="store_true", help="only read the marker, as the add-on does")
    removed = _action(actions, "remove", _remove, "remove an environment")
    removed.add_argument("name")
    for each in (made, removed):
        each.add_argument(
            "--wait",
            type=float,
            default=installer.WAIT,
            metavar="SECONDS",
            help="how long to wait for another installation to end",
        )
    locked = _action(actions, "lock", _lock, "write the locks anew from the specs (for developers)")
    locked.add_argument("platforms", nargs="*", metavar="platform")
    return parser


def _action(actions, name: str, action, text: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--root",
        type=Path,
        default=default_root(),
        help=f"folder for environments and caches (default: {HOME_VARIABLE} or %(default)s)",
    )
    parser.set_defaults(action=action)
    return parser


def _blender_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m envs run test-blender", add_help=False)
    parser.add_argument("--bpy", choices=sorted(BLENDERS), default="4.5", help="which Blender")
    return parser
