# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files in the cache: never delivered, and removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from counting import Counts, mutated
from image_to_3d.worker.store.cache import Cache
from image_to_3d.worker.store.history import History

FACTS = {"name": "b", "faces": 2, "took": 1.0, "warnings": ["x"], "provenance": {}}


class Missing(Exception):
    """The entry is not found."""


def run(count: int, seed: int, folder: Path) -> Counts:
    counts, store = Counts(), Cache(folder / "cache")
    arrays = {"a": np.arange(300.0).reshape(20, 15), "text": np.array(["x", "yy"]), "flag": np.array(True)}
    (folder / "made.glb").write_bytes(np.random.default_rng(1).bytes(900))
    store.save_glb("g", folder / "made.glb", FACTS)
    store.save_arrays("a", arrays)
    whole = {path.name: path.read_bytes() for path in store.root.iterdir()}
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        for name, content in whole.items():
            (store.root / name).write_bytes(content)
        name = sorted(whole)[number % len(whole)]
        damaged = _damaged(whole[name], [*whole.values()], generator)
        (store.root / name).write_bytes(damaged)
        action = _arrays if name.endswith(".npz") else _glb
        same = damaged == whole[name]
        counts.try_one(f"{name} {number}", lambda a=action, s=same: a(store, folder, arrays, s), (Missing,))
    return counts


def _damaged(content: bytes, others: list[bytes], generator: np.random.Generator) -> bytes:
    if generator.random() < 0.5:
        return mutated(content, others, generator)
    at, bit = int(generator.integers(len(content))), 1 << int(generator.integers(8))
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def _arrays(store: Cache, folder: Path, arrays: dict, same: bool) -> None:
    found = store.load_arrays("a")
    if found is None:
        assert not same and not (store.root / "a.npz").exists(), "a damaged entry stays"
        raise Missing("not found")
    assert found.keys() == arrays.keys() and all((found[name] == arrays[name]).all() for name in arrays), "other arrays"


def _glb(store: Cache, folder: Path, arrays: dict, same: bool) -> None:
    out = folder / "out.glb"
    out.unlink(missing_ok=True)
    History(store.root).entries()
    facts = store.load_glb("g", out)
    if facts is None:
        assert not same and not out.exists() and not (store.root / "g.json").exists(), "half a result"
        raise Missing("not found")
    assert facts == FACTS and out.read_bytes() == (folder / "made.glb").read_bytes(), "another result"
