# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON nested deeper than Python reads, numbers beyond its floats: whoever reads such a file takes it for damaged."""

from pathlib import Path

import pytest
from image_to_3d.addon.session import catalogue, glb, provenance, remembered
from image_to_3d.addon.session.history import NOTHING, Kept
from image_to_3d.envs import contents, guard, states
from image_to_3d.worker.cameras.readers import transforms
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods.runtime import configurations
from image_to_3d.worker.store import files
from image_to_3d.worker.store.history import History
from image_to_3d.worker.store.timings import Timings

DEEP = {"lists": "[" * 100_000, "objects": '{"a":' * 100_000, "number": '{"a": {"b": [' + "9" * 400 + "]}}"}


def remembers(path: Path) -> bool:
    kept = Kept()
    kept.recall(path)
    return kept.told is not NOTHING


def raises(read, path: Path, *errors: type[Exception]) -> bool:
    with pytest.raises(errors):
        read(path)
    return False


READERS = {
    "timings": lambda path: Timings(path).of("a"),
    "history": lambda path: History(path.parent).entries(),
    "sealed facts": lambda path: raises(lambda path: files.unsealed(path.read_bytes()), path, ValueError),
    "a list of cameras": lambda path: raises(lambda path: transforms.read(path, Job(lambda *_: None)), path, Unable),
    "a network's configuration": lambda path: raises(configurations.read, path, ValueError),
    "choices": lambda path: not isinstance(remembered.read(path), dict),
    "the history that is shown": remembers,
    "how a thing was made": lambda path: provenance.parsed(path.read_text()),
    "the catalogue": lambda path: catalogue.last(path) != catalogue.shipped(),
    "a verdict": states._read_verdict,
    "a lock": lambda path: "has not said" not in guard.holder(path),
}


@pytest.mark.parametrize("content", DEEP)
@pytest.mark.parametrize("who", READERS)
def test_whoever_reads_it_takes_it_for_damaged(tmp_path, who, content):
    if (who, content) == ("a network's configuration", "number"):
        pytest.skip("it is a table, if an odd one")
    (tmp_path / "x.json").write_text(DEEP[content])
    assert not READERS[who](tmp_path / "x.json")


def test_a_mesh_and_a_manifest_as_well(tmp_path):
    text = DEEP["lists"].encode()
    head = (12 + 8 + len(text) + 8).to_bytes(4, "little")
    content = b"glTF\2\0\0\0" + head + len(text).to_bytes(4, "little") + b"JSON" + text + bytes(4) + b"BIN\0"
    (tmp_path / "a.glb").write_bytes(content)
    with pytest.raises(glb.Unreadable):
        glb.read(tmp_path / "a.glb")
    (tmp_path / contents.MANIFEST).write_bytes(text)
    [damage] = contents._against_manifest(tmp_path, tmp_path)
    assert damage.why == "not readable"


def test_times_that_are_none_are_forgotten(tmp_path):
    for number in ("NaN", "1e999", "-1"):
        (tmp_path / "t.json").write_text(f'{{"a": {{"b": [{number}]}}, "c": {{"d": [2]}}}}')
        assert Timings(tmp_path / "t.json").of("a") == {} and Timings(tmp_path / "t.json").usual("c") == 2.0
