# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an environment really works: its files are there, its packages import and compute. Takes seconds."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import EnvironmentProblem
from .running import process_environment
from .specs import Spec

_SECONDS = 300  # the first import of everything, with a virus scanner reading along


@dataclass(frozen=True)
class Verdict:
    """``versions``: of every package that is installed."""

    versions: dict[str, str]


def verify(python: Path, wanted: Spec, root: Path) -> Verdict:
    """Tries the environment of ``python`` in a fresh process; raises EnvironmentProblem saying what does not work."""
    script = Path(__file__).resolve().with_name("inside.py")
    command = [str(python), "-P", str(script), *(["--tensor"] if wanted.torch else []), *wanted.imports]
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=process_environment(root, wanted.name),
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(f"{wanted.name} did not answer within {_SECONDS} s: set it up again") from error
    except OSError as error:
        raise EnvironmentProblem(
            f"{python} cannot be started ({error.strerror}): set {wanted.name} up again"
        ) from error
    return _judged(answer, wanted.name)


def _judged(answer: subprocess.CompletedProcess[str], name: str) -> Verdict:
    try:
        found = json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        raise EnvironmentProblem(f"{name} does not run ({last}): set it up again") from error
    if found["missing"]:
        raise EnvironmentProblem(
            f"{len(found['missing'])} installed files of {name} are gone, "
            f"the first is {found['missing'][0]}: set it up again"
        )
    for module, why in found["failed"].items():
        raise EnvironmentProblem(f"{module} does not work in {name} ({why}): set it up again")
    return Verdict(found["versions"])
