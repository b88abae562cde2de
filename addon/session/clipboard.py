# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture in the clipboard of a system on which Blender does not see it: Linux with X11. Must not know bpy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    ("wl-paste", "--type", "image/png"),
    ("xclip", "-selection", "clipboard", "-target", "image/png", "-out"),
)
"""Programs that write it to their output, as a PNG file."""

PATIENCE = 1.0
"""Seconds for each, as Blender waits for it: the program that was copied from may hang."""

PNG = b"\x89PNG\r\n\x1a\n"


def picture(folder: Path) -> Path | None:
    """A file in the folder with the picture; None if there is no picture, or no program that gives it. Raises OSError.

    Not to be called while the clipboard is Blender's own: that would wait for Blender, which waits.
    """
    for command in COMMANDS if sys.platform == "linux" else ():
        if shutil.which(command[0]) and (found := _output(command)).startswith(PNG):
            path = folder / "Clipboard.png"
            path.write_bytes(found)
            return path
    return None


def missing() -> str:
    """What has to be installed, "" where nothing has."""
    if sys.platform != "linux" or any(shutil.which(command[0]) for command in COMMANDS):
        return ""
    return "on Linux a copied picture is seen with wl-clipboard (Wayland) or xclip (X11) installed"


def _output(command: tuple[str, ...]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).stdout
    except subprocess.TimeoutExpired:
        return b""
