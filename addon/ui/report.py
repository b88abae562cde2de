# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a bug report: what happened in Blender, and what the last check of the environments said. Must not know
bpy.
"""

from __future__ import annotations

import platform
import sys

from ...envs.redaction import redact
from ..session.session import Session


def text(session: Session, blender: str) -> str:
    """What happened and on what, in Markdown, without names of users, home folders and machines."""
    environments = session.environments
    problem, check = session.problem or environments.problem, environments.last_check
    lines = [
        "### Image to 3D",
        f"- Blender {blender}, Python {sys.version.split()[0]}, {platform.platform()}",
        f"- worker's Python: {session.interpreter.python or session.interpreter.reason}",
        f"- state: {session.state.value}, last stage: {session.shown.stage or 'none'} {session.shown.message}".rstrip(),
    ]
    if problem:
        code = f" ({problem.code.name} {problem.code.value})" if problem.code else ""
        lines.append(f"- problem: {problem.message}{code}")
    if environments.check_error:
        lines.append(f"- the environments could not be checked: {environments.check_error}")
    if problem and problem.log:
        lines += ["", "```", problem.log, "```"]
    return "\n".join([redact("\n".join(lines)), "", check.report if check else ""]).rstrip() + "\n"
