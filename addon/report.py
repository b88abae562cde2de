# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a bug report. Must not know bpy."""

from __future__ import annotations

import platform
import sys

from .session import Session


def text(session: Session, blender: str) -> str:
    """What happened and on what, in Markdown, with the home folder's name left in: users can read before they paste."""
    problem = session.problem
    lines = [
        "### Image to 3D",
        f"- Blender {blender}, Python {sys.version.split()[0]}, {platform.platform()}",
        f"- worker's Python: {session.found.python or session.found.reason}",
        f"- state: {session.state.value}, last stage: {session.shown.stage or 'none'} {session.shown.message}".rstrip(),
    ]
    if problem:
        code = f" ({problem.code.name} {problem.code.value})" if problem.code else ""
        lines.append(f"- problem: {problem.message}{code}")
    if problem and problem.log:
        lines += ["", "```", problem.log, "```"]
    return "\n".join(lines) + "\n"
