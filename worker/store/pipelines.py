# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a hub's repository a pipeline of diffusers consists of. Must not know what they are for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from ..core.errors import Unable
from ..core.job import Job, Span
from .download import listing

_INDEX = "model_index.json"
_ENDINGS = {".json", ".txt", ".model", ".jinja", ".safetensors"}
_VARIANTS = (".fp16.", ".bf16.", ".non_ema.", ".ema.")
"""Parts of the names of weights that stand beside the same in another form."""


class Listed(NamedTuple):
    """A file as the hub describes it. sha256: None of small ones."""

    name: str
    bytes: int
    sha256: str | None


def listed(url: str, job: Job | Span) -> tuple[Listed, ...]:
    """The files of the pipeline whose repository the hub describes at `url`; the index, without which nothing is
    found, comes last. Raises Unable where it is none."""
    job.report(0.0, "asking which files there are")
    told = listing(url).get("siblings")
    files = [file for entry in told if (file := _described(entry))] if isinstance(told, list) else []
    names = {file.name for file in files}
    if _INDEX not in names:
        raise Unable(f"what {url} lists is no pipeline of diffusers, as {_INDEX} is not among it: choose another")
    parts = [file for file in files if file.name != _INDEX and _belongs(file.name, names)]
    return (*parts, *(file for file in files if file.name == _INDEX))


def _described(entry: object) -> Listed | None:
    """What the hub tells of one file, or None where no such file can be written."""
    if not isinstance(entry, dict) or not isinstance(name := entry.get("rfilename"), str):
        return None
    path, size, large = PurePosixPath(name), entry.get("size"), entry.get("lfs")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not isinstance(size, int):
        return None
    return Listed(name, size, large.get("sha256") if isinstance(large, dict) else None)


def _belongs(name: str, names: Iterable[str]) -> bool:
    """Whether diffusers reads it: what lies in the parts' folders, the weights once."""
    if name == "README.md":  # it tells the licence
        return True
    path = PurePosixPath(name)
    if len(path.parts) != 2 or path.suffix not in _ENDINGS:
        return False
    plain = [other for other in names if other.startswith(f"{path.parent}/") and other.endswith(".safetensors")]
    doubled = any(not is_variant(other) for other in plain)
    return not (is_variant(name) and doubled)


def is_variant(name: str) -> bool:
    """Whether a file of weights is another form of the one without that in its name."""
    return any(part in name for part in _VARIANTS)
