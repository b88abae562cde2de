# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an environment when the machine is unkind: afterwards `check` says the truth, and `repair` helps.

The real uv, a wheelhouse of tiny packages. Whether an environment is whole is seen here by comparing its files with
those that the wheels were made of, not by our own code.
"""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from image_to_3d.tests.envs.faults import IndexServer, disk
from image_to_3d.tests.envs.tiny import PACKAGES, Installation, Workshop, make_wheel, open_workshop

MOMENTS = 30
YEARS = 10 * 365 * 86400.0  # seconds


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Iterator[Workshop]:
    """In memory where there is such a file system: on a disk that is busy all this takes several times as long."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        memory = tmp_path_factory.mktemp("workshop")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        opened = open_workshop(Path(folder))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def finished(workshop) -> Path:
    """A root with a ready environment, to be copied: nothing in it knows its path but scripts, and it has none."""
    made = workshop.installation()
    assert made.run("create", "tiny") == 0, made.output()
    return made.root


@pytest.fixture(scope="module")
def seconds(workshop, finished) -> float:
    """How long an installation takes here and now, from nothing."""
    made, begun = workshop.compiled(finished), time.perf_counter()
    assert made.run("create", "tiny") == 0
    return time.perf_counter() - begun


@pytest.fixture
def empty(workshop, finished) -> Installation:
    return workshop.compiled(finished)


@pytest.fixture
def ready(workshop, finished) -> Installation:
    return copied(workshop, finished)


def copied(workshop: Workshop, root: Path) -> Installation:
    """Another installation like that in ``root``; files of the environment are those of uv's cache here as well."""
    made, copies = workshop.installation(), {}

    def copy(source: str, target: str) -> None:
        first = copies.setdefault(os.stat(source).st_ino, target)
        shutil.copy2(source, target) if first is target else os.link(first, target)

    shutil.copytree(root, made.root, symlinks=True, copy_function=copy)
    return made


def assert_truth(made: Installation, *states: str) -> None:
    """Nothing is called ready but what is whole, neither by a check nor by the look at the marker after it."""
    state = made.checked("--quick")
    if state == "ready":
        state = made.checked()
        assert made.checked("--quick") == state
    assert made.is_whole() if state == "ready" else state in states, state


def assert_repaired(made: Installation) -> None:
    assert made.run("repair", "tiny") == 0, made.output()
    assert made.is_whole()
    assert made.checked("--quick") == "ready"
    assert [each.name for each in made.environments.glob("tiny@*")] == [made.folder.name]


def make_outdated(made: Installation) -> None:
    marker = json.loads(made.marker.read_text())
    made.marker.write_text(json.dumps(marker | {"fingerprint": "of another version"}))


def truncate(path: Path) -> None:
    """In place, so that what is linked to the same file is truncated, too."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def change(path: Path) -> None:
    """Leaves the size as it is."""
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 255]))


def test_the_test_itself_sees_damage(ready):
    assert ready.is_whole()
    change(ready.site / "tiny_c" / "data" / "7.bin")
    assert not ready.is_whole()


# Killed


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_killed_at_any_moment_it_is_not_ready_unless_it_is_whole(workshop, finished, seconds, moment):
    """By turns with uv or leaving it an orphan; from nothing, over an outdated environment, over a broken one."""
    with_uv = moment % 2 == 0
    if moment % 3 == 0:
        made, word, states = workshop.compiled(finished), "create", ("absent", "incomplete")
    else:
        made, word, states = copied(workshop, finished), "create", ("outdated",)
        make_outdated(made)
    if moment % 3 == 2:
        word, states = "repair", ("broken", "outdated")
        truncate(made.site / "tiny_b" / "data" / "big.bin")
    process = made.start(word, "tiny")
    if made.wait(process, seconds * (moment + 0.5) / MOMENTS) is None:
        (os.killpg if with_uv else os.kill)(process, signal.SIGKILL)
        made.wait(process)
    assert_truth(made, *states)
    assert_repaired(made)


@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.6])
def test_killed_while_removing_it_is_not_ready(ready, seconds, part):
    process = ready.start("remove", "tiny")
    if ready.wait(process, seconds * part) is None:
        os.kill(process, signal.SIGKILL)
        ready.wait(process)
    assert_truth(ready, "absent", "incomplete")
    assert_repaired(ready)


# Files


def replace_folder(made: Installation) -> None:
    folder = made.folder
    shutil.rmtree(folder)
    folder.mkdir()


def lose_interpreter(made: Installation) -> None:
    python = made.folder / "bin" / "python"
    python.unlink()
    python.symlink_to(made.root / "uninstalled" / "python")


INFO = "tiny_b-1.0.dist-info"
DAMAGES: dict[str, Callable[[Installation], object]] = {
    "a file is deleted": lambda made: (made.site / "tiny_b" / "data" / "3.bin").unlink(),
    "a file is truncated in place": lambda made: truncate(made.site / "tiny_b" / "data" / "big.bin"),
    "a module is empty": lambda made: (made.site / "tiny_a" / "__init__.py").write_bytes(b""),
    "a package is deleted": lambda made: shutil.rmtree(made.site / "tiny_b"),
    "a package and all that is known of it": lambda made: [shutil.rmtree(each) for each in made.site.glob("tiny_c*")],
    "a list of files is deleted": lambda made: (made.site / INFO / "RECORD").unlink(),
    "a list of files is truncated": lambda made: truncate(made.site / INFO / "RECORD"),
    "a list of files is garbage": lambda made: (made.site / INFO / "RECORD").write_bytes(b"\xff\0,\n" * 9),
    "its configuration is deleted": lambda made: (made.folder / "pyvenv.cfg").unlink(),
    "its configuration is empty": lambda made: (made.folder / "pyvenv.cfg").write_bytes(b""),
    "its manifest is deleted": lambda made: (made.folder / "installed.json").unlink(),
    "its manifest is garbage": lambda made: (made.folder / "installed.json").write_text("[]"),
    "its folder is empty": replace_folder,
    "its folder is gone": lambda made: shutil.rmtree(made.folder),
    "the interpreter it was based on is gone": lose_interpreter,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_found_and_repaired(ready, damage):
    DAMAGES[damage](ready)
    assert ready.checked("--files") == "broken"
    assert_truth(ready, "broken")
    assert_repaired(ready)


def test_the_deep_check_sees_as_much(ready):
    (ready.site / "tiny_b" / "data" / "3.bin").unlink()
    assert_truth(ready, "broken")


def test_a_check_of_names_and_sizes_cannot_see_a_changed_byte_but_repair_does(ready):
    change(ready.site / "tiny_b" / "data" / "big.bin")
    assert not ready.is_whole()
    assert_repaired(ready)


def test_what_is_not_damaged_is_not_made_anew(ready):
    before = ready.folder
    assert_repaired(ready)
    assert ready.folder == before


def test_a_compiled_file_that_was_cut_short_does_not_stop_it_for_ever(ready):
    """As Python leaves it where the disk is full."""
    assert ready.checked() == "ready"
    compiled = list((ready.root / "cache" / "compiled" / "tiny").rglob("*.pyc"))
    for path in compiled:
        truncate(path)
    assert compiled
    assert ready.checked() == "broken"
    before = ready.folder
    assert_repaired(ready)
    assert ready.folder == before


def test_a_file_that_came_back_makes_it_ready_again(ready):
    path = ready.site / "tiny_b" / "data" / "3.bin"
    path.rename(path.with_suffix(".away"))
    assert ready.checked("--files") == ready.checked("--quick") == "broken"
    path.with_suffix(".away").rename(path)
    assert ready.checked("--files") == ready.checked("--quick") == "ready"


def archives(made: Installation) -> list[Path]:
    """The unpacked packages in uv's cache."""
    return sorted((made.root / "cache" / "packages").glob("archive-v*/*"))


def pointers(made: Installation) -> list[Path]:
    return sorted((made.root / "cache" / "packages").glob("wheels-v*/**/*.rev"))


CACHE_DAMAGES: dict[str, Callable[[Installation], object]] = {
    "an unpacked package is gone": lambda made: shutil.rmtree(archives(made)[0]),
    "all unpacked packages are gone": lambda made: [shutil.rmtree(each) for each in archives(made)],
    "a file is gone": lambda made: next(archives(made)[1].glob("*/data/5.bin")).unlink(),
    "a file is truncated": lambda made: truncate(next(archives(made)[1].glob("*/data/big.bin"))),
    "a module is damaged": lambda made: [
        next(each.glob("tiny_?/__init__.py")).write_bytes(b"answer = 4 2\n"[:12]) for each in archives(made)
    ],
    "a list of files is truncated": lambda made: truncate(next(archives(made)[-1].glob("*.dist-info/RECORD"))),
    "what is known of a package is empty": lambda made: next(archives(made)[0].glob("*/METADATA")).write_bytes(b""),
    "a pointer is garbage": lambda made: pointers(made)[0].write_bytes(b"\xff\0" * 9),
    "a pointer is empty": lambda made: pointers(made)[1].write_bytes(b""),
    "all of it is gone": lambda made: shutil.rmtree(made.root / "cache"),
}


@pytest.mark.parametrize("damage", CACHE_DAMAGES)
def test_a_damaged_cache_does_not_get_into_the_environment(ready, damage):
    assert ready.run("remove", "tiny") == 0
    CACHE_DAMAGES[damage](ready)
    assert ready.run("create", "tiny") == 0, ready.output()
    assert ready.is_whole()
    assert_truth(ready)


# Markers

MARKERS: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "garbage": lambda path: path.write_bytes(b"\xff\0{]"),
    "without a folder": lambda path: path.write_text('{"folder": "", "fingerprint": "", "torch": "", "made_at": ""}'),
    "of another folder": lambda path: path.write_text(path.read_text().replace("tiny@", "tiny@x")),
    "outside": lambda path: path.write_text(path.read_text().replace("tiny@", "../environments/tiny@")),
}


@pytest.mark.parametrize("what", MARKERS)
def test_a_damaged_marker_is_not_believed(ready, what):
    MARKERS[what](ready.marker)
    assert not ready.is_whole() or what == "outside"
    assert_truth(ready, "incomplete", "broken")
    assert ready.checked() != "ready"
    assert_repaired(ready)


@pytest.mark.parametrize("content", [b"", b"\xff\0", b'{"folder": 3}'])
def test_a_damaged_verdict_hides_nothing(ready, content):
    (ready.site / "tiny_b" / "data" / "3.bin").unlink()
    assert ready.checked() == "broken"
    ready.marker.with_name("tiny.broken.json").write_bytes(content)
    assert_truth(ready, "broken")
    assert_repaired(ready)


def test_a_verdict_on_another_folder_does_not_count(ready):
    verdict = {"folder": "tiny@0", "reason": "x", "when": "", "depth": "deep"}
    ready.marker.with_name("tiny.broken.json").write_text(json.dumps(verdict))
    assert ready.checked("--quick") == "ready"


def test_a_marker_of_the_version_before_is_read(ready):
    marker = json.loads(ready.marker.read_text())
    old = {name: marker[name] for name in ("folder", "fingerprint", "torch", "made_at")}
    ready.marker.write_text(json.dumps(old | {"version": 1}))
    (ready.folder / "installed.json").unlink()
    assert ready.checked() == ready.checked("--quick") == "ready"


# Clocks


@pytest.mark.parametrize("skew", [-3 * YEARS, 3 * YEARS])
def test_a_wrong_clock_changes_nothing(ready, skew):
    for path in [ready.marker, *ready.root.rglob("*")]:
        os.utime(path, (time.time() - skew, time.time() - skew), follow_symlinks=False)
    assert ready.checked(skew=skew) == ready.checked("--quick", skew=skew) == "ready"
    (ready.site / "tiny_b" / "data" / "3.bin").unlink()
    assert ready.checked("--files", skew=skew) == "broken"
    assert ready.run("repair", "tiny", skew=skew) == 0
    assert ready.is_whole()
    assert ready.checked(skew=-skew) == "ready"


# Wheels and networks


def test_a_corrupt_wheel_leaves_nothing_and_a_good_one_repairs(workshop, empty, tmp_path):
    wheels = shutil.copytree(workshop.wheels, tmp_path / "wheels")
    truncate(next(wheels.glob("tiny_c*")))
    assert empty.run("create", "tiny", "--wheelhouse", str(wheels)) == 1
    assert "installing the packages failed" in empty.output()
    assert_truth(empty, "absent")
    make_wheel(wheels, "tiny_c")
    assert empty.run("repair", "tiny", "--wheelhouse", str(wheels)) == 0
    assert empty.is_whole()


def test_a_wheel_that_is_not_the_locked_one_is_refused(workshop, empty, tmp_path):
    wheels = shutil.copytree(workshop.wheels, tmp_path / "wheels")
    make_wheel(wheels, "tiny_c", b"answer = 43\n")
    assert empty.run("create", "tiny", "--wheelhouse", str(wheels)) == 1
    assert "not the one that was locked" in empty.output()
    assert_truth(empty, "absent")
    assert_repaired(empty)


def test_a_wheelhouse_is_enough_without_any_network_or_setting(workshop, empty):
    dead = {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    dead |= {"UV_FIND_LINKS": str(workshop.folder / "nowhere"), "UV_HTTP_RETRIES": "0"}
    arguments = "create", "tiny", "--wheelhouse", str(workshop.wheels)
    assert empty.wait(empty.start(*arguments, variables=dead)) == 0, empty.output()
    assert empty.is_whole()


def test_a_network_that_is_cut_leaves_nothing_and_what_came_is_kept(workshop, empty):
    with IndexServer(workshop.wheels) as server:
        server.cuts = ("tiny_c",)
        server.before_cut = lambda: len(archives(empty)) == len(PACKAGES) - 1  # the others have come
        variables = {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": server.address, "UV_HTTP_RETRIES": "0"}
        assert empty.run("create", "tiny", "--json", variables=variables) == 1
        assert json.loads(empty.output().splitlines()[-1])["kind"] == "network"
        assert_truth(empty, "absent")
        server.cuts = ()
        served = len(server.served)
        assert empty.run("repair", "tiny", variables=variables) == 0, empty.output()
        assert empty.is_whole()
        assert len(server.served) - served < len(PACKAGES)
    shutil.rmtree(empty.site / "tiny_b")
    assert_truth(empty, "broken")
    assert empty.run("repair", "tiny", variables=variables) == 0, "offline, from what is in the cache"


# Disks


@pytest.mark.parametrize("megabytes", [1, 2])
def test_a_full_disk_is_told_before_and_leaves_nothing_when_it_fills_up_meanwhile(workshop, tmp_path, megabytes):
    """1: while uv unpacks; 2: when all is done but the marker."""
    with disk(tmp_path / "disk", megabytes) as small:
        made = workshop.installation(small.folder / "home")
        assert made.run("create", "tiny", "--json", margin=10_000_000) == 1
        assert json.loads(made.output().splitlines()[-1])["kind"] == "space"
        assert "tiny needs" in made.output()
        assert not (made.root / "cache").exists()
        assert made.run("create", "tiny", "--json") == 1
        assert json.loads(made.output().splitlines()[-1])["kind"] == "space", made.output()
        assert_truth(made, "absent")
        small.resize(megabytes=50)
        assert_repaired(made)


def test_a_folder_that_cannot_be_written_is_told_and_what_is_there_is_still_checked(workshop, finished, tmp_path):
    with disk(tmp_path / "disk", megabytes=50) as small:
        made = workshop.installation(small.folder / "home")
        small.make_read_only(True)
        assert made.run("create", "tiny") == 1
        assert made.output().count("\n") == 1
        assert "cannot be written" in made.output()
        assert made.checked() == "absent"
        small.make_read_only(False)
        assert made.run("create", "tiny") == 0
        (made.site / "tiny_b" / "data" / "3.bin").unlink()
        small.make_read_only(True)
        assert made.checked("--files") == made.checked() == "broken"
        assert made.run("repair", "tiny") == 1
        small.make_read_only(False)
        assert_repaired(made)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold for root")
def test_a_folder_without_permission_is_told(empty):
    empty.root.mkdir()
    empty.root.chmod(0o500)
    assert empty.run("create", "tiny") == 1
    assert "cannot be written" in empty.output()
    empty.root.chmod(0o700)
    assert_repaired(empty)


# Two


def test_two_at_once_make_one(workshop, empty):
    first = empty.start("create", "tiny")
    other = workshop.installation(empty.root)
    second = other.start("repair", "tiny")
    assert (empty.wait(first), other.wait(second)) == (0, 0)
    assert_repaired(empty)


# Moving


@pytest.fixture
def to_move(ready) -> Installation:
    """With weights, results and a picture of the user's own, which is not ours to move."""
    for name in ("weights/model/w.bin", "cache/results/a.glb", "logs/tiny.log", "holiday.jpg"):
        path = ready.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return ready


def kept(*homes: Installation) -> bool:
    """Whether weights and results are in one of them."""
    names = ("weights/model/w.bin", "cache/results/a.glb")
    return any(all((home.root / each).read_bytes() == each.encode() for each in names)
               for home in homes if all((home.root / each).exists() for each in names))  # fmt: skip


def test_moving_takes_everything_that_is_ours(workshop, to_move):
    new = workshop.installation()
    assert to_move.run("move", str(new.root)) == 0, to_move.output()
    assert new.is_whole()
    assert new.checked() == "ready"
    assert kept(new)
    assert [each.name for each in to_move.root.iterdir()] == ["holiday.jpg"]
    assert not (new.root / "moving.json").exists()
    assert to_move.run("move", str(new.root)) == 0, to_move.output()  # again: nothing is left to do
    assert_truth(new)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.8, 0.9, 1.0, 1.1])
def test_moving_that_was_killed_leaves_one_of_the_two_whole_and_is_finished_by_the_same_command(
    workshop, to_move, seconds, part
):
    new = workshop.installation()
    process = to_move.start("move", str(new.root))
    if to_move.wait(process, seconds * part) is None:
        os.killpg(process, signal.SIGKILL)
        to_move.wait(process)
        for made in (to_move, new):
            assert_truth(made, "absent", "incomplete")
        assert to_move.is_whole() or new.is_whole()
        assert kept(to_move, new)
        assert to_move.run("move", str(new.root)) == 0, to_move.output()
    assert_repaired(new)
    assert kept(new)
    assert [each.name for each in to_move.root.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize("left", [(), ("weights",), ("weights", "cache", "environments")])
def test_moving_that_was_killed_while_it_removed_the_old_is_finished_by_the_same_command(workshop, to_move, left):
    new, journal = workshop.installation(), {"from": str(to_move.root)}
    for name in left:
        shutil.copytree(to_move.root / name, workshop.folder / "left" / new.root.name / name, symlinks=True)
    assert to_move.run("move", str(new.root)) == 0, to_move.output()
    for name in left:
        shutil.move(workshop.folder / "left" / new.root.name / name, to_move.root / name)
    to_move.marker.unlink(missing_ok=True)
    (new.root / "moving.json").write_text(json.dumps(journal))
    assert to_move.run("move", str(new.root)) == 0, to_move.output()
    assert_truth(new)
    assert kept(new)
    assert [each.name for each in to_move.root.iterdir()] == ["holiday.jpg"]
    assert not (new.root / "moving.json").exists()


def test_a_folder_that_the_user_keeps_elsewhere_stays_there(workshop, to_move):
    elsewhere = workshop.folder / "elsewhere"
    shutil.move(to_move.root / "weights", elsewhere)
    (to_move.root / "weights").symlink_to(elsewhere)
    new = workshop.installation()
    assert to_move.run("move", str(new.root)) == 0, to_move.output()
    assert (new.root / "weights").is_symlink()
    assert kept(new)


def test_moving_to_another_disk_copies(workshop, to_move, tmp_path):
    with disk(tmp_path / "disk", megabytes=2) as small:
        new = workshop.installation(small.folder / "home")
        assert to_move.run("move", str(new.root)) == 1
        assert "MB free" in to_move.output()
        assert_truth(to_move)
        assert kept(to_move)
        small.resize(megabytes=50)
        assert to_move.run("move", str(new.root)) == 0, to_move.output()
        assert new.is_whole()
        assert kept(new)


def test_moving_into_what_is_in_use_or_into_itself_is_refused(workshop, to_move):
    used = workshop.installation()
    (used.root / "weights").mkdir(parents=True)
    for target, why in ((used.root, "is there already"), (to_move.root / "in", "lies in"), (to_move.root, "already")):
        assert to_move.run("move", str(target)) == 1
        assert why in to_move.output()
        assert to_move.output().count("\n") == 1
    assert_truth(to_move)
    assert kept(to_move)
