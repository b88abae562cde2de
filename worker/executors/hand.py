# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on a node of a cluster: a warm worker over the wire, to which pictures come as bytes and from which meshes
go as bytes, so that no folder need be shared. Must not know Ray."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import Unable
from ..core.file_types import result_ending
from ..core.job import Job
from ..elsewhere.near import with_it
from ..pipeline.batch import Asked
from ..wire import offers
from ..wire.server import as_error
from .workers import Worker

MOST = 256 << 20
"""Bytes of all pictures of a thing, and of what is made of them; a folder of more is for one machine."""


@dataclass(frozen=True)
class Sent:
    """Files of a thing's pictures: for each that was chosen, its name below `files`, whose bytes these are."""

    chosen: tuple[str, ...]
    files: dict[str, bytes]


@dataclass(frozen=True)
class Made:
    """The fields of `GenerateResult` with the GLB and its picture, or why there are none."""

    facts: dict[str, Any]
    glb: bytes = b""
    thumbnail: bytes = b""
    problem: str = ""


def packed(asked: Asked) -> Sent:
    """What travels for a thing. Raises Unable where that is too much, OSError."""
    chosen, files = [], {}
    for place, path in enumerate(map(Path, asked.pictures)):
        root, found = with_it(path)
        for each in found:
            files[f"{place}/{each.relative_to(root).as_posix()}"] = each.read_bytes()
            if sum(map(len, files.values())) > MOST:
                raise Unable(f"{path.name} is more than {MOST >> 20} MB, which no cluster is sent: make it here")
        chosen.append(f"{place}/{path.relative_to(root).as_posix()}")
    return Sent(tuple(chosen), files)


class Hand:
    """One worker on one node, warm from its first thing on."""

    def __init__(self, settings: offers.InitializeParams) -> None:
        self._worker = Worker(settings)

    def make(self, asked: Asked, sent: Sent) -> Made:
        """One thing; nothing of it stays here."""
        with tempfile.TemporaryDirectory(prefix="image-to-3d-hand-") as name:
            folder = Path(name)
            for path, content in _placed(folder, sent):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            pictures = tuple(str(folder / each) for each in sent.chosen)
            glb, thumbnail = folder / f"result{result_ending(asked.output)}", folder / "result.png"
            own = dataclasses.replace(asked, pictures=pictures, output=str(glb), thumbnail=str(thumbnail))
            try:
                facts = dict(self._worker.make(own, Job(lambda *report: None)))
            except Exception as error:  # noqa: BLE001 - becomes a sentence here, as classes may not travel
                return Made({}, problem=as_error(None, error).message)
            facts["provenance"] = facts["provenance"] and {**facts["provenance"], "pictures": asked.pictures}
            return Made(facts, glb.read_bytes(), thumbnail.read_bytes())


def _placed(folder: Path, sent: Sent) -> Iterator[tuple[Path, bytes]]:
    return ((folder / name, content) for name, content in sent.files.items())
