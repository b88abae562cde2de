# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an environment really works: its files are whole, its packages import and compute, the worker answers in it.

Takes seconds, in processes of their own. Does not know what the worker says, but that it says something.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .contents import Damage, inspect_files
from .errors import EnvironmentProblem
from .running import process_environment, with_package, worker_command
from .specs import Spec
from .telling.failures import recognise_exit, recognise_local

__all__ = ["Verdict", "inspect_files", "verify", "whole"]

_SECONDS = 300.0  # the first import of everything, with a virus scanner reading along
_HELLO_SECONDS = 60.0  # the worker gives up after 20 by itself
_TORCH_DEVICES = {"rocm": "cuda"}  # torch's name for what runs on AMD's cards


@dataclass(frozen=True)
class Verdict:
    """``versions``: of every package that is installed. ``device``: what torch computed on, empty without torch."""

    versions: dict[str, str]
    device: str = ""


def verify(python: Path, wanted: Spec, root: Path, device: str = "auto") -> Verdict:
    """Tries the environment of ``python`` in fresh processes; raises EnvironmentProblem saying what does not work.

    ``device``: cuda, rocm, mps or cpu, which torch must compute on; auto is the best that torch itself finds.
    """
    whole(wanted.name, inspect_files(python.parent.parent))
    script = Path(__file__).resolve().with_name("inside.py")
    tensor = [f"--tensor={_TORCH_DEVICES.get(device, device)}"] if wanted.torch else []
    variables = process_environment(root, wanted.name)
    answer = _ask([str(python), "-P", str(script), *tensor, *wanted.imports], variables, _SECONDS, wanted.name)
    verdict = _judged(answer, wanted.name)
    if wanted.worker:
        _greet(python, variables, wanted.name)
    return verdict


def whole(name: str, damaged: list[Damage]) -> None:
    """Raises EnvironmentProblem if anything of the environment ``name`` is ``damaged``."""
    if not damaged:
        return
    first = damaged[0]
    count = "an installed file" if len(damaged) == 1 else f"{len(damaged)} installed files"
    raise EnvironmentProblem(
        f"{count} of {name} {'is' if len(damaged) == 1 else 'are'} damaged ({first.path} is {first.why}): repair it"
    )


def _ask(command: list[str], variables: dict[str, str], limit: float, name: str) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` in the environment ``name`` for at most ``limit`` seconds."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=variables,
            timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(f"{name} did not answer within {limit:.0f} s: repair it") from error
    except OSError as error:
        raise EnvironmentProblem(f"{command[0]} cannot be started ({error.strerror}): repair {name}") from error


def _judged(answer: subprocess.CompletedProcess[str], name: str) -> Verdict:
    """What inside.py found."""
    try:
        found = json.loads(answer.stdout.splitlines()[-1])
        failed, verdict = found["failed"], Verdict(found["versions"], found.get("device", ""))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise _problem(f"{name} does not run", answer.stderr, answer.returncode) from error
    for module, why in failed.items():
        raise _problem(f"{module} does not work in {name}", why)
    return verdict


def _greet(python: Path, variables: dict[str, str], name: str) -> None:
    """Lets the worker say hello, which takes the same way as the add-on's first request."""
    answer = _ask(worker_command(python, ["hello"]), with_package(variables), _HELLO_SECONDS, name)
    try:
        said = answer.returncode == 0 and json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = None
    if not said:
        raise _problem(f"the worker does not start in {name}", answer.stderr, answer.returncode)


def _problem(what: str, said: str, code: int = 0) -> EnvironmentProblem:
    """``what`` is wrong, why, and what to do: repairing helps, unless it is known that something else does."""
    last = (said.strip().splitlines() or [f"exit code {code}"])[-1]
    failure = recognise_exit(code) or recognise_local(said)
    return EnvironmentProblem(
        f"{what} ({last}): {'repair it' if failure.kind == 'unknown' else failure.sentence}", failure.kind
    )
