# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls between the rooms, read off the imports: who may know whom, that no arrow goes round, and how long
functions are."""

import ast
import graphlib
import sys
import tomllib
from pathlib import Path

import pytest
from image_to_3d.worker.methods import TABLE, all_methods
from image_to_3d.worker.pipeline import code

ROOT = Path(__file__).resolve().parent.parent
STANDARD = sys.stdlib_module_names
PRODUCT = ("worker", "addon", "envs")

METHOD_ROOMS = tuple(f"worker/methods/{line.removeprefix('.')}" for line in TABLE)
FOR_METHODS = ("worker.core", "worker.pictures", "worker.store.weights", "worker.methods.method")
FOR_METHODS += ("worker.methods.runtime", "worker.methods.matting")
MESSAGES = ("worker.wire.protocol", "worker.wire.offers", "worker.wire.making")
IN_BOTH = (*MESSAGES, "worker.wire.reading", "worker.core.options")

ALLOWED = {
    "worker/core": (),
    "worker/wire": ("worker.core",),
    "worker/pictures": ("worker.core",),
    "worker/cameras": ("worker.core", "worker.pictures"),
    "worker/geometry": ("worker.core",),
    "worker/store": ("worker.core", "worker.__version__"),
    "worker/methods/runtime": ("worker.core",),
    "worker/methods/matting": FOR_METHODS,
    "worker/methods/repaint": (*FOR_METHODS, "worker.store.pipelines"),
    "worker/methods/method.py": (
        "worker.core",
        "worker.store.weights",
        "worker.methods.runtime",
        "worker.pictures",
        "worker.cameras.registration",
    ),
    "worker/methods/__init__.py": ("worker.core", "worker.methods"),
    "worker/methods/along.py": ("worker.core", "worker.store", "worker.methods"),
    **dict.fromkeys(METHOD_ROOMS, FOR_METHODS),
    "worker/methods/multiview_fit": (*FOR_METHODS, "worker.cameras"),
    "worker/methods/triposg": (*FOR_METHODS, "worker.methods.with_network"),
    "worker/methods/hybrid": (*FOR_METHODS, "worker.methods.with_network"),
    "worker/methods/views": (*FOR_METHODS, "worker.methods.with_network", "worker.geometry"),
    "worker/finish": ("worker.core", "worker.pictures", "worker.geometry"),
    "worker/pipeline": (
        "worker.__version__",
        "worker.core",
        "worker.pictures",
        "worker.cameras",
        "worker.methods",
        "worker.finish",
        "worker.store",
    ),
    "worker/executors": ("worker.core", "worker.elsewhere.near", "worker.pipeline.batch", "worker.wire"),
    "worker/elsewhere": ("worker.core", "worker.pictures.look", "worker.wire"),
    "worker/app.py": (
        "worker.__version__",
        "worker.core",
        "worker.executors",
        "worker.methods",
        "worker.pipeline",
        "worker.store",
        "worker.wire",
    ),
    "worker/cli": (
        "worker.app",
        "worker.core",
        "worker.doctor",
        "worker.elsewhere.near",
        "worker.hello",
        "worker.wire",
    ),
    "envs": (),
    "addon/in_background.py": (),
    "addon/session": (*MESSAGES, "worker.core", "envs"),
    "addon/ui": (*MESSAGES, "worker.core", "envs", "addon.session"),
    "addon/ui/scene": ("worker.core", "addon.session.glb", "addon.session.glb_writing"),
}
"""What each room may import of the product beside itself."""

HEAVY = ("torch", "transformers", "diffusers", "safetensors", "onnxruntime", "nerfstudio")
ACTING = ("os", "pathlib", "shutil", "subprocess", "tempfile", "threading", "time")
"""What it takes to start something, to wait, or to touch a file."""

FOREIGN = {
    "worker": ("bpy",),
    "worker/core": ("json", "pathlib.Path.open", "scipy", "PIL", *HEAVY),
    "worker/wire": ("numpy", "scipy", "PIL", *HEAVY),
    "worker/pictures": HEAVY,
    "worker/cameras": HEAVY,
    "worker/geometry": HEAVY,
    "worker/store": HEAVY,
    "worker/finish": ("json", *HEAVY),
    "worker/pipeline": ("threading", *HEAVY),
    **dict.fromkeys(("worker/executors", "worker/elsewhere"), ("numpy", "scipy", "PIL", *HEAVY)),
    **dict.fromkeys(METHOD_ROOMS, ("json",)),
    "worker/methods/layers": ("json", "torch"),  # what ships runs without
    "worker/methods/depth/included.py": ("json", "torch"),
    "worker/methods/depth/framing.py": ("json", "torch"),
    "worker/methods/matting": ("json", "torch"),
    "worker/methods/repaint": ("json",),
    "addon": ("numpy", "PIL", "scipy", *HEAVY),
    "addon/session": ("bpy",),
    "addon/ui/panels.py": ACTING,
    "addon/ui/environment_panels.py": ACTING,
    "addon/ui/choice_panel.py": ACTING,
    "addon/ui/job_panel.py": ACTING,
    "addon/ui/history_panel.py": ACTING,
    "addon/ui/advice.py": ACTING,
    "addon/ui/result_panels.py": ACTING,
    "envs": ("bpy", *HEAVY),
}
"""What from elsewhere a room must not import."""


def imports(path: Path, top_only: bool = False, typing: bool = True) -> set[str]:
    """What a file imports: `torch`, and for its own package `worker.geometry.mesh` as seen from the root."""
    tree, found = ast.parse(path.read_text("utf-8")), set()
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.If) and not typing and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in node.body:
                inner._for_typing = True
        if getattr(node, "_for_typing", False):
            continue
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


def begins(name: str, words: tuple[str, ...]) -> bool:
    return any(name == word or name.startswith(word + ".") for word in words)


def is_ours(name: str) -> bool:
    return begins(name, PRODUCT)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_knows_only_those_that_it_may_know(room):
    assert files(room)
    own = room.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    beyond = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(room)
        for name in sorted(imports(path))
        if is_ours(name) and not begins(name, (own, *ALLOWED[room]))
    ]
    assert beyond == []


@pytest.mark.parametrize("room", FOREIGN)
def test_no_room_imports_what_it_must_not_know(room):
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(room)
        for name in sorted(imports(path))
        if not is_ours(name) and begins(name, FOREIGN[room])
    ]
    assert found == []


def test_no_room_is_without_a_wall():
    walled = [ROOT / room for room in ALLOWED]
    free = ["worker/training", "worker/__init__.py", "worker/__main__.py", "worker/hello.py", "worker/doctor.py"]
    free += ["addon/__init__.py"]
    for path in (path for room in PRODUCT for path in files(room)):
        assert any(wall in (path, *path.parents) for wall in [*walled, *(ROOT / room for room in free)]), path


def test_a_file_of_networks_knows_what_it_runs_on_and_nothing_else_here():
    for path in sorted((ROOT / "worker" / "methods").rglob("*network.py")):
        ours = {name for name in imports(path) if is_ours(name)}
        folder = ".".join(path.relative_to(ROOT).parent.parts)
        assert all(begins(name, ("worker.methods.runtime", folder)) for name in ours), (path, ours)


def test_each_folder_of_code_is_in_the_package_that_is_built():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {path.relative_to(ROOT).parent.parts for room in PRODUCT for path in files(room)}
    assert {".".join(("image_to_3d", *parts)) for parts in folders if "training" not in parts} <= {*listed}


def test_training_is_imported_by_nobody():
    for path in (path for room in PRODUCT for path in files(room) if "training" not in path.parts):
        assert not any("training" in name.split(".")[:2] for name in imports(path) if is_ours(name)), path


@pytest.mark.parametrize("name", ["worker/__main__.py", "worker/app.py", "worker/wire", "worker/pipeline/select.py"])
def test_what_says_hello_imports_nothing_heavy_at_the_top(name):
    heavy = ("numpy", "scipy", "PIL", "rich", *HEAVY)
    assert not [each for path in files(name) for each in imports(path, top_only=True) if begins(each, heavy)]


@pytest.mark.parametrize("folder", ["envs", *(f"{each.replace('.', '/')}.py" for each in IN_BOTH)])
def test_what_runs_before_anything_is_installed_needs_the_standard_library_only(folder):
    for path in files(folder):
        foreign = {name.split(".")[0] for name in imports(path)} - set(STANDARD) - {"envs", "worker"}
        assert foreign == set(), path


@pytest.mark.parametrize("folder", PRODUCT)
def test_rooms_import_each_other_relatively(folder):
    for path in files(folder):
        assert not [name for name in imports(path) if begins(name, ("image_to_3d",))], path


@pytest.mark.parametrize("folder", PRODUCT)
def test_no_import_leads_back_to_where_it_came_from(folder):
    """Not even one within a function, which would hide the circle and not break it."""
    arrows = {module(path): arrows_of(path) for path in files(folder)}
    graphlib.TopologicalSorter(arrows).prepare()  # raises CycleError, which names the circle


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows_of(path: Path) -> set[str]:
    """The files that a file imports, without those that only types are named of."""
    known = {module(other) for room in PRODUCT for other in files(room)}
    found = set()
    for name in imports(path, typing=False):
        found |= {name} & known or {name.rpartition(".")[0]} & known
    return found - {module(path)}


@pytest.mark.parametrize("folder", ["addon/session", "addon/ui"])
def test_nothing_is_imported_inside_a_function(folder):
    for path in files(folder):
        assert imports(path) == imports(path, top_only=True), path


def test_only_one_room_of_the_addon_touches_blenders_data():
    touching = {path.parent for path in files("addon") if "bpy.data" in path.read_text("utf-8")}
    assert touching == {ROOT / "addon/ui/scene"}


@pytest.mark.parametrize("folder", METHOD_ROOMS)
def test_a_methods_key_covers_all_code_that_it_imports(folder):
    own = folder.replace("/", ".")
    rooms = {room for method in all_methods() if method.package.endswith(own) for room in method.rooms}
    covered = (own, *(f"worker.{room.removesuffix('.py').replace('/', '.')}" for room in (*code.SHARED, *rooms)))
    weights = ("worker.store.weights",)  # how files are found changes nothing about what is in them
    weights += ("worker.methods.with_network",)  # what it leads to is in `over`, whose code the key covers too
    for path in files(folder):
        assert [name for name in imports(path) if is_ours(name) and not begins(name, (*covered, *weights))] == [], path


@pytest.mark.parametrize("rooms", [code.PLACING, code.FINISHING])
def test_the_key_of_cameras_or_of_a_file_covers_all_code_that_makes_them(rooms):
    covered = tuple(f"worker.{room}" for room in rooms)
    for path in (path for room in rooms for path in files(f"worker/{room}")):
        assert [name for name in imports(path) if is_ours(name) and not begins(name, covered)] == [], path


@pytest.mark.parametrize("folder", PRODUCT)
def test_no_function_is_longer_than_forty_lines(folder):
    for path in files(folder):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{path.relative_to(ROOT)}: {node.name}"


def test_types_of_representations_are_told_apart_in_one_place():
    kinds = {"DepthMap", "Layers", "Field", "Apart", "Views"}
    for path in files("worker"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                assert not kinds & {word.id for word in ast.walk(node.args[1]) if isinstance(word, ast.Name)}, path
