# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal front: the same jobs that the add-on asks for. Knows App and the messages, nothing behind them.

Exit codes: 0 done, 1 could not be done, 2 wrong usage, 130 cancelled. With --json, stdout is one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from contextlib import nullcontext, redirect_stdout

from ..wire import making
from .commands import DONE, FAILED, Report
from .parser import misused, parser
from .shown import tell_failure, write


def main(arguments: list[str]) -> int:
    reader = parser()
    options = reader.parse_args(arguments)
    if ignored := misused(options):
        reader.error(ignored)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        with redirect_stdout(sys.stderr) if options.json else nullcontext():  # libraries print, too
            result = options.run(options)
    except Exception as error:  # noqa: BLE001 - the terminal's boundary, as wire/server.py is the pipe's
        return tell_failure(error, options.json)
    if options.json:
        write(json.dumps(dataclasses.asdict(result)))
    else:
        options.show(result)
    failed = isinstance(result, making.BatchResult) and result.failed and not options.failures_later
    return result.exit_code if isinstance(result, Report) else FAILED if failed else DONE
