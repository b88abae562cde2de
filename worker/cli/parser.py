# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what can be said, and what of it goes with what."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.file_types import FORMATS, result_ending
from ..core.options import Value, parsed
from .commands import batch, catalogue, doctor, download, generate, hello, improve, library, refine
from .shown import (
    show_batch,
    show_catalogue,
    show_downloaded,
    show_generated,
    show_greeting,
    show_library,
    show_made,
    show_report,
)


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="write the result as one JSON object")
    common.add_argument("--device", type=_given, default="auto", help="auto, cpu, cuda or mps")
    common.add_argument("--weights", type=_given, metavar="FOLDER", help="where weights of networks lie")
    common.add_argument("--cache", type=_given, metavar="FOLDER", help="where results are kept")
    parser = argparse.ArgumentParser(prog="image-to-3d", description="Pictures to textured 3D meshes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = _command(commands, "generate", "make a GLB from a photo", common, generate, show_made)
    command.add_argument("photo", nargs="+", type=_given, metavar="PHOTO")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb", help="a folder with --frames")
    which = "depth of each frame of a video or a folder, in one scale, as OpenEXR files: all, 10-50 or 10-50:2"
    command.add_argument("--frames", type=_range, metavar="RANGE", help=which)
    maps = "also write depth, normals and mask there as OpenEXR files, or splats that are learned"
    command.add_argument("--maps", type=_given, metavar="FOLDER", help=maps)
    what = "also write the thing from all sides there: pictures, cameras (transforms.json), depth, confidence"
    command.add_argument("--views", type=_given, metavar="FOLDER", help=what)
    command.add_argument("--backend", help=argparse.SUPPRESS)  # what depth, nerf and diffusion were called before
    _add_making(command)
    _add_elsewhere(command)

    _add_batch(commands, common)
    _add_refine(commands, common)
    _add_improve(commands, common)
    command = _command(commands, "download", "fetch the weights of a network", common, download, show_downloaded)
    command.add_argument("network")
    _add_elsewhere(command)

    what = "list what is offered: licence, size, here or not"
    _add_elsewhere(_command(commands, "models", what, common, catalogue, show_catalogue))
    _command(commands, "doctor", "tell what works on this machine and what is missing", common, doctor, show_report)
    _command(commands, "hello", "tell whether a worker can be started: one line of JSON", common, hello, show_greeting)
    return parser


def _add_elsewhere(command: argparse.ArgumentParser) -> None:
    what = "do it on a machine that ssh reaches: user@host, or user@host:folder of the program there"
    command.add_argument("--on", type=_given, metavar="HOST", help=what)
    command.add_argument("--set-up", action="store_true", help="with --on: make the environment there first")


def _add_making(command: argparse.ArgumentParser) -> None:
    """What says how things are made of pictures."""
    what = "depth, nerf, diffusion or hybrid, or one of their networks (see: models); else what suits the photos"
    command.add_argument("--model", type=_given, metavar="NAME", help=what)
    command.add_argument("--preset", default="balanced", help="fast, balanced or high")
    _add_set(command, "set an option, for example --set solid=true; may be repeated")
    anyway = "of several photos: go on where less than two thirds of them have found their place"
    command.add_argument("--allow-partial", action="store_true", help=anyway)
    without = "fetch no network: work with those that ship"
    command.add_argument("--included", action="store_true", help=without)
    command.add_argument("--no-cache", action="store_true", help="make everything anew, and keep nothing of it")


_WITH_BLENDER = "Blender, or a Python with bpy: makes an asset library of the results"


def _add_set(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--set", action="append", default=[], type=setting, metavar="OPTION=VALUE", help=what)


def _add_batch(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "make a GLB of each picture in a folder or a list; goes on where it was cut off"
    command = _command(commands, "batch", what, common, batch, show_batch)
    what = "a folder of pictures, or a list of them: .txt, .csv or .jsonl, with options for each"
    command.add_argument("source", type=_given, metavar="SOURCE", help=what)
    command.add_argument("-o", "--output", type=_given, required=True, metavar="FOLDER", help="where results come")
    what = "of what is made: meshes, else Gaussian splats"
    command.add_argument("--format", choices=FORMATS, default="glb", help=what)
    command.add_argument("--sets", action="store_true", help="each folder in SOURCE is a set of photos of one thing")
    command.add_argument("--blender", type=_given, metavar="PROGRAM", help=_WITH_BLENDER)
    what = "have a cluster of Ray's make them: auto, or ray://HOST:10001 (in the environment farm)"
    command.add_argument("--cluster", type=_given, metavar="ADDRESS", help=what)
    what = "every Nth thing from the Kth on, for one of N machines; the whole afterwards finds all of them"
    command.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help=what)
    what = "end well although some failed: the whole batch tries them again, and tells of them"
    command.add_argument("--failures-later", action="store_true", help=what)
    command.add_argument("--jobs", type=_count, metavar="N", help="workers at the same time, as memory allows")
    _add_making(command)
    _add_elsewhere(command)

    command = _command(
        commands, "library", "make an asset library of what batch has made", common, library, show_library
    )
    command.add_argument("folder", type=_given, metavar="RESULTS")
    command.add_argument("--blender", type=_given, required=True, metavar="PROGRAM", help=_WITH_BLENDER)


def _add_refine(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "give a mesh a picture's outline and colours"
    command = _command(commands, "refine", what, common, refine, show_generated)
    command.add_argument("mesh", type=_given, metavar="MESH.glb")
    command.add_argument("picture", type=_given, metavar="PICTURE", help="of the same thing")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb")
    command.add_argument("--texture", type=int, default=2048, help="pixels along the side of the new texture")
    by = "triposg or detailgen3d: the shape is refined by that network; else it follows the picture's outline"
    command.add_argument("--with", dest="network", type=_given, metavar="NETWORK", help=by)
    command.add_argument("--preset", help="with a network: fast, balanced (else taken) or high")
    _add_set(command, "with a network: strength, guidance, trust, seed, steps, faces or grid; may be repeated")
    _add_elsewhere(command)


def _add_improve(commands: Any, common: argparse.ArgumentParser) -> None:
    what = "make a mesh better in rounds: sides that no picture shows are painted, shape and texture follow"
    command = _command(commands, "improve", what, common, improve, show_generated)
    command.add_argument("mesh", type=_given, metavar="MESH.glb")
    command.add_argument("picture", nargs="+", type=_given, metavar="PICTURE", help="of the same thing")
    command.add_argument("-o", "--output", type=_given, required=True, metavar="OUT.glb")
    command.add_argument("--preset", default="balanced", help="fast, balanced or high")
    command.add_argument("--rounds", type=int, default=0, metavar="R", help="how many; else as the preset says")
    command.add_argument("--repainter", default="included", metavar="NAME", help="what paints: included, or a network")
    command.add_argument("--seed", type=int, default=0)
    what = "also write the mesh that each round leaves there"
    command.add_argument("--each", type=_given, metavar="FOLDER", help=what)
    command.add_argument("--no-cache", action="store_true", help="make every round anew, and keep nothing of it")


def _command(
    commands: Any, name: str, help: str, common: argparse.ArgumentParser, run: Callable, show: Callable
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help, parents=[common])
    command.set_defaults(run=run, show=show)
    return command


def misused(options: argparse.Namespace) -> str:
    """What would be left out of what was said, as it goes with something else; "" where nothing would."""
    given = {name: value for name, value in vars(options).items() if value}
    if given.get("set_up") and "on" not in given:
        return "--set-up makes the environment of another machine: name that by --on"
    if options.run is refine and not options.network and (options.set or options.preset):
        return "--set and --preset are for networks: name one by --with"
    if "frames" in given and _like_a_file(options.output):
        return f"--frames come into a folder, and {options.output} is called like a file: name a folder"
    if "frames" in given and ("maps" in given or "views" in given):
        return "--frames are maps already, and have no views: leave --maps and --views out"
    if "jobs" in given and ("on" in given or "cluster" in given):
        return "--jobs counts workers on this machine: leave it out with --on and --cluster"
    if "cluster" in given and "on" in given:
        return "--on and --cluster are two ways: choose one"
    return ""


def _like_a_file(name: str) -> bool:
    return result_ending(name).removeprefix(".") in FORMATS and not Path(name).is_dir()


def _given(text: str) -> str:
    """A name that is one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("nothing was named")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _range(text: str) -> dict[str, int]:
    """Of `all`, `10`, `10-50` or `10-50:2`; frames are counted from 1."""
    found = re.fullmatch(r"(\d+)(?:-(\d+)?)?(?::(\d+))?", text)
    if text == "all":
        return {"first": 1, "last": 0, "step": 1}
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form all, 10-50 or 10-50:2")
    last = found[2] or ("0" if "-" in text else found[1])
    return {"first": int(found[1]), "last": int(last), "step": int(found[3] or 1)}


def _part(text: str) -> tuple[int, int]:
    """Of `3/10`."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 3/10")
    return int(found[1]), int(found[2])


def setting(text: str) -> tuple[str, Value]:
    """Name and value of OPTION=VALUE: numbers, true and false as such, all else as it stands."""
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OPTION=VALUE")
    return name, parsed(value)
