# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by an environment's own Python, in a fresh process, to see whether it works: ``inside.py [--tensor] MODULE...``

Prints one JSON object: {"missing": [installed files that are gone], "failed": {module: why}, "versions": {name: it}}.
Stands alone: it is a script, not a module of this package, and imports nothing of it.
"""

import importlib
import importlib.metadata
import json
import os
import sys


def missing_files() -> list[str]:
    """Files that were installed and are no longer there."""
    missing = []
    for distribution in importlib.metadata.distributions():
        base = str(distribution.locate_file(""))
        paths = (os.path.join(base, file) for file in distribution.files or ())  # 20 000; pathlib takes twice as long
        missing.extend(path for path in paths if not os.path.exists(path))
    return missing


def failed_imports(modules: list[str]) -> dict[str, str]:
    """Why a module cannot be imported, for each that cannot."""
    failed = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, AttributeError, TypeError, ValueError, RuntimeError, SyntaxError) as error:
            failed[module] = f"{type(error).__name__}: {error}"
    return failed


def failed_tensor() -> dict[str, str]:
    """A matrix product and a convolution with known results: proof that torch's libraries work on this processor."""
    torch = importlib.import_module("torch")  # only here, in the environment, may this room load it
    product = torch.eye(8) @ torch.arange(64.0).reshape(8, 8)
    summed = torch.nn.functional.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3))
    right = float(product.sum()) == 2016.0 and bool((summed == 9).all())
    return {} if right else {"torch": "computes wrong results on this processor"}


def main(arguments: list[str]) -> None:
    modules = [argument for argument in arguments if argument != "--tensor"]
    failed = failed_imports(modules)
    if "--tensor" in arguments and not failed:
        failed = failed_tensor()
    versions = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    json.dump({"missing": missing_files(), "failed": failed, "versions": versions}, sys.stdout)


main(sys.argv[1:])
