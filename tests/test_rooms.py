# SPDX-License-Identifier: GPL-3.0-or-later
"""Who must not know what: the walls between the rooms, read off the imports."""

import ast
import sys
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


@pytest.mark.parametrize(
    "folder, banned",
    [
        ("worker", ("bpy", "addon", "envs")),
        ("addon", ("torch", "numpy", "PIL", "scipy", "worker.methods", "worker.geometry", "worker.app")),
        ("addon/session", ("bpy", "addon.ui")),
        ("addon/ui/scene.py", ("worker.app", "worker.wire.server", "addon.session")),
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
