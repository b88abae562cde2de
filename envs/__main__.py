# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m envs``; also ``python3 /path/to/envs``, for whoever cannot choose the folder that it is run in."""

import sys
from importlib import import_module
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

sys.exit(import_module("envs.cli" if not __package__ else f"{__package__}.cli").main())
