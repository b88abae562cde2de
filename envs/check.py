# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an environment really works: its files are whole, its packages import and compute, the worker answers in it.

A check looks as deeply as asked and lets the state say what was found; it installs and repairs nothing. Trying takes
seconds, in processes of their own. Does not know what the worker says, but that it says something.
"""

import contextlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .contents import MANIFEST, inspect_files
from .errors import EnvironmentProblem
from .failures import classify, classify_exit
from .places import Places
from .running import process_environment, with_package, worker_command
from .specs import Spec, spec
from .states import Depth, State, Status, keep_verdict, marked, read_marker, status, withdraw_verdict

_SECONDS = 300.0  # the first import of everything, with a virus scanner reading along
_HELLO_SECONDS = 60.0  # the worker gives up after 20 by itself
_TORCH_DEVICES = {"rocm": "cuda"}  # torch's name for what runs on AMD's cards


@dataclass(frozen=True)
class Trial:
    """``versions``: of every package that is installed. ``device``: what torch computed on, empty without torch."""

    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""


@dataclass(frozen=True)
class CheckResult:
    """``status`` is the truth as far as ``depth`` goes; ``trial`` is empty unless it was tried."""

    status: Status
    depth: Depth
    trial: Trial = Trial()


def check(root: Path, name: str, depth: Depth = "deep", device: str = "auto") -> CheckResult:
    """Checks what claims to be ready. Keeps a verdict of what is wrong, withdraws it when it is good again.

    ``device``: auto is the one it was made for. Raises EnvironmentProblem only for a name we do not have: what is
    wrong with an environment is its state.
    """
    now = marked(root, name)
    if now.state is not State.READY or depth == "quick":
        return CheckResult(status(root, name), depth)
    verdict = Places(root).verdict(name)
    try:
        trial = _examine(root, now, depth, device)
    except EnvironmentProblem as problem:
        if marked(root, name) != now:  # another process has replaced or removed it under our hands
            return CheckResult(status(root, name), depth)
        with contextlib.suppress(OSError):  # a disk that is read-only or full: say it, though it cannot be kept
            keep_verdict(verdict, now.folder, str(problem), depth)
        return CheckResult(Status(name, State.BROKEN, str(problem), folder=now.folder), depth)
    with contextlib.suppress(OSError):
        withdraw_verdict(verdict, depth)
    return CheckResult(status(root, name), depth, trial)


def _examine(root: Path, now: Status, depth: Depth, device: str) -> Trial:
    """Raises EnvironmentProblem for anything that is wrong with what the marker calls ready."""
    marker = read_marker(Places(root).marker(now.name))
    if marker.version > 1 and not (now.folder / MANIFEST).exists():
        raise EnvironmentProblem(f"{now.folder / MANIFEST} of {now.name} is gone: repair it")
    if depth == "files":
        _require_whole(now.name, now.folder)
        return Trial()
    return verify(now.python, spec(now.name), root, marker.device or "auto" if device == "auto" else device)


def verify(python: Path, wanted: Spec, root: Path, device: str = "auto") -> Trial:
    """Tries the environment of ``python`` in fresh processes; raises EnvironmentProblem saying what does not work.

    ``device``: cuda, rocm, mps or cpu, which torch must compute on; auto is the best that torch itself finds.
    """
    _require_whole(wanted.name, python.parent.parent)
    script = Path(__file__).resolve().with_name("inside.py")
    tensor = [f"--tensor={_TORCH_DEVICES.get(device, device)}"] if wanted.torch else []
    variables = process_environment(root, wanted.name)
    command = [str(python), "-P", str(script), *tensor, *wanted.imports]
    trial = _trial(_ask(command, variables, _SECONDS, wanted.name), wanted.name)
    if wanted.worker:
        _greet(python, variables, wanted.name)
    return trial


def _require_whole(name: str, folder: Path) -> None:
    damaged = inspect_files(folder)
    if damaged:
        first = f"({damaged[0].path} is {damaged[0].why})"
        count = "an installed file" if len(damaged) == 1 else f"{len(damaged)} installed files"
        raise EnvironmentProblem(f"{count} of {name} {'is' if len(damaged) == 1 else 'are'} damaged {first}: repair it")


def _ask(command: list[str], variables: dict[str, str], limit: float, name: str) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` in the environment ``name`` for at most ``limit`` seconds."""
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8", "errors": "replace"}
    try:
        return subprocess.run(command, env=variables, timeout=limit, **how)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(f"{name} did not answer within {limit:.0f} s: repair it") from error
    except OSError as error:
        raise EnvironmentProblem(f"{command[0]} cannot be started ({error.strerror}): repair {name}") from error


def _trial(answer: subprocess.CompletedProcess[str], name: str) -> Trial:
    """What inside.py found."""
    try:
        found = json.loads(answer.stdout.splitlines()[-1])
        failed, trial = found["failed"], Trial(found["versions"], found.get("device", ""))
    except (ValueError, RecursionError, IndexError, KeyError, TypeError) as error:
        raise _problem(f"{name} does not run", answer.stderr, answer.returncode) from error
    for module, why in failed.items():
        raise _problem(f"{module} does not work in {name}", why)
    return trial


def _greet(python: Path, variables: dict[str, str], name: str) -> None:
    """Lets the worker say hello, which takes the same way as the add-on's first request."""
    answer = _ask(worker_command(python, ["hello"]), with_package(variables), _HELLO_SECONDS, name)
    try:
        hello = answer.returncode == 0 and json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, RecursionError, IndexError):
        hello = None
    if not hello:
        raise _problem(f"the worker does not start in {name}", answer.stderr, answer.returncode)


def _problem(what: str, output: str, code: int = 0) -> EnvironmentProblem:
    """``what`` is wrong, why, and what to do: repairing helps, unless it is known that something else does."""
    failure = classify_exit(code) or classify(output, fetches=False)
    last = (output.strip().splitlines() or [f"exit code {code}"])[-1]
    return EnvironmentProblem(f"{what} ({last}): {failure.advice or 'repair it'}", failure.kind)
