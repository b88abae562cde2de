# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said to ``python3 -m envs``. Knows words and options, not what they do."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from .installer import WAIT
from .places import HOME_VARIABLE, default_root

Action = Callable[[argparse.Namespace], int]
_DEVICES = ("auto", "cuda", "rocm", "mps", "cpu")


def parser(actions: Mapping[str, Action]) -> argparse.ArgumentParser:
    """``actions``: what each word does. Parsed options have it as ``action``, and the word as ``verb``."""
    made = argparse.ArgumentParser(prog="python3 -m envs", description="The environments of Image to 3D.")
    words = made.add_subparsers(required=True, metavar="ACTION", dest="verb")
    add = {word: _adder(words, word, action) for word, action in actions.items()}
    _run(add["run"]("make the environment if need be, then run something in it"))
    _create(add["create"]("make an environment (nothing is done if it is ready)"))
    _repair(add["repair"]("look at every byte of an environment, and make it anew if anything is wrong"))
    _move(add["move"]("move environments, weights, results and caches to another folder"))
    _remove(add["remove"]("remove an environment"))
    _check(add["check"]("say in which state environments are"))
    add["report"]("write a text for a bug report, with nothing private in it").add_argument(
        "names", nargs="*", metavar="name"
    )
    return made


def _adder(words, word: str, action: Action) -> Callable[[str], argparse.ArgumentParser]:
    def add(text: str) -> argparse.ArgumentParser:
        made = words.add_parser(word, help=text, description=text)
        made.add_argument(
            "--root",
            type=Path,
            default=default_root(),
            help=f"folder for environments and caches (default: {HOME_VARIABLE} or %(default)s)",
        )
        made.set_defaults(action=action)
        return made

    return add


def _run(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--name",
        default="core",
        choices=("core", "nerf"),
        help="the environment for the worker's commands: core, or nerf, which has nerfstudio's engines",
    )
    made.add_argument(
        "command", help="the worker's generate, models, doctor, serve; test; test-blender [--bpy VERSION]"
    )
    made.add_argument("arguments", nargs=argparse.REMAINDER, help="handed on as they are")


def _create(made: argparse.ArgumentParser) -> None:
    made.add_argument("name", nargs="?", default="core")
    made.add_argument("--anew", action="store_true", help="even if it is ready")
    _installs(made)


def _repair(made: argparse.ArgumentParser) -> None:
    made.add_argument("name", nargs="?", default="core")
    _installs(made)


def _move(made: argparse.ArgumentParser) -> None:
    made.add_argument("new_root", type=Path, metavar="NEW_ROOT", help="an empty folder, or one that is not there yet")
    made.set_defaults(name="core")
    _tells(made)


def _remove(made: argparse.ArgumentParser) -> None:
    made.add_argument("name")
    _tells(made)


def _check(made: argparse.ArgumentParser) -> None:
    made.add_argument("names", nargs="*", metavar="name")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    depth = made.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="only read the markers")
    depth.add_argument("--files", action="store_true", help="look whether the files are there, but try nothing out")
    _device(made)


def _installs(made: argparse.ArgumentParser) -> None:
    made.add_argument("--wheelhouse", type=Path, metavar="FOLDER", help="take all from this folder of wheels, offline")
    _device(made)
    _tells(made)


def _device(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--device", choices=_DEVICES, default="auto", help="what torch is to compute on (auto: the best there is)"
    )


def _tells(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="progress as JSON lines on stdout")
    made.add_argument(
        "--wait",
        type=float,
        default=WAIT,
        metavar="SECONDS",
        help="how long to wait for another installation to end",
    )
