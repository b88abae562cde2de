# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of published networks: finding them on disk, and fetching them from the web when that is allowed.

A model's folder is `<root>/<model name>/` with the files under the names that they were published with, so that it can
also be filled by hand; what other programs put into the hub's own cache is found too. Must not know what is in them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import Unable, WeightsMissing
from ..core.job import Job, Span


@dataclass(frozen=True)
class HubFile:
    """A published file. `sha256`, of small ones `bytes` too, None where they are not known: the commit must do,
    and the digest that the hub tells when it sends such a small one.

    also: names of what is as good where a folder was filled by hand, such as the index of the same in several files.
    """

    name: str
    bytes: int | None
    sha256: str | None
    also: tuple[str, ...] = ()

    def lies_in(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in (self.name, *self.also))

    def is_another_in(self, folder: Path) -> bool:
        """Whether what lies there under that name cannot be this file, as its size differs."""
        path = folder / self.name
        return self.bytes is not None and path.is_file() and path.stat().st_size != self.bytes


@dataclass(frozen=True)
class HubRepository:
    """A repository on the Hugging Face hub at one commit, branch or tag."""

    repo: str
    revision: str

    @property
    def address(self) -> str:
        """Where the files lie: what comes before their names."""
        return f"{_endpoint()}/{self.repo}/resolve/{self.revision}"

    @property
    def source(self) -> str:
        """The page that tells about it."""
        return f"https://huggingface.co/{self.repo}"


@dataclass(frozen=True)
class HubModel(HubRepository):
    """One of which the files that are needed are known."""

    files: tuple[HubFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes or 0 for file in self.files)


@dataclass(frozen=True)
class WebModel:
    """Files that lie side by side elsewhere on the web, at `address`/name. Their sha256 must be known, as an address
    promises nothing about what lies there."""

    address: str
    files: tuple[HubFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes or 0 for file in self.files)

    @property
    def source(self) -> str:
        return self.address


@dataclass(frozen=True)
class HubPipeline(HubRepository):
    """A pipeline of diffusers, whose files the hub itself names when they are fetched (see pipelines.py). about: bytes
    of the download, as far as they are known before."""

    about: int = 0

    files = (HubFile("model_index.json", None, None),)
    """It is fetched last: where it lies, the others do."""

    @property
    def bytes(self) -> int:
        return self.about

    @property
    def listing(self) -> str:
        """Where the hub tells the files, their sizes and digests."""
        return f"{_endpoint()}/api/models/{self.repo}/revision/{self.revision}?blobs=true"


Published = HubModel | WebModel | HubPipeline


@dataclass(frozen=True)
class WeightStore:
    """The folder `root` with weights. `online` False forbids any network use."""

    root: Path
    online: bool = False

    def find(self, name: str, model: Published) -> Path | None:
        """The folder with all files of the model, or None. Cheap: looks at names only."""
        cached = () if isinstance(model, WebModel) else (_hub_cache() / _cache_name(model),)
        for folder in (self.root / name, *cached):
            if all(file.lies_in(folder) for file in model.files):
                return folder
        return None

    def require(self, name: str, model: Published, licence: str) -> Path:
        """As `find`, but raises WeightsMissing."""
        if folder := self.find(name, model):
            return folder
        size = f"{model.bytes / 1e6:.0f} MB, {licence}"
        message = f"the weights of {name} ({size}) are not on this machine: download them first"
        raise WeightsMissing(message, name, model.bytes, licence)

    def remarks(self, name: str, model: Published) -> tuple[str, ...]:
        """Says so where the files that are used cannot be the published ones, as their sizes differ: for the user, who
        may have put them there."""
        folder = self.find(name, model)
        if folder is None or not any(file.is_another_in(folder) for file in model.files):
            return ()
        return (f"made with the weights in {folder}, which are not those that are published as {name}",)

    def download(self, name: str, model: Published, job: Job | Span) -> Path:
        """Fetches what is missing, resumes what was cut off, checks sizes and sha256. Raises Unable if that fails."""
        if not self.online:
            raise Unable(f"{name} is not downloaded while network use is not allowed: allow online access first")
        from .download import fetch  # on use: it brings the web's libraries, which the worker's first answer needs not

        folder, done, files = self.root / name, 0, model.files
        if isinstance(model, HubPipeline):
            from .pipelines import listed

            files = listed(model.listing, job.span(0.0, 0.0))
        total = max(sum(file.bytes or 0 for file in files), 1)
        for file in files:
            bytes = file.bytes or 0
            part = job.span(done / total, (done + bytes) / total)
            fetch(f"{model.address}/{file.name}", folder / file.name, file.bytes, file.sha256, part)
            done += bytes
        return folder


def _endpoint() -> str:
    """The hub, or a mirror of it (the variable is the hub's own)."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub")


def _cache_name(hub: HubRepository) -> Path:
    return Path("models--" + hub.repo.replace("/", "--")) / "snapshots" / hub.revision
