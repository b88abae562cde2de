# SPDX-License-Identifier: GPL-3.0-or-later
"""The one boundary at which whatever a decoder raises becomes one sentence for the user.

Decoders of damaged files raise all there is (OSError, struct.error, TypeError, RuntimeError, zlib.error, ...), and
warn; none of that is worth more to the user than the file's name.
Must not know which decoder it is.
"""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import Cancelled, Unable

log = logging.getLogger(__name__)

_LONGEST = 100  # characters of a decoder's own words that are quoted


def named(path: Path) -> str:
    """The file's name as it can be shown: on one line, and with what is no text (old ZIPs, USB sticks) as "?"."""
    name = (path.name or str(path)).encode("utf-8", "replace").decode("utf-8")
    return "".join("?" if unicodedata.category(letter) == "Cc" else letter for letter in name)


@contextmanager
def decoding(path: Path, advice: str = "save or download it again") -> Iterator[None]:
    """Within it, files are decoded: what is raised leaves as Unable, but for Unable and Cancelled; nothing is warned
    of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Unable, Cancelled):
        raise
    except MemoryError:
        raise Unable(f"{named(path)} is too large for this machine's memory: make it smaller") from None
    except Exception as error:  # noqa: BLE001 - the boundary
        log.debug("%s", path, exc_info=True)
        raise Unable(f"{named(path)} is damaged or cut off{_quoted(error)}: {advice}") from None


def _quoted(error: Exception) -> str:
    """What the decoder says, in brackets, where that is one short line."""
    words = getattr(error, "strerror", None) or str(error)
    lines = str(words).strip().splitlines()
    return f" ({lines[0][:_LONGEST].rstrip('.: ')})" if lines and lines[0].isprintable() else ""
