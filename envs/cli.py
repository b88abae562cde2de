# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m envs``: makes environments, looks after them, runs the worker and the tests in them."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from . import installer, report
from .errors import EnvironmentProblem
from .installer import WAIT, How
from .places import HOME_VARIABLE, default_root, package_root
from .progress import JsonLines, Report, Terminal
from .relocate import move
from .running import process_environment, run, with_package, worker_command
from .specs import BLENDERS
from .states import Depth, State, Status, status

_DOING = {"create": "setting up", "repair": "repairing", "move": "moving", "remove": "removing"}
_DEVICES = ("auto", "cuda", "rocm", "mps", "cpu")
_DEVICE = "what torch is to compute on (auto: the best there is)"
WORKER_VARIABLE = "IMAGE_TO_3D_WORKER"
"""Names the Python whose worker the tests of the add-on start."""

CANCELLED = 130  # the shell's own code for a command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 1 a problem (on stderr), 2 wrong usage, 130 cancelled."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m envs", description="The environments of Image to 3D.")
    commands = parser.add_subparsers(required=True, metavar="ACTION", dest="verb")
    shared = argparse.ArgumentParser(add_help=False)
    where = f"folder for environments and caches (default: {HOME_VARIABLE} or %(default)s)"
    shared.add_argument("--root", type=Path, default=default_root(), help=where)
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", choices=_DEVICES, default="auto", help=_DEVICE)

    def add(verb: str, action: Callable[..., int], text: str, *parents: argparse.ArgumentParser):
        command = commands.add_parser(verb, help=text, description=text, parents=[shared, *parents])
        command.set_defaults(action=action)
        return command

    _add_run(add("run", _run, "make the environment if need be, then run something in it"))
    _add_tasks(add, device)
    check = add("check", _check, "say in which state environments are", device)
    check.add_argument("names", nargs="*", metavar="name")
    check.add_argument("--json", action="store_true", help="one JSON object on stdout")
    depth = check.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="only read the markers")
    depth.add_argument("--files", action="store_true", help="look whether the files are there, but try nothing out")
    text = add("report", _report, "write a text for a bug report, with nothing private in it")
    text.add_argument("names", nargs="*", metavar="name")
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    names = "the environment for the worker's commands: core; nerf has nerfstudio's engines, farm has Ray"
    command.add_argument("--name", default="core", choices=("core", "nerf", "farm"), help=names)
    ready = "say so where the environment is not ready, and make none"
    command.add_argument("--only-ready", action="store_true", help=ready)
    commands = "the worker's generate, models, doctor, serve; test; test-blender [--bpy VERSION]"
    command.add_argument("command", help=commands)
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="handed on as they are")


def _add_tasks(add: Callable[..., argparse.ArgumentParser], device: argparse.ArgumentParser) -> None:
    """What changes an environment, takes its time, and shows its progress."""
    progress = argparse.ArgumentParser(add_help=False)
    progress.add_argument("--json", action="store_true", help="progress as JSON lines on stdout")
    waits = "how long to wait for another installation to end"
    progress.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help=waits)
    wheels = argparse.ArgumentParser(add_help=False)
    offline = "take all from this folder of wheels, offline"
    wheels.add_argument("--wheelhouse", type=Path, metavar="FOLDER", help=offline)
    create = add("create", _do, "make an environment (nothing is done if it is ready)", wheels, device, progress)
    create.add_argument("name", nargs="?", default="core")
    create.add_argument("--anew", action="store_true", help="even if it is ready")
    anew = "look at every byte of an environment, and make it anew if anything is wrong"
    add("repair", _do, anew, wheels, device, progress).add_argument("name", nargs="?", default="core")
    elsewhere = add("move", _do, "move environments, weights, results and caches to another folder", progress)
    empty = "an empty folder, or one that is not there yet"
    elsewhere.add_argument("new_root", type=Path, metavar="NEW_ROOT", help=empty)
    elsewhere.set_defaults(name="core")
    add("remove", _do, "remove an environment", progress).add_argument("name")


def _how(options: argparse.Namespace) -> How:
    wheelhouse = _absolute(options.wheelhouse) if options.wheelhouse else None
    return How(wheelhouse, options.device, options.wait)


_TASKS: dict[str, Callable[[argparse.Namespace, Report], Status]] = {
    "create": lambda options, report: installer.create(options.root, options.name, report, _how(options), options.anew),
    "repair": lambda options, report: installer.repair(options.root, options.name, report, _how(options)),
    "move": lambda options, report: move(options.root, _absolute(options.new_root), report, options.wait),
    "remove": lambda options, report: installer.remove(options.root, options.name, report, options.wait),
}


def _do(options: argparse.Namespace) -> int:
    """Does what was asked for; says how far it is and how it ended in JSON lines on stdout, or in lines on stderr."""
    task = _TASKS[options.verb]
    if not options.json:
        task(options, Terminal(sys.stderr))
        return 0
    lines = JsonLines(sys.stdout)
    try:
        ended = task(options, lines)
    except EnvironmentProblem as problem:
        state = status(options.root, options.name).state.value
        lines.write({"state": state, "error": str(problem), "kind": problem.kind})
        return 1
    except KeyboardInterrupt:
        state = status(options.root, options.name).state.value
        lines.write({"state": state, "error": f"{_DOING[options.verb]} was cancelled"})
        return CANCELLED
    also = {"root": str(_absolute(options.new_root))} if options.verb == "move" else {}
    lines.write({"state": ended.state.value, "python": str(ended.python) if ended.python else None, **also})
    return 0


def _check(options: argparse.Namespace) -> int:
    """Says what is there, as far as the depth that was asked for goes."""
    depth: Depth = "quick" if options.quick else "files" if options.files else "deep"
    if depth == "files" and hasattr(os, "nice"):
        os.nice(10)  # the add-on asks for it while the user works
    gathered = report.gather(options.root, options.names or ["core"], depth, options.device)
    found = gathered["environments"]
    wrong = [each["name"] for each in found if each["state"] != State.READY.value]
    if options.json:
        sys.stdout.write(json.dumps(gathered) + "\n")
    else:
        sys.stdout.writelines(f"{each['name']}: {each['state']} ({each['reason']})\n" for each in found)
        sys.stdout.writelines(f"to set it right: python3 -m envs repair {name}\n" for name in wrong)
    return 1 if wrong else 0


def _report(options: argparse.Namespace) -> int:
    sys.stdout.write(report.gather(options.root, options.names or ["core", "nerf"], "deep")["text"])
    return 0


def _run(options: argparse.Namespace) -> int:
    if options.command == "test":
        return _run_pytest(options.root, "test", options.arguments)
    if options.command == "test-blender":
        blender = argparse.ArgumentParser(prog="python3 -m envs run test-blender", add_help=False)
        blender.add_argument("--bpy", choices=sorted(BLENDERS), default="4.5", help="which Blender")
        chosen, rest = blender.parse_known_args(options.arguments)
        os.environ.setdefault(WORKER_VARIABLE, str(_make_ready(options.root, "core")))
        return _run_pytest(options.root, f"blender-{chosen.bpy}", rest or ["tests/blender"])
    make = _found_ready if options.only_ready else _make_ready
    command = worker_command(make(options.root, options.name), [options.command, *options.arguments])
    return run(command, with_package(process_environment(options.root, options.name)))


def _run_pytest(root: Path, name: str, arguments: list[str]) -> int:
    python = _make_ready(root, name)
    command = [str(python), "-m", "pytest", "-o", f"cache_dir={root / 'cache' / 'pytest'}", *arguments]
    variables = {**process_environment(root, name), "RUFF_CACHE_DIR": str(root / "cache" / "ruff")}
    return run(command, variables, package_root())


def _make_ready(root: Path, name: str) -> Path:
    """The interpreter of ``name``, made first if need be."""
    now = status(root, name)
    return now.python or installer.create(root, name, Terminal(sys.stderr)).python


def _found_ready(root: Path, name: str) -> Path:
    """The interpreter of ``name``. Raises EnvironmentProblem where it is not ready."""
    now = status(root, name)
    if now.python is None:
        raise EnvironmentProblem(f"{now.reason}: python3 -m envs create {name}")
    return now.python


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))
