# SPDX-License-Identifier: GPL-3.0-or-later
"""Who must not know what: the walls between the rooms, read off the imports."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STANDARD = sys.stdlib_module_names


def imports(path: Path, top_only: bool = False) -> set[str]:
    """What a file imports: `torch`, and for its own package `worker.geometry.mesh` as seen from the root."""
    tree, found = ast.parse(path.read_text("utf-8")), set()
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
            found |= {f"{module}.{alias.name}" for alias in node.names} if node.level else {module}
    return found


def files(folder: str) -> list[Path]:
    path = ROOT / folder
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def offenders(folder: str, banned: tuple[str, ...], top_only: bool = False) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for name in sorted(imports(path, top_only))
        if any(name == word or name.startswith(word + ".") for word in banned)
    ]


ACTING = ("os", "pathlib", "shutil", "subprocess", "tempfile", "threading", "time", "envs")
ACTING += tuple(f"addon.session.{name}" for name in ("client", "jobs", "process", "tasks"))
"""What it takes to start something, to wait, or to touch a file."""


@pytest.mark.parametrize(
    "folder, banned",
    [
        ("worker", ("bpy", "addon", "envs")),
        ("addon", ("torch", "numpy", "PIL", "scipy", "worker.methods", "worker.geometry", "worker.app")),
        ("addon/session", ("bpy", "addon.ui")),
        (
            "addon/ui/scene.py",
            ("worker.wire", "addon.session", *("addon.ui." + name for name in ("timer", "properties"))),
        ),
        ("addon/ui/panels.py", ACTING),
        ("addon/ui/environment_panels.py", ACTING),
        ("envs", ("bpy", "torch", "worker", "addon")),
    ],
)
def test_no_room_knows_what_it_must_not(folder, banned):
    assert files(folder)
    assert offenders(folder, banned) == []


@pytest.mark.parametrize(
    "name",
    ["worker/__main__.py", "worker/app.py", "worker/wire"],
)
def test_what_says_hello_imports_nothing_heavy_at_the_top(name):
    assert offenders(name, ("torch", "numpy", "scipy", "PIL", "transformers", "rich"), top_only=True) == []


@pytest.mark.parametrize("folder", ["envs", "worker/wire/protocol.py"])
def test_what_runs_before_anything_is_installed_needs_the_standard_library_only(folder):
    for path in files(folder):
        foreign = {name.split(".")[0] for name in imports(path)} - set(STANDARD) - {"envs", "worker"}
        assert foreign == set(), path


@pytest.mark.parametrize("folder", ["worker", "addon", "envs"])
def test_rooms_import_each_other_relatively(folder):
    for path in files(folder):
        assert not offenders(str(path.relative_to(ROOT)), ("image_to_3d",)), path


def test_only_one_file_of_the_addon_touches_blenders_data():
    touching = [path.name for path in files("addon") if "bpy.data" in path.read_text("utf-8")]
    assert touching == ["scene.py"]


@pytest.mark.parametrize("folder", ["addon/session", "addon/ui"])
def test_nothing_is_imported_inside_a_function(folder):
    for path in files(folder):
        assert imports(path) == imports(path, top_only=True), path


@pytest.mark.parametrize("folder", ["addon", "worker", "envs"])
def test_no_circle_of_imports(folder):
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files(folder)}
    arrows = {name: set(imported_modules(path, modules)) - {name} for name, path in modules.items()}
    graphlib.TopologicalSorter(arrows).prepare()  # raises CycleError, which names the circle


def imported_modules(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Those of `modules` that a file imports when it is imported itself."""
    for name in imports(path, top_only=True):
        for module in (name, f"{name}.__init__", name.rpartition(".")[0], name.rpartition(".")[0] + ".__init__"):
            if module in modules:
                yield module
                break
