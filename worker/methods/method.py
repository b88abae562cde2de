# SPDX-License-Identifier: GPL-3.0-or-later
"""What every method is, as data, and what is the same for all: weights, licences, loading, memory, keys.

A method says what it is in its folder's `__init__.py`; what it does stands in a module beside that, its `runner`, which
is imported on use, and mostly brings torch:

    load(network, folder, device) -> Any                     where it has networks to load; folder: None, or the weights
    run(task, loaded, job) -> Representation                 raises Unable and its kin; hears a cancel at each report
    restored(arrays, task, job) -> Representation            of what `to_arrays` gave for the same task
    require(network)                                         where it needs more than every Python here has; raises
                                                             MethodUnavailable

Must not know requests, meshes or other methods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from ..core.errors import Unable
from ..core.job import Job, Span
from ..core.options import Value
from ..store.weights import Published, WeightStore
from .runtime import memory, places

if TYPE_CHECKING:  # only named here: numpy and Pillow would slow the worker's first answer
    import numpy as np

    from ..cameras.registration import Registration
    from ..core.representations import Begun, Front, Representation
    from ..pictures.gather import Inputs
    from ..pictures.load import Picture

OWN_LICENCE = "GPL-3.0-or-later"
INCLUDED = Path(__file__).parent.parent / "included"
"""Where the weights lie that ship with the program."""


@dataclass(frozen=True)
class Network:
    """One row of weights.

    published: where they are fetched from; else `file` is part of the product, or the method needs none. also: networks
    that it may need beside itself; the weights of those that are automatic are fetched with its own. automatic: taken
    by itself where it is here. takes: bytes of memory while it runs, 0 where that is about ACTIVATIONS times its
    weights. quality: higher than that of another network of the category for as many pictures, where a comparison that
    was published or measured here found it better; the same where there is none. It chooses nothing: a better one may
    be slow. comes_along: fetched with the set-up, unless the user does without. small: runs on the processor whatever
    device is chosen, within a tenth of a second, in which no other could be woken. stored: the name under which its
    weights lie, where that is another network's, whose they are. by_hand: why nobody fetches its weights, where the
    user has to.
    """

    name: str
    label: str
    licence: str
    help: str
    published: Published | None = None
    file: Path | None = None
    also: tuple[Network, ...] = ()
    automatic: bool = True
    takes: int = 0
    quality: int = 1
    comes_along: bool = False
    small: bool = False
    stored: str = ""
    by_hand: str = ""

    @property
    def kept(self) -> str:
        """The name of its folder in the store."""
        return self.stored or self.name

    @property
    def bytes(self) -> int:
        """What its own download takes, 0 where there is none."""
        return self.published.bytes if self.published else 0

    @property
    def memory(self) -> int:
        """Bytes that it takes about while it runs."""
        own = self.bytes or (self.file.stat().st_size if self.file and self.file.is_file() else 0)
        return self.takes or ACTIVATIONS * own

    def is_here(self, weights: WeightStore) -> bool:
        """Whether it runs without going online."""
        if self.published:
            return weights.find(self.kept, self.published) is not None
        return self.file is None or self.file.is_file()

    def folder(self, weights: WeightStore) -> Path | None:
        """Where its weights lie, for `load`. Raises WeightsMissing; Unable where a file of the product is missing."""
        if self.by_hand and not self.is_here(weights):
            raise Unable(f"the weights of {self.label} are not in {weights.root / self.kept}: {self.by_hand}")
        if self.published:
            return weights.require(self.kept, self.published, self.licence)
        if self.file is None:
            return None
        if not self.file.is_file():
            raise Unable(f"{self.file} is missing: install the product again")
        return self.file

    def revision(self, weights: WeightStore) -> str:
        """What tells its weights, and those that it may need beside itself, from others of their names: for keys."""
        return " ".join([self._own_revision(weights), *(other.revision(weights) for other in self.also)])

    def _own_revision(self, weights: WeightStore) -> str:
        if self.published is None:
            return _digest(self.file) if self.file and self.file.is_file() else ""
        folder = weights.find(self.kept, self.published)
        if folder is None:
            return "absent"
        files = (path for path in sorted(folder.rglob("*.*")) if path.exists())  # not a link to nowhere
        times = [path.stat().st_mtime_ns for path in files]  # a folder filled by hand may hold others
        return f"{self.published.address} {times}"

    @property
    def fetched(self) -> tuple[Network, ...]:
        """What its download brings: itself and those beside it."""
        return tuple(each for each in (self, *(other for other in self.also if other.automatic)) if each.published)

    @property
    def told(self) -> str:
        """What is to be known before it is fetched."""
        return f"{self.label} ({_size(self.bytes)}, {self.licence})"

    def download(self, weights: WeightStore, job: Job | Span) -> int:
        """Fetches what is missing of its weights and of those beside them; returns their bytes."""
        if self.by_hand:
            self.folder(weights)  # raises where they are not here
        wanted = self.fetched
        total, done = sum(network.bytes for network in wanted), 0
        for network in wanted:
            part = job.span(done / max(total, 1), (done + network.bytes) / max(total, 1))
            if not network.is_here(weights):
                weights.download(network.kept, network.published, part)
            done += network.bytes
        return total

    def remarks(self, weights: WeightStore) -> tuple[str, ...]:
        """Sentences for the user about the weights that are used."""
        return weights.remarks(self.kept, self.published) if self.published else ()


@dataclass(frozen=True)
class NoOptions:
    """Of a method that has none of its own."""


@dataclass(frozen=True)
class Method:
    """A method as data.

    category: the label under which the panel files it, and nothing else. pictures: how many it takes; cut_out: whether
    it makes a thing alone, whatever is behind it. makes: the name of its representation in core.representations.
    networks: of them the first that is here is taken by itself. runner: the module that does it, beside the folder's
    `__init__`, as the module docstring says.
    options: a dataclass of `core.options.option` fields; what becomes of the representation has options of its own.
    presets: of each preset, the values that it sets, of options of both kinds. late: names of options that are only
    applied when the representation is restored from its arrays. environment: the Python that has its packages. over:
    names of the methods that it is a list of steps over. first: of each preset, seconds of one core of a processor that
    a first run took, where that is known. refines: whether it can be told a shape (Begun) to refine.
    rooms: of the worker, whose code it needs beside what all do.
    """

    name: str
    label: str
    category: str
    help: str
    pictures: Literal["one", "several"]
    cut_out: bool
    makes: str
    networks: tuple[Network, ...]
    runner: str
    presets: Mapping[str, Mapping[str, Value]]
    options: type = NoOptions
    late: tuple[str, ...] = ()
    environment: str = "core"
    over: tuple[str, ...] = ()
    first: dict[str, float] = field(default_factory=dict)
    refines: bool = False
    rooms: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The name of the package that its runner is in."""
        return self.runner.rpartition(".")[0]

    def module(self) -> ModuleType:
        return import_module(self.runner)

    def require(self, network: Network) -> None:
        """Raises MethodUnavailable where this Python lacks what the network needs."""
        if hasattr(self.module(), "require"):
            self.module().require(network.name)

    def run(self, task: Task, job: Job | Span) -> Representation:
        """The representation of the task's pictures, by the network that is loaded for it."""
        module = self.module()
        with _memory_told(task.device):
            job.report(0.0, "loading the network" if hasattr(module, "load") else "starting")
            if hasattr(module, "load"):
                return module.run(task, LOADED.get(task.network, task.weights, task.runs_on, module.load), job)
            LOADED.unload()  # what it will take nobody knows
            return module.run(task, None, job)

    def restored(self, arrays: Mapping[str, np.ndarray], task: Task, job: Job | Span) -> Representation:
        """The representation whose `to_arrays` these are, for the same task, without the network."""
        with _memory_told(task.device):
            return self.module().restored(arrays, task, job)


@dataclass(frozen=True, eq=False)
class Task:
    """What a runner is asked for. options: the method's dataclass. on_preview: hears pictures (H, W, 3) uint8 sRGB of
    what is made so far. on_coarse: hears a first guess of what will be made, soon. known: of the thing, by methods that
    can be told. cameras: of several pictures, which have to be there when it runs."""

    inputs: Inputs
    network: Network
    options: Any
    device: str
    weights: WeightStore
    on_preview: Callable[[np.ndarray], None] = lambda picture: None
    on_coarse: Callable[[Representation], None] = lambda coarse: None
    known: Front | Begun | None = None
    cameras: Registration | None = None

    @property
    def runs_on(self) -> str:
        """The device that is meant: a small network's is the processor, whatever the user's choice."""
        return "cpu" if self.network.small else self.device

    @property
    def place(self) -> str:
        """The same, by its own name."""
        return places.named(self.runs_on)

    @property
    def picture(self) -> Picture:
        """The only one."""
        [picture] = self.inputs.pictures
        return picture


@contextmanager
def _memory_told(device: str) -> Iterator[None]:
    """Whatever a runner raises where memory is full becomes OutOfMemory: it guards what it knows better itself."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not memory.is_full(error):
            raise
        full = error.with_traceback(None)
    else:
        return
    raise memory.told(full, places.named(device)) from None


@dataclass
class LoadedNetworks:
    """The one owner of loaded networks: another one is loaded beside them only where it fits, else the one goes first
    that was not used for longest."""

    _held: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def get(self, network: Network, weights: WeightStore, device: str, load: Callable[..., Any]) -> Any:
        """What `load(network, folder, device)` gives, loaded now or before with the same weights."""
        folder = network.folder(weights)
        key = network.name, network.revision(weights), device
        held = self._held.pop(key, None)
        if held is None:
            self._forget(network.name, device)
            self._make_room(device, network.memory)
            held = load(network, folder, device)
        self._held[key] = held  # the newest is the last
        return held

    def unload(self) -> None:
        """Gives the memory of all of them back."""
        if self._held:
            self._held.clear()
            memory.release()

    def _forget(self, name: str, device: str) -> None:
        """Lets other weights under the same name go: nobody will ask for them again."""
        for key in [key for key in self._held if (key[0], key[2]) == (name, device)]:
            del self._held[key]

    def _make_room(self, device: str, needed: int) -> None:
        if not self._held:
            return
        place = places.named(device)
        while self._held and not memory.fits(place, needed):
            self._held.pop(next(iter(self._held)))
            memory.release()


LOADED = LoadedNetworks()

ACTIVATIONS = 2
"""A network takes about so many times the bytes of its weights while it runs. 1.3 were
measured of Shap-E and 1.5 of TripoSR, on the CPU in single precision; too small fails for lack of memory, too large
only loads again."""


def _size(bytes: int) -> str:
    if bytes >= 1e9:
        return f"{bytes / 1e9:.1f} GB"
    return f"{bytes / 1e6:.0f} MB" if bytes >= 1e7 else f"{bytes / 1e6:.1f} MB"


def _digest(path: Path) -> str:
    about = path.stat()
    return _digest_of(path, about.st_size, about.st_mtime_ns)


@cache
def _digest_of(path: Path, size: int, changed: int) -> str:
    """Once for each state of a file, as a batch asks for it with each picture."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
