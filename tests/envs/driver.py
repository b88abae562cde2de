# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs `python3 -m envs` again and again in children of one process that has loaded everything: for tests that kill it.

    python driver.py LOCK PYTHON          adds the environment `tiny`, made of LOCK, on base interpreters PYTHON

Reads orders from stdin, one JSON object per line, and answers each with a JSON value on a line:
{"arguments": [...], "said": FILE, "skew": SECONDS, "margin": BYTES, "variables": {...}} starts one and answers its
process id;
{"wait": PROCESS, "seconds": S} answers its exit code (negative: the signal that ended it), null if it still runs.
"""

import json
import os
import select
import sys
import time
from pathlib import Path

from envs import cli, specs
from envs.machine import preflight

children: dict[int, int] = {}  # process -> the reading end of a pipe that the process holds until it ends


def tiny() -> specs.Spec:
    return specs.Spec("tiny", "Tiny", Path(sys.argv[1]), ("tiny_a", "tiny_b"), torch=False, pythons=(sys.argv[2],))


def start(order: dict) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    os.setpgid(child, child)  # on both sides, so that its group can be killed from now on
    if child:
        os.close(writing)
        children[child] = reading
        return child
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, nothing), (1, said), (2, said)):
        os.dup2(source, descriptor)
    os.environ.update(order["variables"])
    now = time.time
    time.time = lambda: now() + order["skew"]
    preflight.MARGIN = order["margin"]
    code = 99
    try:
        code = cli.main(order["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, seconds: float) -> int | None:
    if not select.select([children[child]], [], [], seconds)[0]:
        return None
    os.close(children.pop(child))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


specs.TABLE["tiny"] = tiny
for line in sys.stdin:
    order = json.loads(line)
    answer = start(order) if "arguments" in order else wait(order["wait"], order["seconds"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
