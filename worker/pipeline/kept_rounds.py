# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the rounds of an `improve`: each as arrays, from which the next goes on, and as a result that the
history shows. Knows finish and the store; must not know how a round is made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..core.errors import Unable
from ..core.refining import IMPROVE
from ..core.texts import readable
from ..core.view import PinholeCamera, View
from ..finish import improved
from ..finish.asset import Asset, write
from ..finish.improved import Plan
from ..finish.thumbnail import drawn
from ..store import cache
from ..store.history import History
from . import code
from .rounds import EARLY, Round
from .shown import THUMBNAIL, png_of


@dataclass(frozen=True, eq=False)
class Standing:
    """How far it is. photos: in their places before the mesh. seconds: that the last round took."""

    photos: tuple[View, ...]
    last: Round
    seconds: float = 0.0


@dataclass(frozen=True)
class KeptRounds:
    """keys: of each round from the first. told: what the provenances have in common. store: None keeps nothing."""

    keys: tuple[str, ...]
    told: Mapping[str, Any]
    store: cache.Cache | None

    @classmethod
    def of(cls, mesh: Path, plans: Sequence[Plan], told: Mapping[str, Any], store: cache.Cache | None) -> KeptRounds:
        """Of the rounds of these plans with the mesh in that file. told: what else they depend on."""
        before = {"mesh": hashlib.sha256(mesh.read_bytes()).hexdigest(), "code": code.of_all()}
        before |= {name: told[name] for name in ("digests", "network", "revision", "options")}
        keys = []
        for plan in plans:
            keys.append(cache.key(before=before, plan=dataclasses.asdict(plan)))
            before = {"key": keys[-1]}
        return cls(tuple(keys), told, store)

    def has(self, number: int) -> bool:
        """Whether something was kept after that many rounds."""
        return bool(self.store) and (self.store.root / f"{self.keys[number - 1]}.npz").is_file()

    def of_round(self, number: int, photos: Sequence[View]) -> Standing | None:
        """What was kept after that many rounds. photos: not yet in their places."""
        arrays = self.store.load_arrays(self.keys[number - 1]) if self.store else None
        if not arrays:
            return None
        placed = tuple(_placed(photo, arrays[f"photo {n}"]) for n, photo in enumerate(photos))
        asset = improved.finished(improved.of_arrays(arrays), placed)
        views = tuple(_view(arrays, n) for n in range(int(arrays["views"])))
        likeness = tuple(map(tuple, arrays["likeness"].tolist()))
        ended = str(arrays["ended"])
        return Standing(placed, Round(asset, likeness, views, int(arrays["number"]), ended))

    def keep(self, number: int, standing: Standing, name: str) -> None:
        """Keeps what there is after that many rounds; a new one as a result too. What a user ended is not kept."""
        last = standing.last
        if not self.store or last.ended == EARLY:
            return
        views = () if last.ended else last.views
        arrays = improved.to_arrays(last.asset.mesh)
        arrays |= {f"photo {n}": _numbers(photo) for n, photo in enumerate(standing.photos)}
        arrays |= {"likeness": np.array(last.likeness), "number": np.array(last.number), "views": np.array(len(views))}
        arrays |= {"ended": np.array(last.ended)}
        for n, view in enumerate(views):
            arrays |= {f"camera {n}": _numbers(view), f"rgb {n}": view.rgb, f"mask {n}": view.mask}
            arrays |= {f"confidence {n}": view.confidence.astype(np.float16)}
        self.store.save_arrays(self.keys[number - 1], arrays)
        if last.number == number:
            self._keep_result(number, last.asset, name, standing.seconds)

    def lay_out(self, last: int, folder: Path) -> None:
        """Puts a GLB of each round into the folder, where it is not there: of those that were not made again."""
        for number, key in enumerate(self.keys[:last], 1):
            path = folder / file_of(number)
            if self.store and not path.exists():
                with contextlib.suppress(OSError):
                    self.store.load_glb(key, path)

    def provenance(self, number: int) -> dict[str, Any]:
        """The fields of `wire.making.Provenance` after that many rounds."""
        options = {**self.told["options"], "rounds": number}
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        label = f"{self.told['label']}, {number} round{'s' * (number != 1)}"
        return {**self.told, "label": label, "options": options, "version": __version__, "date": date}

    def _keep_result(self, number: int, asset: Asset, name: str, seconds: float) -> None:
        key, mesh = self.keys[number - 1], asset.mesh
        facts = {
            "name": readable(name),
            "method": IMPROVE,
            "network": self.told["network"],
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
            "cameras": [dataclasses.asdict(camera) | {"name": readable(camera.name)} for camera in asset.cameras],
            "warnings": [],
            "provenance": self.provenance(number),
            "key": key,
            "took": seconds,
        }
        with contextlib.suppress(Unable, OSError), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file_of(number)
            write(asset, path, name)
            self.store.save_glb(key, path, facts)
            History(self.store.root).keep_pictures(key, *(png_of(picture) for picture in drawn(mesh, THUMBNAIL)))


def file_of(number: int) -> str:
    """What the file of a round is called."""
    return f"round-{number}.glb"


def _numbers(view: View) -> np.ndarray:
    """(18,) float64: pixels and focal lengths of the camera, its rotation's rows, its position."""
    camera = view.camera
    lens = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    return np.concatenate([lens, view.rotation.ravel(), view.position])


def _placed(view: View, numbers: np.ndarray) -> View:
    camera = PinholeCamera(*map(int, numbers[:2]), *map(float, numbers[2:6]))
    return replace(view, camera=camera, rotation=numbers[6:15].reshape(3, 3), position=numbers[15:])


def _view(arrays: Mapping[str, np.ndarray], number: int) -> View:
    blank = View(PinholeCamera(1, 1, 1.0, 1.0, 0.5, 0.5))
    placed = _placed(blank, arrays[f"camera {number}"])
    pictures = {name: arrays[f"{name} {number}"] for name in ("rgb", "mask")}
    return replace(placed, **pictures, confidence=arrays[f"confidence {number}"].astype(np.float32))
