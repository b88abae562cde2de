# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by an environment's own Python, in a fresh process, to see what works: ``inside.py [--tensor=DEVICE] MODULE...``

Prints one JSON object: {"failed": {module: why}, "versions": {name: it}, "device": DEVICE}. Stands alone: it is a
script, not a module of this package, and imports nothing of it.
"""

import importlib
import importlib.metadata
import json
import sys

_OPTION = "--tensor="


def failed_imports(modules: list[str]) -> dict[str, str]:
    """Why a module cannot be imported, for each that cannot."""
    failed = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, AttributeError, TypeError, ValueError, RuntimeError, SyntaxError) as error:
            failed[module] = f"{type(error).__name__}: {error}"
    return failed


def best_device() -> str:
    """What torch itself would choose."""
    torch = importlib.import_module("torch")  # only here, in the environment, may this room load it
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def failed_tensor(device: str) -> dict[str, str]:
    """A matrix product and a convolution with known results: proof that torch's libraries work on ``device``."""
    torch = importlib.import_module("torch")
    try:
        product = torch.eye(8, device=device) @ torch.arange(64.0, device=device).reshape(8, 8)
        ones = torch.ones(1, 1, 5, 5, device=device)
        summed = torch.nn.functional.conv2d(ones, torch.ones(1, 1, 3, 3, device=device))
        right = float(product.sum()) == 2016.0 and bool((summed == 9).all())
    except (RuntimeError, OSError, AssertionError, NotImplementedError) as error:  # AssertionError: built without CUDA
        return {"torch": f"cannot compute on {device}: {(str(error).splitlines() or ['it does not say why'])[0]}"}
    return {} if right else {"torch": f"computes wrong results on {device}"}


def main(arguments: list[str]) -> None:
    modules = [argument for argument in arguments if not argument.startswith(_OPTION)]
    asked = [argument.removeprefix(_OPTION) for argument in arguments if argument.startswith(_OPTION)]
    device = ""
    failed = failed_imports(modules)
    if asked and not failed:
        device = best_device() if asked[0] == "auto" else asked[0]
        failed = failed_tensor(device)
    versions = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    found = json.dumps({"failed": failed, "versions": versions, "device": device})
    sys.stdout.write(f"\n{found}\n")  # on a line of its own, whatever the imports have printed


main(sys.argv[1:])
