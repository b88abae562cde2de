# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of training data, and the command that writes a range of them. Must not know what is in them."""

import argparse
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)


def write_once(path: Path, make: Callable[[], np.ndarray]) -> Path:
    """Make the shard unless it is there; the file appears whole or not at all."""
    if not path.exists():
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as stream:
            np.save(stream, make())
        unfinished.replace(path)
    return path


def write_range(description: str | None, write_shard: Callable[[Path, int], Path]) -> None:
    """The command line: write the missing shards of a range, one after another."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--step", type=int, default=1, help="write every n-th, for several processes side by side")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.count, options.step):
        log.info("wrote %s", write_shard(options.out, number))
