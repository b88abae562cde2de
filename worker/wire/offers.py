# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages about the worker: what it offers, which network it would take, what that costs, what it fetches.

Imported by both sides, as protocol.py is: the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..core.options import Option, Value


@dataclass(frozen=True)
class Empty:
    """No parameters, or no result."""


@dataclass(frozen=True)
class NetworkInfo:
    """One row of weights that a method can run; its name is unique among all methods. `bytes` is the size of its
    download, 0 where there is none; `here` says that it runs offline now. `quality`: of two networks of one category
    for as many pictures, the one with the higher makes better things; with the same, nobody has compared them.
    `along`: what is fetched with the set-up where it is fetched, itself first, each with size and licence; empty of
    others."""

    name: str
    label: str
    licence: str
    commercial: bool
    bytes: int
    here: bool
    source: str
    help: str = ""
    quality: int = 1
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodInfo:
    """A method as it describes itself.

    category: what the panel files it under. pictures: how many it takes. cut_out: whether it makes a thing alone, not
    all that a picture shows. makes: the name of its representation. presets: of each preset's name, the option values
    that it sets. environment: the Python that has its packages (`python3 -m envs check` lists them). refines: whether
    its networks refine a mesh that is there.
    """

    name: str
    label: str
    category: str
    help: str
    pictures: Literal["one", "several"]
    cut_out: bool
    makes: str
    networks: tuple[NetworkInfo, ...]
    options: tuple[Option, ...]
    presets: dict[str, dict[str, Value]]
    environment: str = "core"
    refines: bool = False


@dataclass(frozen=True)
class InitializeParams:
    """`weights` and `cache` are folders (None: the worker's defaults); `online` False forbids any network use."""

    version: int
    online: bool = False
    device: str = "auto"
    weights: str | None = None
    cache: str | None = None


@dataclass(frozen=True)
class InitializeResult:
    version: int
    worker: str
    methods: tuple[MethodInfo, ...]


@dataclass(frozen=True)
class SelectParams:
    """`pictures` are paths of existing files. `category` None: any; `network` None: the one that suits the pictures and
    the `options` best, of those that are here."""

    pictures: tuple[str, ...]
    category: str | None = None
    network: str | None = None
    options: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class SelectResult:
    """The names of the method and of its network; what there is to know about them the catalogue tells."""

    method: str
    network: str


@dataclass(frozen=True)
class EstimateParams:
    """`network`: one that is offered, or core.refining.IMPROVE. `pictures` are paths, as in `SelectParams`: what takes
    long depends on how many they hold."""

    network: str
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """`seconds`: what the last runs took; while this machine has not run it, `guessed` from another one, None where
    nobody knows. `faces`, `texture`: at most. `memory`: bytes of this preset, 0: as of all."""

    preset: str
    seconds: float | None
    faces: int
    texture: int
    guessed: bool = False
    memory: int = 0


@dataclass(frozen=True)
class EstimateResult:
    """Of each preset. `memory`: bytes that the network needs beside everything else, 0 where it needs hardly any."""

    presets: tuple[Estimate, ...]
    memory: int


@dataclass(frozen=True)
class Catalogue:
    methods: tuple[MethodInfo, ...]


@dataclass(frozen=True)
class DownloadParams:
    """`along`: those that come with the set-up, which are done without where they cannot be had; `network` is one."""

    network: str
    along: bool = False


@dataclass(frozen=True)
class DownloadResult:
    """`note`: why what comes along is not here, a sentence, "" where it is."""

    network: str
    bytes: int
    note: str = ""
