# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for `python -m envs`: `python fake_envs.py SCRIPT.json COMMAND ...`. Standard library only.

The script maps a command to a list of steps; `check --files` comes before `check` where it is asked for. Steps:
    {"say": {...}} a line of JSON   {"print": "garbage"}   {"stderr": "text"}   {"write": [path, text]}
    {"remove": path}   {"exit": code}   {"wait": "ever" | "deaf"} (`deaf` ignores SIGTERM)
Each call is noted, as a line of JSON with its arguments and the variables that matter, in SCRIPT.json.calls.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

VARIABLES = ("UV_OFFLINE", "PYTHONPYCACHEPREFIX")


def run(steps: list[dict]) -> None:
    for step in steps:
        match step:
            case {"say": line}:
                print(json.dumps(line), flush=True)
            case {"print": text}:
                print(text, flush=True)
            case {"stderr": text}:
                print(text, file=sys.stderr, flush=True)
            case {"write": [path, text]}:
                Path(path).write_text(text)
            case {"remove": path}:
                Path(path).unlink()
            case {"exit": code}:
                sys.exit(code)
            case {"wait": how}:
                if how == "deaf":
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    print(json.dumps({"stage": "deaf", "progress": 0.5, "message": ""}), flush=True)
                threading.Event().wait()


def main() -> None:
    path, command, *rest = sys.argv[1:]
    seen = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    with Path(f"{path}.calls").open("a") as calls:
        call = {"command": command, "arguments": rest, "variables": seen, "niceness": os.nice(0), "pid": os.getpid()}
        calls.write(json.dumps(call) + "\n")
    script = json.loads(Path(path).read_text())
    files = script.get("check --files") if "--files" in rest else None
    run(script.get(command, []) if files is None else files)


main()
